"""A token that processes share through a store, stepped by hand."""

import os

import pytest

from consumer.errors import TokenEndpointUnreachable
from consumer.steps import Call, Fetch, Wait
from consumer.token_cache import Token
from consumer.token_store import StoredToken
from tests.support.consumer_flow import NOW, Walk, make_flow, token_answer
from watchword.testing.clock import Clock

IDENTITY = ("https://as.example", "id", "read", None, None)


class MemoryStore:
    """A store that processes could share, in memory."""

    def __init__(self):
        self.kept, self.locked, self.seconds = {}, set(), None

    def load(self, name):
        return self.kept.get(name)

    def save(self, name, sealed, seconds):
        self.kept[name], self.seconds = sealed, seconds

    def lock(self, name, seconds):
        if name in self.locked:
            return False
        self.locked.add(name)
        return True

    def unlock(self, name):
        self.locked.remove(name)


class BrokenStore:
    """A store that is away."""

    def __getattr__(self, name):
        def fail(*_):
            raise ConnectionError("redis://:password@host is away")

        return fail


class Process:
    """One process: its view of the store, and the steps of one token."""

    def __init__(self, store, clock=None, wall=lambda: NOW, secret="s3cret", identity=IDENTITY):
        self.clock = clock or Clock(1000)
        self.stored = StoredToken(
            store,
            secret=secret,
            identity=identity,
            patience=60.0,
            clock=self.clock,
            wall_clock=wall,
            random_bytes=os.urandom,
        )
        self.value = "t1"

    def fetch(self):
        """Yield a step in place of a token request, and return a token."""
        yield Fetch(None)
        return Token(value=self.value, received_at=self.clock(), lifetime=100.0, scope="read")

    def obtain(self, old=None):
        """Take the steps to a token; return it, and the kinds of the steps but calls."""
        return self.finish(self.stored.obtain(old, self.fetch))

    def finish(self, steps):
        """Take the steps that are left."""
        taken = []
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value, taken
            if isinstance(step, Call):
                step.run()
            else:
                taken.append(type(step))
                if isinstance(step, Wait):
                    self.clock.advance(step.timeout)


@pytest.fixture
def store():
    """A store, empty."""
    return MemoryStore()


def test_one_process_asks_for_all(store):
    """The next has its token, with what is left of its life."""
    first, second = Process(store), Process(store, Clock(5.0), lambda: NOW + 40)
    token, taken = first.obtain()
    assert (token.value, taken) == ("t1", [Fetch])
    assert store.seconds == 100
    found, taken = second.obtain()
    assert (found.value, found.scope, found.received_at, taken) == ("t1", "read", -35.0, [])
    assert not store.locked


def test_a_token_that_is_to_be_replaced_is_not_taken_again(store):
    """Until another process has replaced it."""
    clock = Clock(1000)
    first, second = (Process(store, clock, lambda: NOW + clock()) for _ in range(2))
    old, _ = first.obtain()
    second.value = "t2"
    clock.advance(80)
    assert [second.obtain(old)[0].value, first.obtain(old)[0].value] == ["t2", "t2"]


def test_what_is_older_than_what_a_process_has_is_not_taken(store):
    """Such as a token that could not be saved any more."""
    first, second = Process(store), Process(store)
    first.obtain()
    newer = Token(value="t9", received_at=first.clock() + 50, lifetime=100.0)
    second.value = "t2"
    assert second.obtain(newer)[0].value == "t2"


def test_the_others_wait_for_the_one_that_asks(store):
    """They look again, and take what it saved."""
    first, second = Process(store), Process(store)
    leading = first.stored.obtain(None, first.fetch)
    while not isinstance(step := next(leading), Fetch):
        step.run()
    waiting = second.stored.obtain(None, second.fetch)
    while not isinstance(step := next(waiting), Wait):
        step.run()
    first.finish(leading)
    assert second.finish(waiting)[0].value == "t1"


def test_one_that_gets_the_lock_looks_once_more(store):
    """The token may have been saved between its look and its lock."""
    first, second = Process(store), Process(store)
    steps = second.stored.obtain(None, second.fetch)
    next(steps).run()
    first.obtain()
    second.value = "t2"
    assert second.finish(steps)[0].value == "t1"


