"""Unit tests of `issuer.registry.usage`."""

import pytest

from issuer.registry import usage
from issuer.registry.usage import RESOLUTION, UsageBatch, UsageLog

NOW = 1_800_000_000
API = "https://api.example"
READ, WRITE = ("read",), ("write",)


def note(log: UsageLog, now: int = NOW, scopes: tuple[str, ...] = READ, client: str = "till"):
    """Note that the client used secret `s1` for scopes of the API."""
    log.note(client, "s1", API, scopes, now)


def batch(now: int = NOW, *scopes: tuple[str, ...], client: str = "till") -> UsageBatch:
    """Make the batch that such a note leads to."""
    return UsageBatch(
        credentials={(client, "s1"): now},
        grants={(client, API, each): now for each in scopes or (READ,)},
    )


def test_a_use_is_handed_over_once():
    """What was taken is the taker's to write; nothing new is nothing to write."""
    log = UsageLog()
    note(log)
    assert log.take() == batch()
    assert not log.take()


def test_secrets_and_grants_are_told_apart():
    """Every secret of a client has a time of its own, and so have scopes on each resource."""
    log = UsageLog()
    log.note("a", "s1", API, READ, NOW)
    log.note("a", "s2", API, READ, NOW)
    log.note("b", "s1", API, WRITE, NOW)
    log.note("b", "s1", "urn:other", WRITE, NOW)
    taken = log.take()
    assert set(taken.credentials) == {("a", "s1"), ("a", "s2"), ("b", "s1")}
    assert set(taken.grants) == {("a", API, READ), ("b", API, WRITE), ("b", "urn:other", WRITE)}


@pytest.mark.parametrize(("later", "written"), [(0, False), (59, False), (60, True), (3600, True)])
def test_a_second_use_within_a_minute_is_not_written_again(later, written):
    """The resolution is what keeps a busy client from writing at every request."""
    log = UsageLog()
    note(log)
    log.take()
    note(log, NOW + later)
    assert log.take() == (batch(NOW + later) if written else UsageBatch(credentials={}, grants={}))


def test_another_scope_within_the_minute_is_written_beside_the_known_secret():
    """Secret and grant count their minutes each for itself."""
    log = UsageLog()
    note(log)
    log.take()
    note(log, NOW + 1, WRITE)
    assert log.take() == UsageBatch(credentials={}, grants={("till", API, WRITE): NOW + 1})


def test_within_one_batch_the_latest_use_counts():
    """A slow writer finds one time for each thing, the latest."""
    log = UsageLog()
    note(log)
    note(log, NOW + RESOLUTION)
    assert log.take() == batch(NOW + RESOLUTION)


def test_a_clock_that_jumps_back_sets_no_time_back():
    """The last use stays the last, whatever the clock says now."""
    log = UsageLog()
    note(log)
    log.take()
    note(log, NOW - 3600)
    assert not log.take()


def test_what_could_not_be_written_comes_again():
    """A store that was away for a while loses nothing."""
    log = UsageLog()
    note(log)
    log.put_back(log.take())
    assert log.take() == batch()


def test_what_comes_back_does_not_set_a_newer_use_back():
    """A use that was noted meanwhile is the later one."""
    log = UsageLog()
    note(log)
    failed = log.take()
    note(log, NOW + RESOLUTION)
    note(log, NOW + RESOLUTION, WRITE)
    log.put_back(failed)
    assert log.take() == batch(NOW + RESOLUTION, READ, WRITE)


def test_beyond_the_bound_the_memory_starts_anew(monkeypatch: pytest.MonkeyPatch):
    """Memory is bounded; the price is that a use is written again within its minute."""
    monkeypatch.setattr(usage, "BOUND", 3)
    log = UsageLog()
    note(log)
    log.take()
    note(log, client="other")
    assert log.take() == batch(client="other")  # handed over, then forgotten
    note(log, NOW + 1)
    assert log.take() == batch(NOW + 1)


def test_up_to_the_bound_everything_is_remembered(monkeypatch: pytest.MonkeyPatch):
    """One secret and one grant of one client are two things."""
    monkeypatch.setattr(usage, "BOUND", 2)
    log = UsageLog()
    note(log)
    log.take()
    note(log, NOW + 1)
    assert not log.take()


@pytest.mark.parametrize(("bound", "kept"), [(2, True), (1, False)])
def test_a_batch_beyond_the_bound_is_let_go(monkeypatch: pytest.MonkeyPatch, bound, kept):
    """A store that stays away costs times of use, not the memory of the token path."""
    log = UsageLog()
    note(log)
    failed = log.take()
    monkeypatch.setattr(usage, "BOUND", bound)
    log.put_back(failed)
    assert bool(log.take()) is kept


@pytest.mark.parametrize(
    ("some", "anything"),
    [
        (UsageBatch(credentials={}, grants={}), False),
        (UsageBatch(credentials={("a", "b"): 1}, grants={}), True),
        (UsageBatch(credentials={}, grants={("a", "b", READ): 1}), True),
    ],
)
def test_a_batch_tells_whether_there_is_anything_to_write(some, anything):
    """The shell opens no transaction for nothing."""
    assert bool(some) is anything
