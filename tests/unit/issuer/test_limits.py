"""Unit tests of `issuer.limits`."""

import pytest

from issuer.errors import Reason, TooManyRequests
from issuer.grants.authorization import Authorization
from issuer.limits import (
    BOUND,
    IDS_OF_A_SOURCE,
    REPEATS,
    REPORTED,
    SPARE_LOOKUPS,
    WINDOW,
    Limit,
    Limited,
    Limits,
    source_of,
)

NOW = 1_800_000_000  # a window begins here
HERE, THERE = "192.0.2.1", "192.0.2.2"


def authorization(**changes: object) -> Authorization:
    """Make what a token of the client `till` says, changed as named."""
    given = {
        "subject": "till",
        "client_id": "till",
        "resource": "https://api.example",
        "scopes": ("read",),
        "token_ttl": 3600,
    }
    return Authorization(**(given | changes))  # type: ignore[arg-type]


def fail(limits: Limits, times: int, claimed: str = "till", address: str | None = HERE) -> None:
    """Have authentications fail."""
    for _ in range(times):
        limits.note_failure(claimed, address, NOW)


def is_limited(
    limits: Limits, claimed: str = "till", address: str | None = HERE, now: int = NOW
) -> bool:
    """Tell whether an attempt is refused."""
    try:
        limits.check_failures(claimed, address, now, client_id=None)
    except TooManyRequests:
        return True
    return False


def test_the_attempt_after_the_last_failure_allowed_is_refused():
    """With the seconds until the next window, in which the count begins anew."""
    limits = Limits(failed_auth=3)
    fail(limits, 2)
    limits.check_failures("till", HERE, NOW + 40, client_id="till")
    fail(limits, 1)
    with pytest.raises(TooManyRequests) as caught:
        limits.check_failures("till", HERE, NOW + 40, client_id="till")
    assert caught.value.headers == ((b"retry-after", b"20"),)
    assert (caught.value.status, caught.value.reason) == (429, Reason.TOO_MANY_FAILURES)
    assert caught.value.client_id == "till"
    assert not is_limited(limits, now=NOW + WINDOW)
    assert not is_limited(limits), "a clock that is set back begins anew as well"


def test_only_the_id_and_the_source_that_failed_are_limited():
    """So a flood of guesses locks no client out that is elsewhere."""
    limits = Limits(failed_auth=1)
    fail(limits, 1)
    assert is_limited(limits)
    assert not is_limited(limits, address=THERE)
    assert not is_limited(limits, claimed="other")
    fail(limits, 1, address=None)
    assert is_limited(limits, address=None)


def test_a_source_that_fails_at_many_ids_is_limited_at_all_of_them():
    """Each failure costs a look-up; a flood at one client does not get so far."""
    limits = Limits(failed_auth=2)
    for number in range(9):
        fail(limits, 2, claimed=f"invented-{number}")
    fail(limits, 1)
    assert not is_limited(limits)
    fail(limits, 1, claimed="invented")
    assert not any(is_limited(limits) for _ in range(SPARE_LOOKUPS))
    assert is_limited(limits)
    assert is_limited(limits, claimed="seen for the first time")
    assert not is_limited(limits, address=THERE)
    assert not is_limited(limits, now=NOW + 1), "a client that is new here is not locked out"


def test_a_request_that_began_in_the_window_before_does_not_end_this_one():
    """Else slow ones could be used to have the count begin anew."""
    limits = Limits(failed_auth=2)
    fail(limits, 1)
    limits.note_failure("till", HERE, NOW - 1)
    assert is_limited(limits)


def test_a_limit_of_0_is_none():
    """Nothing is counted either."""
    limits = Limits()
    fail(limits, 100)
    assert not is_limited(limits)
    for _ in range(100):
        limits.take_token(authorization(), NOW)
    assert not any(len(tally) for tally in limits.tallies.values())


