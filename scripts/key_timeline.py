"""Write the picture of the life of keys, by the rule itself.

Usage: python -m scripts.key_timeline [--check]
"""

import sys
from pathlib import Path

from keys.lifecycle import Generate, apply_change, plan_generation, plan_upkeep, plan_withdrawal
from keys.ring import RingKey, RingPolicy, derive_ring, signing_keys
from keys.timeline import draw_timeline_svg

PICTURE = Path(__file__).parent.parent / "docs" / "explanation" / "key-timeline.svg"
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


def main() -> int:
    """Write the picture, or tell whether it is up to date."""
    picture = draw()
    if "--check" not in sys.argv[1:]:
        PICTURE.write_text(picture)
        return 0
    if PICTURE.exists() and PICTURE.read_text() == picture:
        return 0
    sys.stderr.write(f"{PICTURE} is out of date; run: scripts/docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
