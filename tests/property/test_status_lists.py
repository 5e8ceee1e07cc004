"""Whatever changes come in whatever parts, lists say what a list of single statuses would say."""

from hypothesis import given
from hypothesis import strategies as st

from issuer.status.lists import StatusLists
from issuer.status.positions import BUCKET, PART, Position, Status, StatusChange

BUCKETS = (1_000_000, 1_000_001)
NOW = BUCKETS[0] * BUCKET - 60
COUNTS = dict.fromkeys(BUCKETS, 2 * PART)
# Around the beginning, the middle of bytes, and the border of two lists.
WINDOWS = (0, PART - 20)
SIZE = 40

REACHES = {
    Status.INVALID: set(Status),
    Status.SUSPENDED: {Status.VALID},
    Status.VALID: {Status.SUSPENDED},
}

ranges = st.tuples(
    st.sampled_from(BUCKETS),
    st.sampled_from(WINDOWS),
    st.integers(0, SIZE - 1),
    st.integers(1, SIZE),
    st.sampled_from(Status),
)


def changes_of(drawn):
    """Number the ranges in their order, none beyond its window."""
    return [
        StatusChange(number, bucket, start + offset, min(size, SIZE - offset), status)
        for number, (bucket, start, offset, size, status) in enumerate(drawn, 1)
    ]


def naive(changes):
    """Apply the changes to single statuses."""
    found = {
        Position(bucket, start + offset): Status.VALID
        for bucket in BUCKETS
        for start in WINDOWS
        for offset in range(-8 if start else 0, SIZE + 8)
    }
    for change in changes:
        for index in range(change.first, change.first + change.size):
            position = Position(change.bucket, index)
            if found[position] in REACHES[change.status]:
                found[position] = change.status
    return found


def applied(*batches):
    """Apply the changes in batches."""
    lists = StatusLists(longest=86_400)
    for changes in batches:
        lists.apply(changes, NOW, counts=COUNTS)
    return lists


@given(st.lists(ranges, max_size=30), st.integers(0, 30))
def test_ranges_in_any_order_and_batches_come_to_the_statuses_of_single_tokens(drawn, cut):
    """Beside a range nothing changes, on either side of a byte and of a list."""
    changes = changes_of(drawn)
    expected = naive(changes)
    lists = applied(changes[:cut], changes[cut:])
    assert {position: lists.status(position) for position in expected} == expected


@given(st.lists(ranges, max_size=20), st.lists(ranges, max_size=20))
def test_what_is_revoked_stays_revoked(drawn, later):
    """Whatever is asked for afterwards."""
    changes = changes_of([*drawn, *later])
    revoked = [p for p, status in naive(changes[: len(drawn)]).items() if status is Status.INVALID]
    lists = applied(changes)
    assert all(lists.status(position) is Status.INVALID for position in revoked)


@given(st.lists(ranges, min_size=1, max_size=20), st.integers(1, 20))
def test_the_feed_from_its_beginning_comes_to_the_same_lists(drawn, known):
    """Some of it was known before; bytes and versions are those of one that begins now."""
    changes = changes_of(drawn)
    again, anew = applied(changes[:known], changes), applied(changes)
    keys = [(bucket, part) for bucket in BUCKETS for part in (0, 1)]
    assert [again.packed(*key) for key in keys] == [anew.packed(*key) for key in keys]
    assert [again.version(*key) for key in keys] == [anew.version(*key) for key in keys]
