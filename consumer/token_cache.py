"""What is known about the current token, and what follows from it: use, renew or fetch.

Pure: the clock is an argument, and nothing here waits, locks or sends. Times are seconds of a
monotonic clock, so that setting the wall clock changes nothing. RFC 6749 §5.1, RFC 6750 §3.1.
"""

from dataclasses import dataclass, field

from consumer.errors import ConsumerError
from consumer.origin import Origin

MAX_ORIGINS = 256

# A token is renewed before its end, at a random moment of a window: processes that were started
# together do not ask for their next tokens together. The window takes a fifth of a life, at most a
# minute. Between it and the end there is time for further attempts, if the first ones fail.
_WINDOW_SHARE, _WINDOW_LIMIT = 0.20, 60.0
_RETRY_SHARE, _RETRY_LIMIT = 0.10, 60.0
# A token is not used in its last moments, so that it does not expire on the way.
_TRAVEL_SHARE, _TRAVEL_LIMIT = 0.05, 5.0

_BACK_OFF_LIMIT = 60.0
# An API that refuses a fresh token has a fault that renewal cannot cure. It is asked again after
# this time, which doubles with each fresh token that it refuses.
_INCURABLE_WAIT, _INCURABLE_LIMIT = 60.0, 960.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Token:
    """An access token as it was received; two of them are the same only if they are one."""

    value: str = field(repr=False)
    """What `Authorization: Bearer` is followed by; as secret as a password."""
    received_at: float
    """When it came, in seconds of the clock of its source."""
    lifetime: float
    """Seconds from then on."""
    scope: str | None = None
    """The scopes that were granted, if the issuer named them."""
    is_shared: bool = False
    """Another process got it, and a store has given it to this one."""

    def is_usable(self, now: float) -> bool:
        """Tell whether the token can still be sent."""
        left = self.received_at + self.lifetime - now
        return left > min(self.lifetime * _TRAVEL_SHARE, _TRAVEL_LIMIT)

    def renew_at(self, jitter: float) -> float:
        """Return from when on a new token should replace this one.

        Args:
            jitter: the place in the window, from 0 for its end to 1 for its beginning.
        """
        early = min(self.lifetime * _RETRY_SHARE, _RETRY_LIMIT)
        early += min(self.lifetime * _WINDOW_SHARE, _WINDOW_LIMIT) * jitter
        return self.received_at + self.lifetime - early


@dataclass(frozen=True, slots=True)
class Use:
    """Send this token."""

    token: Token


@dataclass(frozen=True, slots=True)
class RenewEarly:
    """A new token should be fetched in the background; this one serves meanwhile."""

    token: Token


@dataclass(frozen=True, slots=True)
class FetchFirst:
    """There is nothing to send: a new token has to come first."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The issuer asked for no requests for now; this is its error."""

    error: ConsumerError


Choice = Use | RenewEarly | FetchFirst | Refuse


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The last token that an API refused, and until when no other is fetched on its account."""

    token: Token
    fresh_ones_refused: int
    wait_until: float
    cured_from: float
    """When an accepted token counts as a cure: an API that refuses every other request, such as one
    of whose replicas is out of order, would else cost a token request for each."""


class TokenCache:
    """The current token of one client, and the memory of what went wrong with it."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.token: Token | None = None
        self._refusals: dict[Origin, _Refusal] = {}
        self._failures = 0
        self._renew_at = 0.0
        self._fetch_not_before = 0.0
        self._last_failure: ConsumerError | None = None

    def choose(self, origin: Origin | None, *, now: float) -> Choice:
        """Decide what a request to an API starts with."""
        token = self.token
        if token is None or not token.is_usable(now) or self._is_refused(token, origin, now):
            if self._last_failure is not None and now < self._fetch_not_before:
                return Refuse(self._last_failure)
            return FetchFirst()
        if now >= self._renew_at:
            return RenewEarly(token)
        return Use(token)

    def undisputed(self, *, now: float) -> Token | None:
        """Return the token if `choose` would have it used by a request to any API."""
        token = self.token
        if token is None or self._refusals or now >= self._renew_at or not token.is_usable(now):
            return None
        return token

    def store(self, token: Token, *, jitter: float) -> None:
        """Take a new token as the current one, to be renewed at this place of its window."""
        self.token = token
        self._failures = 0
        self._renew_at = token.renew_at(jitter)
        self._fetch_not_before = 0.0
        self._last_failure = None

    def spread(self, *, jitter: float) -> None:
        """Renew at another place of the window, as a forked child of the process does."""
        if self.token is not None:
            self._renew_at = self.token.renew_at(jitter)

    def record_failure(self, error: ConsumerError, *, now: float) -> None:
        """Remember that a fetch failed.

        Early renewals back off on their own: there is a token to go on with. Where there is
        none, the next caller tries again, unless the issuer asked for quiet (429, Retry-After).
        """
        self._failures += 1
        back_off = min(2.0 ** min(self._failures - 1, 10), _BACK_OFF_LIMIT)
        quiet_until = now + max(back_off, error.retry_after or 0.0)
        self._renew_at = max(self._renew_at, quiet_until)
        if error.retry_after is not None:
            self._fetch_not_before = max(self._fetch_not_before, quiet_until)
        self._last_failure = error

    def reject(self, token: Token, origin: Origin, *, now: float) -> None:
        """Record that an API refused a token as invalid.

        Only the token that was rejected is affected, and only for the API that rejected it: one
        API out of order must not take the token away from the others.
        """
        if token is not self.token:
            return  # it has been replaced already
        before = self._refusals.get(origin)
        if before is None:
            if len(self._refusals) >= MAX_ORIGINS:
                self._refusals.pop(next(iter(self._refusals)))
            self._refusals[origin] = _Refusal(token, 0, now, now + _INCURABLE_WAIT)
        elif before.token is not token:
            count = before.fresh_ones_refused + 1
            wait = min(_INCURABLE_WAIT * 2.0 ** min(count - 1, 10), _INCURABLE_LIMIT)
            self._refusals[origin] = _Refusal(token, count, now + wait, now + wait)

    def accept(self, token: Token, origin: Origin, *, now: float) -> None:
        """Record that an API accepted a token: end the back-off that an earlier refusal started.

        Not before the back-off is over: an open route of the same server accepts any token. Nor
        within a minute of the first refusal.
        """
        refusal = self._refusals.get(origin)
        if refusal is not None and refusal.token is not token and now >= refusal.cured_from:
            del self._refusals[origin]

    @property
    def has_refusals(self) -> bool:
        """Whether any API has refused a token lately; `accept` has nothing to do if not."""
        return bool(self._refusals)

    def _is_refused(self, token: Token, origin: Origin | None, now: float) -> bool:
        refusal = None if origin is None else self._refusals.get(origin)
        return refusal is not None and refusal.token is token and now >= refusal.wait_until
