"""One API request from choosing a token to the last answer, without any I/O.

A flow is a generator of steps (`consumer.steps`). RFC 6749 §4.4, RFC 6750 §3.1.
"""

import copy
import dataclasses
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from consumer.errors import ConsumerError, TokenEndpointUnreachable
from consumer.events import Event, reason_of
from consumer.http_library import Url
from consumer.origin import Origin, require_secure
from consumer.steps import Attempt, PendingTokenRequest, Renew, Step, Wait
from consumer.token_cache import MAX_ORIGINS, FetchFirst, Refuse, RenewEarly, Token, TokenCache, Use
from consumer.token_endpoint import TokenEndpoint, TokenPlan
from consumer.token_store import StoredToken
from keys.events import EventSink, ignore_event


class TokenFlow:
    """The shared part of all requests of one consumer: its token, and the way to a new one."""

    def __init__(
        self,
        plan: TokenPlan,
        endpoint: TokenEndpoint,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
        on_event: EventSink = ignore_event,
        stored: StoredToken | None = None,
    ) -> None:
        """Start without a token.

        Args:
            plan: whose tokens to get.
            endpoint: where to get them; all flows of a client share it.
            clock: seconds of a monotonic clock.
            draw: gives a random number from 0 to 1, by which processes renew at different times.
            on_event: gets each `consumer.events.Event`.
            stored: the token in a store that other processes use too.
        """
        self.plan = plan
        self._endpoint = endpoint
        self._clock = clock
        self._draw = draw
        self._on_event = on_event
        self._stored = stored
        self._lock = threading.Lock()  # held for a decision, never while waiting or sending
        self._cache = TokenCache()
        self._pending: PendingTokenRequest | None = None
        self.shared_under: object = None
        self._plain_http: set[Origin] = set()  # where the plan allows it

    def inherited(self) -> "TokenFlow":
        """Return the flow of a forked child: it has the token, and no request in progress.

        The thread that fetches, or holds the lock, exists in the parent alone.
        """
        flow = self.acting_for(self.plan.subject_token)
        flow._cache = self._cache
        flow._stored = self._stored
        flow._cache.spread(jitter=self._draw())
        return flow

    def acting_for(self, subject_token: str | None) -> "TokenFlow":
        """Return a flow of the same client that exchanges this token of a caller."""
        return TokenFlow(
            dataclasses.replace(self.plan, subject_token=subject_token),
            self._endpoint,
            clock=self._clock,
            draw=self._draw,
            on_event=self._on_event,
        )

    def fresh_attempt(self, url: Url) -> Attempt | None:
        """Return the attempt of an API request for which nothing is to be decided.

        The usual case, without a lock or a step: the token is fresh and needs no proof, no API has
        refused one lately, and this one is on https or has been found safe. If it is refused now,
        `steps` goes on from there.
        """
        if url.scheme != "https" and Origin(url.scheme, url.host, url.port) not in self._plain_http:
            return None
        token = self._cache.undisputed(now=self._clock())
        return None if token is None or self._endpoint.proofs is not None else Attempt(token)

    def steps(self, origin: Origin, made: Attempt | None = None) -> Generator[Step, None, None]:
        """Yield the steps of one API request: a token, the attempt, and at most one more of both.

        Between them comes the same token with another proof, once, if the API asks for a nonce.

        Args:
            origin: the API.
            made: the first attempt, if it has been made already.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one.
        """
        first = made
        if first is None:
            require_secure(origin, allow_insecure_http=self.plan.allow_insecure_http)
            if origin.scheme == "http" and len(self._plain_http) < MAX_ORIGINS:
                self._plain_http.add(origin)
            first = self._attempt((yield from self.token(origin)), origin)
            yield first
        if first.wants_nonce and first.replayable:
            first = self._attempt(first.token, origin)
            yield first
        self._learn(first, origin)
        if not (first.rejected and first.replayable):
            return
        try:
            token = yield from self.token(origin)
        except ConsumerError:
            return  # the API's own answer stands; the next request reports what is wrong
        # The same token again: this API refuses fresh ones too, so it is not worth a retry.
        if token is not first.token:
            second = self._attempt(token, origin)
            yield second
            self._learn(second, origin)

    def _attempt(self, token: Token, origin: Origin) -> Attempt:
        return Attempt(token, origin, self._endpoint.proofs)

    def token(self, origin: Origin | None = None) -> Generator[Step, None, Token]:
        """Yield the steps to a usable token, and return it.

        Args:
            origin: the API that it is for; None if that is not known.

        Raises:
            ConsumerError: no token is to be had.
        """
        while True:
            choice = self._choose(origin)
            match choice:
                case Use():
                    return choice.token
                case Refuse():
                    raise copy.copy(choice.error)
                case _Fetcher(choice=RenewEarly(token)):
                    yield from self._renew(choice.pending)
                    return token
                case _Fetcher():
                    return (yield from self._fetch_for_all(choice.pending))
                case Wait():
                    yield choice
                    outcome = choice.pending.outcome
                    if isinstance(outcome, Token):
                        return outcome
                    if outcome is not None:
                        raise copy.copy(outcome)
                case _:
                    assert_never(choice)

    def _choose(self, origin: Origin | None) -> "Use | Refuse | Wait | _Fetcher":
        with self._lock:
            now = self._clock()
            choice = self._cache.choose(origin, now=now)
            if isinstance(choice, Use | Refuse):
                return choice
            if self._pending is None or now >= self._pending.lost_at:
                self._pending = PendingTokenRequest(lost_at=now + self.plan.patience)
                return _Fetcher(self._pending, choice)
            if isinstance(choice, RenewEarly):
                return Use(choice.token)
            return Wait(self._pending, self._pending.lost_at - now)

    def _renew(self, pending: PendingTokenRequest) -> Generator[Step, None, None]:
        renewal = Renew(self._renewal(pending))
        yield renewal
        if not renewal.is_started:
            self._complete(pending, None)

    def _renewal(self, pending: PendingTokenRequest) -> Generator[Step, None, None]:
        with suppress(ConsumerError):  # the old token serves, and the next attempt backs off
            yield from self._fetch_for_all(pending)

    def _fetch_for_all(self, pending: PendingTokenRequest) -> Generator[Step, None, Token]:
        outcome: Token | ConsumerError | None = None
        try:
            outcome = yield from self._obtain_token()
            return outcome
        except ConsumerError as error:
            outcome = copy.copy(error)
            raise
        finally:
            # Also when this caller is cancelled: without an outcome, and another caller fetches.
            self._complete(pending, outcome)

    def _complete(
        self, pending: PendingTokenRequest, outcome: Token | ConsumerError | None
    ) -> None:
        with self._lock:
            if isinstance(outcome, Token):
                self._cache.store(outcome, jitter=self._draw())
            else:
                error = outcome or TokenEndpointUnreachable("the token request was broken off")
                self._cache.record_failure(error, now=self._clock())
            if self._pending is pending:
                self._pending = None
        pending.complete(outcome)
        self._report(pending, outcome)

    def _report(self, pending: PendingTokenRequest, outcome: Token | ConsumerError | None) -> None:
        plan, now = self.plan, self._clock()
        about = {"issuer": plan.issuer, "resource": plan.resource, "scope": plan.scope}
        fields: dict[str, object] = {name: value for name, value in about.items() if value}
        fields["seconds"] = round(now - (pending.lost_at - plan.patience), 3)
        if isinstance(outcome, Token):
            event = Event.TOKEN_SHARED if outcome.is_shared else Event.TOKEN_RENEWED
            self._on_event(event, lifetime=outcome.lifetime, **fields)
            return
        token = self._cache.token
        goes_on = token is not None and token.is_usable(now)
        event = Event.TOKEN_RENEWAL_FAILED if goes_on else Event.TOKEN_REQUEST_FAILED
        if outcome is not None and outcome.retry_after is not None:
            fields["retry_after"] = outcome.retry_after
        self._on_event(event, reason=reason_of(outcome), **fields)

    def _obtain_token(self) -> Generator[Step, None, Token]:
        if self._stored is None:
            return (yield from self._endpoint.obtain(self.plan))
        fetch = partial(self._endpoint.obtain, self.plan)
        return (yield from self._stored.obtain(self._cache.token, fetch))

    def _learn(self, attempt: Attempt, origin: Origin) -> None:
        if not attempt.rejected and not (attempt.accepted and self._cache.has_refusals):
            return  # the usual case, free of the lock
        with self._lock:
            if attempt.rejected:
                self._cache.reject(attempt.token, origin, now=self._clock())
            else:
                self._cache.accept(attempt.token, origin, now=self._clock())
        if attempt.rejected:
            self._on_event(Event.TOKEN_REJECTED, issuer=self.plan.issuer, api=str(origin))


@dataclass(frozen=True, slots=True)
class _Fetcher:
    """This caller is the one that fetches."""

    pending: PendingTokenRequest
    choice: FetchFirst | RenewEarly