def test_nobody_waits_for_ever(store):
    """A lock that is never given back is passed over after a while."""
    process = Process(store)
    process.obtain()
    store.locked.add(*store.kept)
    store.kept.clear()
    token, taken = process.obtain()
    assert token.value == "t1"
    assert taken.count(Wait) == pytest.approx(1200, abs=2)
    assert taken[-1] is Fetch
    assert store.locked


def test_a_failure_gives_the_lock_back(store):
    """So does a caller that was cancelled: the next process asks at once."""
    process = Process(store)

    def fail():
        yield Fetch(None)
        raise TokenEndpointUnreachable("down")

    steps = process.stored.obtain(None, fail)
    while isinstance(step := next(steps), Call):
        step.run()
    assert store.locked
    with pytest.raises(TokenEndpointUnreachable):
        next(steps)
    assert not store.locked


def test_a_lock_that_a_cancelled_caller_did_not_wait_for_is_given_back(store):
    """On an event loop a thread may still be taking it when the task has gone."""
    process = Process(store)
    steps = process.stored.obtain(None, process.fetch)
    next(steps).run()
    taking = next(steps)
    steps.close()
    taking.run()
    assert not store.locked


def test_a_store_that_is_away_is_done_without(caplog):
    """It is logged, without what the error says: that may be an address with a password."""
    token, taken = Process(BrokenStore()).obtain()
    assert (token.value, taken) == ("t1", [Fetch])
    assert "the token store is out of order: ConnectionError" in caplog.text
    assert "password" not in caplog.text


def test_what_is_kept_can_be_read_by_the_clients_alone(store):
    """It is sealed, and neither name nor content says what it is."""
    Process(store).obtain()
    ((name, sealed),) = store.kept.items()
    assert b"t1" not in sealed
    assert len(name) == 32
    stranger = Process(store, secret="guess")
    stranger.value = "t2"
    assert stranger.obtain()[0].value == "t2"
    other = Process(store, identity=("https://as.example", "id", "write", None, None))
    other.value = "t3"
    assert other.obtain()[0].value == "t3"
    assert len(store.kept) == 3


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 80, None])
def test_what_cannot_be_opened_is_replaced(store, damage):
    """Cut off, altered, or another token's under this name."""
    process = Process(store)
    process.obtain()
    ((name, sealed),) = store.kept.items()
    store.kept[name] = sealed[:-1] + bytes([sealed[-1] ^ 1]) if damage is None else damage
    process.value = "t2"
    assert process.obtain()[0].value == "t2"


@pytest.mark.parametrize("seconds", [96, -1])
def test_a_token_at_its_end_or_from_the_future_is_not_taken(store, seconds):
    """The wall clock may have been set back."""
    Process(store).obtain()
    late = Process(store, wall=lambda: NOW + seconds)
    late.value = "t2"
    assert late.obtain()[0].value == "t2"


def walked(flow):
    """Step a request of a flow as far as its first step that asks no store."""
    return past_calls(Walk(flow))


def past_calls(walk):
    """Carry out what asks the store."""
    while isinstance(walk.step, Call):
        walk.step.run()
        walk.go_on()
    return walk


def test_flows_of_processes_share_a_token(store):
    """Also the flow of a forked child; a token that an API refused is not taken from the store."""
    clock, told = Clock(1000), []
    first, second = (
        make_flow(
            clock,
            lambda event, **fields: told.append(event),
            stored=Process(store, clock, lambda: NOW + clock()).stored,
        )
        for _ in range(2)
    )
    assert past_calls(walked(first).fetched(token_answer("t1"))).sends == "t1"
    assert walked(second).sends == "t1"
    refused = past_calls(Walk(first).answered(rejected=True))
    assert past_calls(refused.fetched(token_answer("t2"))).sends == "t2"
    clock.advance(3600)
    child = walked(first.inherited())
    assert past_calls(child.fetched(token_answer("t3"))).sends == "t3"
    assert walked(second).sends == "t3"
    renewed, shared = "token.renewed", "token.shared"
    assert told == [renewed, shared, "token.rejected", renewed, renewed, shared]
