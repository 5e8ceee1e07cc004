"""One API request from the first look for a token to the last answer, without any I/O.

A flow is a generator of steps. The shell around it (sync or async, httpx or httpx2) carries each
step out, notes the outcome in it and asks for the next. RFC 6749 §4.4, RFC 6750 §3.1.
"""

import copy
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import assert_never

from consumer.client_auth import ClientAuth
from consumer.errors import ConsumerError, TokenEndpointUnreachable, TokenRequestRefused
from consumer.fetch import FetchAnswer, FetchRequest
from consumer.flight import Flight
from consumer.metadata import build_further_requests, build_metadata_request, parse_metadata
from consumer.origin import Origin, require_secure
from consumer.token_cache import (
    FetchAnew,
    Refuse,
    RenewEarly,
    Standing,
    Token,
    TokenCache,
    Use,
)
from consumer.token_request import build_token_request, parse_token_response
from keys.identifiers import is_absent


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlan:
    """Whose tokens to get, and which; settled when the consumer starts."""

    issuer: str
    auth: ClientAuth
    scope: str | None = None
    resource: str | None = None
    token_endpoint: str | None = None
    allow_insecure_http: bool = False
    patience: float = 60.0
    """Seconds after which a token request that still has not ended counts as lost."""


class Fetch:
    """Step: ask the issuer. The shell sets `answer`, or `failure` if there is none."""

    def __init__(self, request: FetchRequest) -> None:
        """Ask this."""
        self.request = request
        self.answer: FetchAnswer | None = None
        self.failure: ConsumerError | None = None

    def result(self) -> FetchAnswer:
        """Return the answer or raise the failure."""
        if self.answer is None:
            raise self.failure or TokenEndpointUnreachable("the issuer was not asked")
        return self.answer


@dataclass(frozen=True, slots=True)
class Wait:
    """Step: sleep until another caller's token request has landed, at most so many seconds."""

    flight: Flight
    timeout: float


class Attempt:
    """Step: send the API request with this token. The shell notes what the API thought of it."""

    def __init__(self, token: Token) -> None:
        """Send with this token."""
        self.token = token
        self.accepted = False
        """The API did what was asked, or refused for another reason than the token."""
        self.rejected = False
        """The API answered 401 `invalid_token` to this very token."""
        self.replayable = False
        """The request could be sent once more just as it was."""


Step = Fetch | Wait | Attempt


