"""What is shown of the life of keys."""

from xml.etree import ElementTree

import pytest

from keys.ring import RingPolicy, derive_ring
from keys.timeline import NextStep, draw_timeline, draw_timeline_svg, next_step
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
    step = next_step(entries[kid], 6_200, POLICY)

    assert (step.state, step.at) == (state, at)


def test_a_key_that_was_withdrawn_just_now_says_from_when_it_can_be_deleted():
    """The record of it is needed until every clock agrees whose turn it is."""
    bad = next(each for each in derive_ring(RING, 5_859, POLICY) if each.key.kid == "bad")

    assert next_step(bad, 5_859, POLICY) == NextStep(state="deleted", at=5_860)
    assert next_step(bad, 5_860, POLICY) == NextStep(state="deleted", at=None)


def test_the_picture_shows_the_states_that_the_rule_gives():
    """In text with this moment in the middle; a withdrawn key ends when it was withdrawn."""
    drawn = draw_timeline(derive_ring(RING, 6_200, POLICY), 6_200, 50, reach=2_000).splitlines()

    assert drawn[1:] == [
        "gone      ████████▒▒▒▒▒▒▒▒▒▒▒",
        "old           ░░░░█████▒▒▒▒▒▒▒▒▒▒▒",
        "bad                ░░░░███",
        "now                   ░░░░████████████████████████",
        "soon",
        "some day                   ░░░░░░░░░░░░░░░░░░░░░░░",
        "          ░ pending   █ active   ▒ retiring",
    ]
    assert drawn[0].strip() == "now"


def test_the_picture_in_svg_has_a_bar_for_each_state():
    """Within its bounds, with the names of the keys."""
    picture = draw_timeline_svg(derive_ring(RING, 6_200, POLICY), 4_200, 8_200)
    tree = ElementTree.fromstring(picture)
    bars = [each for each in tree.iter() if each.tag.endswith("rect") and len(each)]

    assert len(bars) == 10
    assert all(float(bar.get("x")) >= 100 for bar in bars if float(bar.get("width")) > 0)
    assert "some day" in picture
