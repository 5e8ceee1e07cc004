"""Unit tests of `issuer.status.lists`: packing, versions, which lists there are."""

import json
import zlib
from pathlib import Path

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.status.lists import KEPT_SECONDS, StatusLists, _table
from issuer.status.positions import (
    BUCKET,
    PART,
    WINDOW,
    Position,
    Status,
    StatusChange,
    bucket_end,
    bucket_for,
)
from keys.encoding import decode_base64url

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "status-list.json").read_text()
)
BUCKET_NUMBER = 1_000_000
NOW = bucket_end(BUCKET_NUMBER) - 60
OF_OUR_SIZE = {
    **{
        f"example of {len(each['statuses'])}": (
            {index: status for index, status in enumerate(each["statuses"]) if status},
            each["lst"],
        )
        for each in VECTORS["worked_examples"]
        if each["bits"] == 2
    },
    **{
        f"vector of {each['entries']}": (
            {int(index): status for index, status in each["nonzero_statuses"].items()},
            each["lst"],
        )
        for each in VECTORS["large_vectors"]
        if each["bits"] == 2
    },
}


def revoke(number, first, size=1, *, status=Status.INVALID, bucket=BUCKET_NUMBER):
    """Make a change."""
    return StatusChange(number, bucket, first, size, status)


def lists_of(*changes, counts=None, longest=3600):
    """Make lists that were read once."""
    lists = StatusLists(longest=longest)
    lists.apply(changes, NOW, counts={BUCKET_NUMBER: 1} if counts is None else counts)
    return lists


