"""The key-set cache as a state machine: whatever happens, its promises hold."""

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keys.errors import NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, build_jwk_set
from keys.remote.answer import Fetched
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    Freshness,
    after_failure,
    after_success,
    decide,
    while_asking_for_kid,
)
from keys.remote.jwks_client import JwksClient
from tests.support.keys import public_rsa_jwk
from watchword.testing.clock import Clock

POLICY = CachePolicy()
SETS = [JwkSet(keys=(public_rsa_jwk(n),)) for n in range(2)]
BODIES = [str(build_jwk_set(each.keys)).replace("'", '"').encode() for each in SETS]
KIDS = [each.keys[0].kid for each in SETS]
INTERVAL = 8
SECONDS = st.sampled_from([0, 0.01, 0.5, 1, 5, 7, 8, 29, 30, 31, 240, 3599, 4000])
SOME_KIDS = st.sampled_from(["x", "y", *KIDS])


class Decisions(RuleBasedStateMachine):
    """Time passes, tokens come, fetches begin and end well or badly: the pure rules."""

    def __init__(self) -> None:
        """Start cold."""
        super().__init__()
        self.state = CacheState()
        self.now = 0.0
        self.flight: tuple[float, str | None] | None = None
        self.good: float | None = None
        self.for_kids: list[float] = []

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Let time pass, but for a fetch no more than it may take."""
        longest = self.flight[0] + 5 - self.now if self.flight else seconds
        self.now += min(seconds, longest)

    @rule(kid=SOME_KIDS)
    def token_arrives(self, kid: str) -> None:
        """Obey the decision for one token, as the client does."""
        decision = decide(self.state, kid, "RS256", self.now)
        keys = self.state.usable(self.now)
        if keys is not None and keys.select(kid, "RS256") is not None:
            assert isinstance(decision, PublicJwk)
            assert decision.kid == kid
        elif decision == Fetch() and self.flight is None:
            if keys is not None:
                self.for_kids.append(self.now)
            self.state = while_asking_for_kid(self.state, POLICY, now=self.now)
            self.flight = (self.now, kid)

    @precondition(lambda self: self.flight is None and self.now >= self.state.refresh_at)
    @rule()
    def schedule(self) -> None:
        """Ask again."""
        self.flight = (self.now, None)

    @precondition(lambda self: self.flight is not None)
    @rule(which=st.sampled_from([None, *SETS]), jitter=st.floats(0, 1))
    def answer(self, which: JwkSet | None, jitter: float) -> None:
        """End the fetch, badly without a set."""
        assert self.flight is not None
        (started, kid), self.flight = self.flight, None
        if which is None:
            self.state = after_failure(self.state, POLICY, now=self.now, jitter=jitter)
            assert self.state.refresh_at > self.now
            return
        self.good = started
        self.state = after_success(
            self.state,
            POLICY,
            started=started,
            now=self.now,
            keys=which,
            etag=None,
            freshness=Freshness(check_after=INTERVAL, fresh_for=300, dead_after=3900),
            kid=kid,
            jitter=jitter,
        )
        took = self.now - started
        assert self.now < self.state.refresh_at or took == INTERVAL * (1 - 0.1 * jitter)
        assert self.state.refresh_at <= max(started + INTERVAL, self.now + took)

    @invariant()
    def a_good_set_is_kept_for_its_time(self) -> None:
        """A set serves exactly its lifetime and the grace beyond, whatever fails meanwhile."""
        fresh = self.good is not None and self.now < self.good + 300 + POLICY.stale_for
        assert (self.state.usable(self.now) is not None) is fresh

    @invariant()
    def the_look_at_one_number_is_enough(self) -> None:
        """Before `refresh_at` what is at hand is what may be served."""
        if self.now < self.state.refresh_at:
            assert self.state.keys is self.state.usable(self.now)

    @invariant()
    def waiting_has_an_end(self) -> None:
        """No wait is longer than the cool-down or the interval."""
        assert self.state.refresh_at - self.now <= POLICY.cooldown

    @invariant()
    def unknown_kids_are_bounded(self) -> None:
        """In any window, at most as many fetches for them as cool-downs, and one; and in memory."""
        pairs = zip(self.for_kids, self.for_kids[1:], strict=False)
        assert all(later - earlier >= POLICY.cooldown for earlier, later in pairs)
        assert len(self.state.absent) <= 5


class Client(RuleBasedStateMachine):
    """The same with the client itself, whose fetches end when the machine says so."""

    def __init__(self) -> None:
        """Start cold, on an event loop of its own."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock(0)
        self.flights: list[asyncio.Future[Fetched]] = []
        self.requests: list[tuple[str, asyncio.Task[PublicJwk]]] = []
        self.begun: list[float] = []
        self.answered: float | None = None
        self.client = JwksClient(self.fetch, clock=self.clock, timeout=10**6, on_event=self.note)

    def note(self, name: str, /, **fields: Any) -> None:
        """Drop an event."""

    async def fetch(self, etag: str | None) -> Fetched:
        """Wait for the answer; never two at once."""
        assert self.flights == []
        self.begun.append(self.clock())
        self.flights.append(self.loop.create_future())
        return await self.flights[0]

    def settle(self) -> None:
        """Let what is scheduled on the loop happen."""

        async def turn() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    def look(self) -> JwkSet | None:
        """Do what each request and the timer do."""

        async def look() -> JwkSet | None:
            return self.client.current()

        return self.loop.run_until_complete(look())

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        # As if the timeout were five seconds; it is one of the loop's clock, not of ours.
        longest = self.begun[-1] + 5 - self.clock() if self.flights else seconds
        self.clock.advance(min(seconds, longest))
        self.look()
        self.settle()

    @rule(kid=SOME_KIDS)
    def token_arrives(self, kid: str) -> None:
        """A request with a known kid has its key at once, even during a fetch."""
        keys = self.look()
        task = self.loop.create_task(self.client.key(kid, "RS256"))
        self.settle()
        if keys is not None and keys.select(kid, "RS256") is not None:
            assert task.result().kid == kid
        else:
            self.requests.append((kid, task))

    @precondition(lambda self: self.flights)
    @rule(which=st.sampled_from([500, 304, 0, 1]))
    def answer(self, which: int) -> None:
        """End the fetch: with a status, or with one of two sets."""
        flight = self.flights.pop()
        headers = {"cache-control": "max-age=300", "etag": '"x"'}
        if which > 1:
            flight.set_result(Fetched(status=which, headers=headers, revalidate=INTERVAL))
        else:
            flight.set_result(
                Fetched(status=200, headers=headers, body=BODIES[which], revalidate=INTERVAL)
            )
        self.settle()

    @invariant()
    def the_issuer_is_asked_in_time(self) -> None:
        """While nothing is asked, the last answer is younger than the interval allows."""
        status = self.client.status()
        if status.age is not None and not self.flights and status.failures == 0:
            assert status.age <= INTERVAL + 5

    @invariant()
    def nobody_waits_without_a_fetch(self) -> None:
        """Requests wait only while a fetch is under way; then they get a key or a refusal."""
        waiting = []
        for kid, task in self.requests:
            if not task.done():
                waiting.append((kid, task))
            elif error := task.exception():
                assert isinstance(error, UnknownKey | NoKeySet)
            else:
                assert task.result().kid == kid
        self.requests = waiting
        assert self.flights or not waiting

    @invariant()
    def fetches_are_bounded(self) -> None:
        """In half a minute two for unknown kids, the rest by the schedule and after failures."""
        recent = [each for each in self.begun if each > self.clock() - 30]
        assert len(recent) <= 12

    def teardown(self) -> None:
        """Leave nothing behind."""
        for _, task in self.requests:
            task.cancel()
        self.loop.run_until_complete(self.client.aclose())
        self.settle()
        self.loop.close()


TestDecisions = pytest.mark.rfc("roll-5")(Decisions.TestCase)
TestClient = pytest.mark.rfc("roll-5")(Client.TestCase)
