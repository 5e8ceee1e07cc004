"""Unit tests of `watchword.metrics`: counting, and adding up over workers."""

from itertools import product

import pytest

from issuer.errors import Reason
from issuer.grants import GRANTS
from issuer.limits import Limit
from issuer.registry.auth_methods import AuthMethod
from watchword.metrics import (
    BOUNDARIES,
    EVENTS,
    HELD,
    LIMITED,
    LIVE_SECONDS,
    METRICS,
    REQUESTS,
    Metrics,
    combine,
)
from watchword.process.seats import Seats

SIZE = ("watchword_client_view_size",)
MISSES = ("watchword_client_view_misses_total",)


class Recorded(list):
    """A sink that keeps what it is given."""

    def __call__(self, event, /, **fields):
        """Record one event."""
        self.append((event, fields))


class Clock:
    """Monotonic seconds, turned by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def seats():
    """Give seats for two workers and a third."""
    return Seats(3)


def ignore(event, /, **fields):
    """Record nothing."""


def test_each_event_is_counted_and_handed_on():
    """Token requests by grant type, method and outcome; all others by name and reason."""
    log = Recorded()
    metrics = Metrics(log)
    asked = {"grant_type": "client_credentials", "auth_method": "client_secret_basic"}
    metrics("token.issued", client_id="a", **asked)
    metrics("token.issued", client_id="b", **asked)
    metrics("token.refused", reason=Reason.WRONG_SECRET, client_id="a", **asked)
    metrics("token.refused", reason=Reason.MEDIA_TYPE)
    metrics("request.refused", reason="expired", status=401)
    metrics("registry.available", job="registry")
    metrics("request.limited", limit=Limit.FAILED_AUTH, client_id="a", requests=40)
    assert metrics.collect().counts == {
        (REQUESTS, *asked.values(), "issued"): 2,
        (REQUESTS, *asked.values(), "wrong_secret"): 1,
        (REQUESTS, "", "", "media_type"): 1,
        (EVENTS, "request.refused", "expired"): 1,
        (EVENTS, "registry.available", ""): 1,
        (LIMITED, "failed_auth"): 40,
    }
    assert [event for event, _ in log][-2:] == ["registry.available", "request.limited"]
    assert log[0][1]["client_id"] == "a"


@pytest.mark.parametrize(
    "reason", ["the file of the registry was deleted", "a" * 41, "", None, "Upper", "1", 5]
)
def test_a_reason_that_is_no_code_is_no_label(reason):
    """There is any number of sentences, and of what a peer may cause."""
    metrics = Metrics(ignore)
    metrics("registry.refused", reason=reason)
    assert metrics.collect().counts == {(EVENTS, "registry.refused", ""): 1}


async def test_durations_fall_into_buckets_whatever_becomes_of_the_request(clock):
    """A bucket has what took as long as its boundary, the last one all that took longer."""
    metrics = Metrics(ignore, clock=clock)

    async def take(scope, receive, send):
        clock.now += scope["seconds"]
        if scope["seconds"] > 1:
            raise ConnectionError

    timed = metrics.timed(take)
    for seconds in (0.25, 0.5):
        await timed({"seconds": seconds}, None, None)
    with pytest.raises(ConnectionError):
        await timed({"seconds": 64.0}, None, None)
    shown = metrics.collect()
    in_buckets = dict(zip((*BOUNDARIES, "more"), shown.durations, strict=True))
    assert {key: count for key, count in in_buckets.items() if count} == {
        0.25: 1,
        0.5: 1,
        "more": 1,
    }
    assert shown.seconds == 64.75


async def test_seconds_that_an_answer_is_held_back_count_as_no_work(clock):
    """Else a flood of guesses would look like a slow server."""
    metrics = Metrics(ignore, clock=clock)

    async def hold(scope, receive, send):
        clock.now += 3.25
        scope[HELD] = 3.0

    await metrics.timed(hold)({}, None, None)
    assert metrics.collect().seconds == 0.25


def test_any_worker_tells_the_counts_of_all(seats, clock):
    """Whichever of them is asked, and what it was asked for before it told them is kept."""
    first, second = (Metrics(ignore, seats=seats, seat=n, clock=clock) for n in (0, 1))
    for _ in range(3):
        first("server.stopped")
    second("server.stopped")
    key = (EVENTS, "server.stopped", "")
    assert second.collect().counts == {key: 1}  # the first has not published yet
    first.publish()
    assert second.collect().counts == first.collect().counts == {key: 4}


def test_the_next_worker_of_a_seat_goes_on_from_its_counts(seats, clock):
    """Counters never go back, also those that a process keeps elsewhere."""
    old = Metrics(ignore, seats=seats, seat=1, clock=clock)
    old.add(lambda: [(MISSES, 7)])
    old("server.stopped")
    old.publish()
    new = Metrics(ignore, seats=seats, seat=1, clock=clock)
    new.add(lambda: [(MISSES, 2)])
    new("server.stopped")
    assert new.publish().counts == {MISSES: 9, (EVENTS, "server.stopped", ""): 2}
    assert new.publish().counts[MISSES] == 9


async def test_durations_outlive_a_worker_too(seats):
    """A histogram is a counter."""
    old = Metrics(ignore, seats=seats, seat=0)

    async def answer(scope, receive, send):
        """Answer at once."""

    await old.timed(answer)({}, None, None)
    old.publish()
    await old.timed(answer)({}, None, None)  # killed before it could tell
    new = Metrics(ignore, seats=seats, seat=0)
    other = Metrics(ignore, seats=seats, seat=1)
    assert sum(new.collect().durations) == sum(other.collect().durations) == 1


def test_the_gauges_of_a_worker_that_has_ended_do_not_count(seats, clock):
    """Its counters do."""
    dead, alive = (Metrics(ignore, seats=seats, seat=n, clock=clock) for n in (0, 1))
    dead.add(lambda: [(SIZE, 50)])
    alive.add(lambda: [(SIZE, 3)])
    dead("worker.failed")
    dead.publish()
    assert alive.collect().gauges == {SIZE: 50}
    assert len(alive.collect().pids) == 2
    clock.now += LIVE_SECONDS + 1
    shown = alive.collect()
    assert (shown.gauges, len(shown.pids)) == ({SIZE: 3}, 1)
    assert shown.counts == {(EVENTS, "worker.failed", ""): 1}


def test_the_parent_of_the_workers_is_none_of_them(seats):
    """It counts what it does, and its own process is not measured."""
    parent, worker = (Metrics(ignore, seats=seats, seat=n) for n in (0, 1))
    worker.add(lambda: [(SIZE, 3)])
    parent("worker.restarted")
    parent.publish()
    shown = worker.collect()
    assert (EVENTS, "worker.restarted", "") in shown.counts
    assert len(shown.pids) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("watchword_signing_queue", 6),
        ("watchword_client_view_size", 3),
        ("watchword_registry_up", 1),
    ],
)
def test_a_gauge_of_several_workers_is_one(name, value):
    """Queues add up, of sizes and ages the highest counts, and what must hold for all is lowest."""
    assert combine(name, [1, 2, 3]) == value


def test_all_that_can_be_counted_has_room_in_a_seat(seats):
    """Labels have a bounded number of values: all of them together are published."""
    metrics = Metrics(ignore, seats=seats)
    grants, methods = (*GRANTS, "other", ""), (*AuthMethod, "")
    for grant_type, method, reason in product(grants, methods, (*Reason, None)):
        event = "token.issued" if reason is None else "token.refused"
        metrics(event, grant_type=grant_type, auth_method=method, reason=reason)
    for reason in Reason:
        for event in ("request.refused", "revocation.refused", "introspection.refused"):
            metrics(event, reason=reason)
    metrics.publish()
    assert len(metrics.collect().counts) > 1000


def test_names_are_those_that_prometheus_asks_for():
    """A counter ends in `_total`, and each label is declared with its metric."""
    for name, metric in METRICS.items():
        assert (metric.kind == "counter") == name.endswith("_total")
        assert metric.help.endswith(".")