def test_a_client_id_of_any_length_takes_the_same_room():
    """An id is a part of a body that may have 64 KB, and need not be UTF-8 by itself."""
    limits = Limits(failed_auth=1)
    fail(limits, 1, claimed="x" * 65_000)
    fail(limits, 1, claimed="\ud800")
    keys = limits.tallies[Limit.FAILED_AUTH].take_unshared(NOW, 9)
    assert sorted(map(len, keys)) == [len(HERE), 32, 32]
    assert is_limited(limits, claimed="x" * 65_000)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::7", "20010db800000001/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
        ("x" * 65, "x" * 64),
        (None, ""),
    ],
)
def test_a_source_is_what_one_peer_can_choose_from(address, source):
    """Whatever stands for the address, none is longer than an address."""
    assert source_of(address) == source


@pytest.mark.attack("T20")
def test_a_flood_of_sources_takes_bounded_memory():
    """Nor do they displace the one that is near its limit."""
    limits = Limits(failed_auth=60)
    fail(limits, 60, address="2001:db8::1")
    tally = limits.tallies[Limit.FAILED_AUTH]
    for number in range(100_000):
        tally.add(str(number), NOW)
    assert len(tally) == BOUND
    assert is_limited(limits, address="2001:db8::1")
    # As many keys that are not shared yet, and no key is a part of a request.
    assert len(tally.take_unshared(NOW, 1_000_000)) == BOUND


def test_who_was_limited_is_reported_with_the_number_of_requests():
    """Beyond the bound without a name."""
    limits = Limits(failed_auth=1)
    for number in range(REPORTED + 2):
        fail(limits, 1, address=f"198.51.100.{number}")
        assert is_limited(limits, address=f"198.51.100.{number}")
    assert is_limited(limits, address="198.51.100.0")
    taken = limits.take_limited()
    assert taken[Limited(Limit.FAILED_AUTH, None, "198.51.100.0")] == 2
    assert taken[Limited(Limit.FAILED_AUTH, None, None)] == 2
    assert len(taken) == REPORTED + 1
    assert not limits.take_limited()


def test_a_client_gets_its_quota_of_tokens_a_minute():
    """Others are not concerned, nor is its next minute."""
    limits = Limits(token_quota=2)
    for _ in range(2):
        limits.take_token(authorization(), NOW)
    with pytest.raises(TooManyRequests) as caught:
        limits.take_token(authorization(), NOW + 59)
    assert (caught.value.reason, caught.value.client_id) == (Reason.QUOTA_USED_UP, "till")
    assert caught.value.headers == ((b"retry-after", b"1"),)
    limits.take_token(authorization(client_id="other"), NOW + 59)
    limits.take_token(authorization(), NOW + 60)
    assert limits.take_limited() == {Limited(Limit.TOKEN_QUOTA, "till", None): 1}


def test_a_token_that_could_not_be_made_is_given_back():
    """Unless other processes count it already; never below what was taken."""
    limits = Limits(token_quota=1)
    limits.give_back("till", NOW)
    limits.take_token(authorization(), NOW)
    limits.give_back("till", NOW)
    limits.take_token(authorization(), NOW)
    assert limits.tallies[Limit.TOKEN_QUOTA].take_unshared(NOW, 5) == {"till": 1}
    limits.give_back("till", NOW)
    assert limits.tallies[Limit.TOKEN_QUOTA].count("till", NOW) == 1
    Limits().give_back("till", NOW)


def test_in_the_log_mode_a_token_beyond_the_quota_is_reported_and_issued():
    """So that a quota can be tried on what clients really do."""
    limits = Limits(token_quota=1, quota_refuses=False)
    for _ in range(4):
        limits.take_token(authorization(), NOW)
    assert limits.take_limited() == {Limited(Limit.TOKEN_QUOTA, "till", None): 3}


def ask(limits: Limits, times: int, now: int = NOW, **changes: object) -> set[str]:
    """Take tokens; return the clients that turned out to keep none."""
    for _ in range(times):
        limits.take_token(authorization(**changes), now)
    return limits.take_without_cache()