class TokenFlow:
    """The shared part of all requests of one consumer: its token, and the way to a new one."""

    def __init__(self, plan: TokenPlan, *, clock: Callable[[], float]) -> None:
        """Start without a token.

        Args:
            plan: whose tokens to get.
            clock: seconds of a monotonic clock.
        """
        self._plan = plan
        self._clock = clock
        self._lock = threading.Lock()  # held for a decision, never while waiting or sending
        self._cache = TokenCache()
        self._flight: Flight | None = None
        self._discovered: str | None = None

    def inherited(self) -> "TokenFlow":
        """Return what a forked child goes on with: the token, but nothing that is under way.

        The thread that fetches, or holds the lock, exists in the parent alone.
        """
        flow = TokenFlow(self._plan, clock=self._clock)
        flow._cache, flow._discovered = self._cache, self._discovered
        return flow

    def steps(self, origin: Origin) -> Generator[Step, None, None]:
        """Lead one API request through: a token, the attempt, and at most one more of both.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        require_secure(origin, allow_insecure_http=self._plan.allow_insecure_http)
        first = Attempt((yield from self._token(origin)))
        yield first
        self._learn(first, origin)
        if not (first.rejected and first.replayable):
            return
        try:
            token = yield from self._token(origin)
        except ConsumerError:
            return  # the API's own answer stands; the next request reports what is wrong
        # The same token again: this API refuses fresh ones too, so it is not worth a retry.
        if token is not first.token:
            second = Attempt(token)
            yield second
            self._learn(second, origin)

    def _token(self, origin: Origin) -> Generator[Step, None, Token]:
        while True:
            choice = self._choose(origin)
            match choice:
                case Use():
                    return choice.token
                case Refuse():
                    raise copy.copy(choice.error)
                case _Lead():
                    return (yield from self._lead(choice))
                case Wait():
                    yield choice
                    outcome = choice.flight.outcome
                    if isinstance(outcome, Token):
                        return outcome
                    if outcome is not None:
                        raise copy.copy(outcome)
                case _:
                    assert_never(choice)

    def _choose(self, origin: Origin) -> "Use | Refuse | Wait | _Lead":
        with self._lock:
            now = self._clock()
            choice = self._cache.choose(origin, now=now)
            if isinstance(choice, Use | Refuse):
                return choice
            if self._flight is None or now >= self._flight.lost_at:
                self._flight = Flight(lost_at=now + self._plan.patience)
                return _Lead(self._flight, choice)
            if isinstance(choice, RenewEarly):
                return Use(choice.token)
            return Wait(self._flight, self._flight.lost_at - now)

    def _lead(self, lead: "_Lead") -> Generator[Step, None, Token]:
        outcome: Token | ConsumerError | None = None
        try:
            outcome = yield from self._fetch_token()
            return outcome
        except ConsumerError as error:
            outcome = copy.copy(error)
            if isinstance(lead.choice, RenewEarly):
                old = lead.choice.token
                if old.standing(self._clock()) is not Standing.GONE:
                    return old
            raise
        finally:
            # Also when the caller was cancelled: then with no outcome, and another one leads.
            self._land(lead.flight, outcome)

    def _land(self, flight: Flight, outcome: Token | ConsumerError | None) -> None:
        with self._lock:
            if isinstance(outcome, Token):
                self._cache.store(outcome)
            elif outcome is not None:
                self._cache.record_failure(outcome, now=self._clock())
            if self._flight is flight:
                self._flight = None
        flight.land(outcome)

    def _fetch_token(self) -> Generator[Step, None, Token]:
        plan = self._plan
        endpoint = plan.token_endpoint or self._discovered or (yield from self._discover())
        request = build_token_request(endpoint, plan.auth, scope=plan.scope, resource=plan.resource)
        fetch = Fetch(request)
        yield fetch
        try:
            return parse_token_response(fetch.result(), plan.auth, now=self._clock())
        except TokenRequestRefused:
            raise
        except ConsumerError:
            # Nobody who speaks OAuth is there: perhaps the endpoint has moved.
            self._discovered = None
            raise

    def _discover(self) -> Generator[Step, None, str]:
        answer = yield from self._fetch_metadata()
        metadata = parse_metadata(
            answer, self._plan.issuer, allow_insecure_http=self._plan.allow_insecure_http
        )
        self._discovered = metadata.token_endpoint
        return metadata.token_endpoint

    def _fetch_metadata(self) -> Generator[Step, None, FetchAnswer]:
        fetch = Fetch(build_metadata_request(self._plan.issuer))
        yield fetch
        answer = fetch.result()
        for request in build_further_requests(self._plan.issuer):
            if not is_absent(answer.status):
                break
            fetch = Fetch(request)
            yield fetch
            # What the first address said is what is told if nothing is found.
            if not is_absent(fetch.result().status):
                answer = fetch.result()
        return answer

    def _learn(self, attempt: Attempt, origin: Origin) -> None:
        if not attempt.rejected and not (attempt.accepted and self._cache.has_refusals):
            return  # the usual case, free of the lock
        with self._lock:
            if attempt.rejected:
                self._cache.reject(attempt.token, origin, now=self._clock())
            else:
                self._cache.accept(attempt.token, origin, now=self._clock())


@dataclass(frozen=True, slots=True)
class _Lead:
    """This caller is the one that fetches."""

    flight: Flight
    choice: FetchAnew | RenewEarly
