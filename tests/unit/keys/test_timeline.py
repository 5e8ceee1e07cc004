"""What is shown of the life of keys."""

import pytest

from keys.ring import RingPolicy, derive_ring
from keys.timeline import next_step
from tests.unit.keys.test_ring import key, prepared

POLICY = RingPolicy(jwks_max_age=300, longest_token=1_000, leeway=60)
RING = (
    key("gone", 100),
    key("old", 5_000),
    key("bad", 5_500, withdrawn_at=5_800),
    key("now", 5_800),
    key("soon", 9_000),
    prepared("some day", 5_900),
)


@pytest.mark.parametrize(
    ("kid", "state", "at"),
    [
        ("gone", "deleted", None),
        ("old", "gone", 6_560),
        ("bad", "deleted", None),
        ("now", "retiring", 9_000),
        ("soon", "active", 9_000),
        ("some day", "active", None),
    ],
)
def test_the_next_step_of_a_key_follows_from_its_state(kid, state, at):
    """What comes by time has a time; what an operator has to ask for has none."""
    entries = {entry.key.kid: entry for entry in derive_ring(RING, 6_200, POLICY)}
    step = next_step(entries[kid])

    assert (step.state, step.at) == (state, at)