@pytest.mark.rfc("tsl-4.1-1")
@pytest.mark.parametrize(("statuses", "lst"), OF_OUR_SIZE.values(), ids=OF_OUR_SIZE)
def test_entries_are_packed_as_the_published_vectors_are(statuses, lst):
    """Two bits each, the first in the lowest; of status 3, which is not used here, nothing."""
    expected = bytearray(zlib.decompress(decode_base64url(lst)))
    lists = StatusLists(longest=3600)
    for number, (index, status) in enumerate(statuses.items(), 1):
        if status == 3:
            expected[index // 4] &= ~(3 << 2 * (index % 4))
        else:
            change = revoke(number, index, status=Status(status))
            lists.apply([change], NOW, counts={BUCKET_NUMBER: PART})
    packed = lists.packed(BUCKET_NUMBER, 0)
    assert packed.startswith(expected)
    assert len(packed) == PART // 4
    assert not any(packed[len(expected) :])


def test_a_table_changes_each_entry_of_every_byte():
    """By itself: the tables in use are made once, when the module is loaded."""
    assert _table((0, 1, 2, 3)) == bytes(range(256))
    assert _table((1, 1, 1, 1)) == bytes([0b01010101]) * 256
    assert _table((2, 1, 0, 3))[0b11_10_01_00] == 0b11_00_01_10


def test_suspending_and_restoring_leave_what_is_revoked():
    """Revoking is final; what is suspended counts again once it is restored."""
    lists = lists_of(
        revoke(1, 1),
        revoke(2, 0, 4, status=Status.SUSPENDED),
        revoke(3, 0, 2, status=Status.VALID),
    )
    assert [lists.status(Position(BUCKET_NUMBER, index)) for index in range(5)] == [
        Status.VALID,
        Status.INVALID,
        Status.SUSPENDED,
        Status.SUSPENDED,
        Status.VALID,
    ]


@pytest.mark.parametrize(
    ("change", "alters"),
    [
        (revoke(9, 0, 4), True),
        (revoke(9, 0, 2), False),
        (revoke(9, 1, 2, status=Status.SUSPENDED), False),
        (revoke(9, 0, 4, status=Status.SUSPENDED), True),
        (revoke(9, 0, 2, status=Status.VALID), False),
        (revoke(9, 2, 1, status=Status.VALID), True),
        (revoke(9, 0, 1, bucket=BUCKET_NUMBER + 1), True),
    ],
)
def test_a_change_that_changes_nothing_is_known(change, alters):
    """Indexes 0 and 1 are revoked, 2 is suspended; nothing is changed by the question."""
    lists = lists_of(revoke(1, 0, 2), revoke(2, 2, status=Status.SUSPENDED))
    before = lists.packed(BUCKET_NUMBER, 0)
    assert lists.alters(change) is alters
    assert lists.packed(BUCKET_NUMBER, 0) == before


def test_a_version_is_the_number_of_the_latest_change_of_its_list():
    """A range over a border changes both lists, and no other one."""
    lists = lists_of(revoke(7, PART - 1, 2), revoke(9, PART + 5))
    versions = [lists.version(BUCKET_NUMBER, part).change for part in range(3)]
    assert versions == [7, 9, 0]
    assert lists.version(BUCKET_NUMBER + 1, 0) == ("", 0)
    assert lists.status(Position(BUCKET_NUMBER, PART - 1)) is Status.INVALID
    assert lists.status(Position(BUCKET_NUMBER, PART)) is Status.INVALID


def test_a_version_belongs_to_the_feed_that_told_of_it():
    """After a restore, numbers begin anew: what was known before is not compared with them."""
    lists = StatusLists(longest=3600)
    assert lists.version(BUCKET_NUMBER, 0) == ("", 0)  # of no feed yet
    lists.apply([revoke(7, 0)], NOW, counts={}, feed="before")
    lists.apply([revoke(2, PART)], NOW, counts={}, feed="after")
    versions = [lists.version(BUCKET_NUMBER, part) for part in range(3)]
    assert versions == [("before", 7), ("after", 2), ("after", 0)]


def test_lists_without_a_change_share_their_memory():
    """Whatever their number, they take none of their own."""
    lists = lists_of()
    assert lists.packed(BUCKET_NUMBER, 0) is lists.packed(BUCKET_NUMBER + 5, 3)


def test_a_list_of_before_is_not_altered():
    """Another thread may be reading it."""
    lists = lists_of(revoke(1, 0))
    before = lists.packed(BUCKET_NUMBER, 0)
    lists.apply([revoke(2, 1)], NOW + 1, counts={})
    assert before[0] == 0b0001
    assert lists.packed(BUCKET_NUMBER, 0)[0] == 0b0101
    assert lists.as_of == NOW + 1


def test_before_the_registry_was_read_there_is_no_status():
    """Fail closed: a token that may be revoked does not count as good."""
    with pytest.raises(StoreUnavailable, match="not read yet"):
        StatusLists(longest=3600).status(Position(BUCKET_NUMBER, 0))


def test_lists_are_as_old_as_the_last_reading_that_came_to_its_end():
    """A part of the changes does not make them newer, nor known if they were not."""
    lists = StatusLists(longest=3600)
    lists.apply([revoke(1, 0)], None, counts={})
    assert lists.as_of is None
    lists.apply([revoke(2, 1)], NOW, counts={})
    lists.apply([revoke(3, 2)], None, counts={})
    assert lists.as_of == NOW
    assert lists.version(BUCKET_NUMBER, 0).change == 3


def test_a_list_is_dropped_an_hour_after_its_bucket():
    """Its memory is given back, and a token of it, long expired, is refused."""
    lists = lists_of(revoke(1, 0))
    over = bucket_end(BUCKET_NUMBER) + KEPT_SECONDS
    lists.apply([], over - 1, counts={})
    assert lists.version(BUCKET_NUMBER, 0).change == 1
    assert lists.status(Position(BUCKET_NUMBER, 1)) is Status.VALID
    lists.apply([], over, counts={})
    assert lists.version(BUCKET_NUMBER, 0).change == 0
    assert lists.status(Position(BUCKET_NUMBER, 1)) is Status.INVALID


def test_parts_are_there_as_far_as_indexes_were_handed_out_and_one_more():
    """The number of lists that a stranger can ask for is bounded."""
    lists = lists_of(counts={BUCKET_NUMBER: PART + 1})
    assert [lists.is_live(BUCKET_NUMBER, part, NOW) for part in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    assert [lists.is_live(BUCKET_NUMBER + 1, part, NOW) for part in range(2)] == [True, False]
    unread = StatusLists(longest=3600)
    assert [unread.is_live(BUCKET_NUMBER, part, NOW) for part in range(2)] == [True, False]
    assert unread.live(NOW) == []


def test_buckets_are_there_as_long_as_tokens_may_live():
    """From an hour after their end to one beyond the longest life."""
    lists = lists_of(longest=2 * BUCKET)
    last = bucket_for(NOW, 2 * BUCKET) + 1
    assert last * BUCKET >= NOW + 2 * BUCKET + WINDOW
    first = BUCKET_NUMBER - KEPT_SECONDS // BUCKET
    around = range(first - 2, last + 3)
    assert [each for each in around if lists.is_live(each, 0, NOW)] == [*range(first, last + 1)]


def test_the_lists_that_tokens_are_on_are_listed():
    """In the order of buckets and parts, those that are over left out."""
    counts = {BUCKET_NUMBER + 1: 5, BUCKET_NUMBER: PART + 1, BUCKET_NUMBER - 4: 7}
    assert lists_of(counts=counts).live(NOW) == [
        (BUCKET_NUMBER, 0),
        (BUCKET_NUMBER, 1),
        (BUCKET_NUMBER + 1, 0),
    ]


def test_what_another_reading_lacks_of_revocations_is_found_in_ranges():
    """What is suspended is not: it may have been restored there."""
    mine = lists_of(
        revoke(1, 2),
        revoke(2, 5, 4),
        revoke(3, PART - 1, 3),
        revoke(4, 20, status=Status.SUSPENDED),
        revoke(5, 9, bucket=BUCKET_NUMBER + 1),
    )
    theirs = lists_of(revoke(1, 6), revoke(2, 9, bucket=BUCKET_NUMBER + 1), revoke(3, 40))
    assert [tuple(each) for each in mine.revoked_beyond(theirs)] == [
        ((BUCKET_NUMBER, 2), 1),
        ((BUCKET_NUMBER, 5), 1),
        ((BUCKET_NUMBER, 7), 2),
        ((BUCKET_NUMBER, PART - 1), 1),
        ((BUCKET_NUMBER, PART), 2),
    ]
    assert list(mine.revoked_beyond(mine)) == []