def test_a_client_that_asks_for_what_it_has_is_found():
    """Once, within half of the life of the first of its tokens."""
    limits = Limits()
    assert ask(limits, REPEATS - 1) == set()
    assert ask(limits, 1, NOW + 1799) == {"till"}
    assert ask(limits, 500, NOW + 1799) == set()
    assert ask(limits, REPEATS, NOW + 1800) == {"till"}


def test_a_client_that_asks_once_per_half_life_is_not_found():
    """Nor is a fleet of them, as long as each of it keeps its token."""
    limits = Limits()
    found = [ask(limits, REPEATS - 1, NOW + 1800 * times) for times in range(5)]
    assert not any(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": {"sub": "till"}, "subject": "caller"},
        {"authorization_details": ({"type": "payment"},)},
    ],
    ids=["exchanged", "fine-grained"],
)
def test_tokens_that_differ_each_time_need_no_cache(changes):
    """What is granted for one caller or one operation is of no use for the next."""
    assert ask(Limits(), 2 * REPEATS, **changes) == set()


def test_different_things_are_asked_for_each_by_itself():
    """A client of many APIs needs a token for each."""
    limits = Limits()
    for number in range(2 * REPEATS):
        assert ask(limits, 1, resource=f"https://api{number}.example") == set()


def test_the_largest_counts_are_shared_first():
    """The others wait for the next sharing, and nothing is shared twice."""
    limits = Limits(failed_auth=9)
    for times, name in enumerate("abcd", start=1):
        fail(limits, times, name)
    tally = limits.tallies[Limit.FAILED_AUTH]
    assert sorted(tally.take_unshared(NOW, 3).values()) == [3, 4, 10]
    assert sorted(tally.take_unshared(NOW, 9).values()) == [1, 2]
    assert not tally.take_unshared(NOW, 9)


def test_a_count_of_all_processes_limits_in_this_one():
    """One that this process does not hold any more is not held again."""
    limits = Limits(failed_auth=5)
    fail(limits, 2)
    tally = limits.tallies[Limit.FAILED_AUTH]
    key = next(key for key in tally.take_unshared(NOW, 9) if key != HERE)
    tally.learn(key, 4, NOW)
    assert not is_limited(limits)
    fail(limits, 1)
    assert is_limited(limits)
    tally.learn("another", 9, NOW)
    assert tally.count("another", NOW) == 0


def test_a_count_that_comes_when_its_window_has_ended_does_not_count_in_the_next():
    """The store may answer late; a client must not be refused for what it did a minute ago."""
    limits = Limits(token_quota=5)
    limits.take_token(authorization(), NOW + WINDOW)
    limits.tallies[Limit.TOKEN_QUOTA].learn("till", 5, NOW + WINDOW - 1)
    limits.take_token(authorization(), NOW + WINDOW)
    assert limits.tallies[Limit.TOKEN_QUOTA].count("till", NOW + WINDOW) == 2


def test_what_clients_ask_for_is_held_up_to_a_bound():
    """Beyond it the memory begins anew, which only delays the event."""
    limits = Limits(bound=3)
    for number in range(100):
        ask(limits, 1, client_id=f"client-{number}")
        assert len(limits._asked) <= 3


@pytest.mark.attack("T20")
def test_spared_look_ups_are_spread_over_a_second():
    """By the attempts of the second before; all at once would delay what else the process does."""
    limits = Limits(failed_auth=1)
    fail(limits, 2 * IDS_OF_A_SOURCE)

    def spared(attempts: int, second: int) -> list[int]:
        return [n for n in range(attempts) if not is_limited(limits, f"no-{n}", now=NOW + second)]

    assert spared(1_000, 1) == list(range(SPARE_LOOKUPS))
    every = 1_000 // SPARE_LOOKUPS
    assert spared(1_000, 2) == spared(2_000, 3) == list(range(0, 1_000, every))
    assert spared(4 * every + 1, 4) == [0, 2 * every, 4 * every]
    assert spared(1_000, 5) == list(range(0, 150, 6)), "161 attempts are not a whole multiple"
    assert spared(1_000, 7) == list(range(SPARE_LOOKUPS)), "a second without any is in between"
