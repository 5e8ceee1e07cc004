"""Write the picture of the life of keys, by the rule itself."""

import sys

from keys.lifecycle import Generate, apply_change, plan_generation, plan_upkeep, plan_withdrawal
from keys.ring import RingKey, RingPolicy, derive_ring, signing_keys
from keys.timeline import draw_timeline_svg
from scripts.generated import write_or_check

POLICY = RingPolicy(jwks_max_age=3_600, longest_token=21_600, rotate_every=28_800)
STEP = 600
WITHDRAWN = 72_000
END = 120_000


def draw() -> str:
    """Run a store for a while: keys are rotated by time, and one is withdrawn."""
    ring: tuple[RingKey, ...] = ()
    made = 0
    for now in range(0, WITHDRAWN + STEP, STEP):
        plan = plan_upkeep(ring, now, POLICY, ["RS256"])
        if not ring:
            plan = plan_generation(ring, now, POLICY, "RS256")
        elif now == WITHDRAWN:
            kid = signing_keys(derive_ring(ring, now, POLICY))["RS256"].kid
            plan = plan_withdrawal(ring, kid, now, POLICY)
        for change in plan:
            made += isinstance(change, Generate)
            ring = apply_change(ring, change, f"key {made}")
    return draw_timeline_svg(derive_ring(ring, WITHDRAWN, POLICY), 0, END)


if __name__ == "__main__":
    sys.exit(write_or_check("docs/explanation/key-timeline.svg", draw()))
