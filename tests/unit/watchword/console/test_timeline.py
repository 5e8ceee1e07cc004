"""Unit tests of `watchword.console.timeline`: where the states of keys are in the picture."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keys.ring import RingKey, RingPolicy, derive_ring
from watchword.console.timeline import NAMES, WIDTH, lay_out
from watchword.provider.key_ring import describe_signing_key

NOW = 1_800_000_000
POLICY = RingPolicy()


def described(keys: list[RingKey]) -> list[dict[str, Any]]:
    """Describe keys as the administration API does."""
    ring = derive_ring(keys, NOW, POLICY)
    found = [describe_signing_key(each, None, NOW, POLICY) for each in ring]
    return [each | {"kid": entry.key.kid} for each, entry in zip(found, ring, strict=True)]


def key(kid: str, published: int, signs: int | None, withdrawn: int | None = None) -> RingKey:
    """Make a key with times relative to now."""
    return RingKey(
        kid=kid,
        alg="ES256",
        published_at=NOW + published,
        signs_from=None if signs is None else NOW + signs,
        withdrawn_at=None if withdrawn is None else NOW + withdrawn,
    )


def test_a_rotation_is_drawn_on_both_sides_of_now() -> None:
    """The old key is retiring from when the new one signs; both bars meet there."""
    picture = lay_out(described([key("old", -86_400, -86_400), key("new", -60, 300)]), NOW)
    old, new = picture.rows
    assert [bar.state for bar in old.bars] == ["active", "retiring"]
    assert [bar.state for bar in new.bars] == ["pending", "active"]
    assert old.bars[1].x == new.bars[1].x > picture.now


def test_a_key_that_is_gone_is_not_drawn_and_a_withdrawn_one_is_crossed_out() -> None:
    """The record of it is in the table."""
    gone, leaked = key("g", -9_000_000, -9_000_000), key("l", -8_000_000, -7_000_000, -60)
    signing = key("s", -100, -60)
    picture = lay_out(described([gone, leaked, signing]), NOW)
    assert [row.name for row in picture.rows] == ["l", "s"]
    assert picture.rows[0].withdrawn is not None
    assert picture.rows[1].withdrawn is None


def test_without_keys_there_is_an_axis_and_now() -> None:
    """An empty store is no fault."""
    picture = lay_out([], NOW)
    assert picture.rows == ()
    assert picture.ticks


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**8), 0),
            st.integers(-(10**8), 10**7),
            st.none() | st.integers(-(10**6), 0),
        ),
        max_size=6,
    )
)
def test_whatever_the_times_are_everything_is_within_the_picture(
    times: list[tuple[int, int, int | None]],
) -> None:
    """Nothing is drawn over the names or beyond the edge; there are a few ticks."""
    keys = [key(f"k{number}", *each) for number, each in enumerate(times)]
    picture = lay_out(described(keys), NOW)
    for row in picture.rows:
        for bar in row.bars:
            assert bar.x >= NAMES
            assert bar.x + bar.width <= WIDTH + 3
    assert NAMES < picture.now < WIDTH
    assert len(picture.ticks) <= 12
    assert all(abs(tick.x - picture.now) > 30 for tick in picture.ticks)
