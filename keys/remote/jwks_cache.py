"""Decide which JWK set to trust, and when to fetch another (RFC 9111 §4.2, §5.2). Pure.

Two things lead to a fetch, and neither can keep the other from it. The *schedule* asks again before
the set at hand is older than the issuer wants, and after a failure soon and then less often. A
token with an *unknown kid* may ask at most once in a cool-down.

Times are readings of one monotonic clock, in seconds; a wall clock that jumps changes nothing here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.remote.answer import Fetched

JITTER = 0.1
"""The largest share of a wait that it may be shorter by, so that not all APIs ask at once."""
_ABSENT_COOLDOWNS = 4
"""So many cool-downs a kid that a fetch did not bring causes none, unless the set changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """Say how long a key set serves and how often the issuer may be asked, in seconds.

    Raises:
        ValueError: bounds that contradict each other.
    """

    default_lifetime: int = 300
    """Where the issuer names no `max-age`."""
    minimum_lifetime: int = 10
    maximum_lifetime: int = 3600
    refresh_at: float = 0.8
    """The share of the lifetime after which the issuer is asked again, if it states no interval."""
    cooldown: float = 30
    """The least time between two fetches for an unknown kid, and the longest between failures."""
    stale_for: float = 3600
    """How long the last good set serves past its lifetime while the issuer cannot be reached."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        ordered = 0 < self.minimum_lifetime <= self.default_lifetime <= self.maximum_lifetime
        if not ordered or not 0 < self.refresh_at <= 1:
            raise ValueError("lifetimes must be ordered and refresh_at within (0, 1]")
        if self.cooldown < 1 or self.stale_for < 0:
            raise ValueError("cooldown must be at least a second and stale_for not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How long an answer serves, in seconds from the moment at which it was asked for."""

    check_after: float
    """The longest time until the issuer must be asked again."""
    fresh_for: float
    dead_after: float
    """It serves until then, though the issuer cannot be reached."""
    may_be_stored: bool = True
    """Whether it may be written to a disk."""


def freshness_of(answer: Fetched, policy: CachePolicy) -> Freshness:
    """Read how long an answer serves.

    Args:
        answer: of status 200 or 304; `cache-control` and `age` of it count, and the interval that
            the issuer states.
        policy: the bounds, and what holds where the issuer says nothing.
    """
    control = answer.headers.get("cache-control", "")
    lifetime = lifetime_of(answer.headers, policy)
    # What an issuer states as its interval is a promise to answer that often: no lower bound.
    check_after = min(lifetime * policy.refresh_at, answer.revalidate or lifetime)
    dead_after = lifetime + policy.stale_for
    stated = _stated_lifetime(answer.headers)
    if stated and _MUST_REVALIDATE.search(control) and not _UNCACHED.search(control):
        # RFC 9111 §4.2.4, §5.2.2.2: not beyond what the issuer states. That and no more: a server
        # that forbids caching altogether says so of everything, and says nothing about its keys.
        dead_after = min(dead_after, max(stated, policy.minimum_lifetime))
    return Freshness(
        check_after=check_after,
        fresh_for=lifetime,
        dead_after=dead_after,
        may_be_stored=_NO_STORE.search(control) is None,
    )


def lifetime_of(headers: Mapping[str, str], policy: CachePolicy) -> float:
    """Read how long an answer stays fresh: `max-age` less `Age`, within the policy's bounds.

    Args:
        headers: response headers, names in lower case.
        policy: the bounds, and what holds where the issuer says nothing.
    """
    # RFC 9111 §5.2.2.1. The bounds keep a wrong header from pinning a set, or from fetching it all
    # the time. §5.2.2.4, §5.2.2.5: what must not be cached is asked for again as soon as may be.
    if _UNCACHED.search(headers.get("cache-control", "")):
        return policy.minimum_lifetime
    left = _stated_lifetime(headers)
    if left is None:
        return policy.default_lifetime
    return max(policy.minimum_lifetime, min(policy.maximum_lifetime, left))


def _stated_lifetime(headers: Mapping[str, str]) -> int | None:
    """Give `max-age` less `Age`, or None where there is no `max-age`."""
    max_age = _MAX_AGE.search(headers.get("cache-control", ""))
    if max_age is None:
        return None
    # RFC 9111 §5.1: a shared cache on the way tells in Age how much of it is spent already.
    # Of several the first counts, and what is too large for a parser is very old (§1.2.2).
    age = _AGE.match(headers.get("age", ""))
    return int(max_age[1]) - (int(age[1][:10]) if age else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheState:
    """What is known of the issuer's keys; the defaults are a process that knows nothing yet."""

    keys: JwkSet | None = None
    etag: str | None = None
    checked_at: float = 0
    """When the last good answer was asked for."""
    check_after: float = 0
    """How long after that the issuer wants to be asked again."""
    fresh_until: float = 0
    dead_at: float = 0
    """From then on, the set is not served: its lifetime and the grace beyond are over."""
    refresh_at: float = 0
    """From then on, a fetch by the schedule is due; never later than `dead_at` of a set."""
    kid_at: float = 0
    """Until then, no fetch on account of an unknown kid."""
    absent: tuple[tuple[str, float], ...] = ()
    """Kids that a fetch for their sake did not bring, and until when they cause no other."""
    failures: int = 0
    """Failed fetches in a row."""

    def usable(self, now: float) -> JwkSet | None:
        """Give the set if it may still be believed."""
        return self.keys if now < self.dead_at else None

    def may_ask_for(self, kid: str, now: float) -> bool:
        """Say whether a token of this unknown kid may cause a fetch."""
        return now >= self.kid_at and all(kid != one or now >= until for one, until in self.absent)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the issuer, all waiting requests together, then decide again."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not ask: the kid is not known (`retry_after` None), or no set can be had right now."""

    retry_after: int | None


def decide(
    state: CacheState, kid: str, alg: str, now: float, *, since: float | None = None
) -> PublicJwk | Fetch | Refuse:
    """Choose the key for a token, or say what to do without one.

    Args:
        state: what is known.
        kid: of the token, not yet proven.
        alg: of the token.
        now: the moment.
        since: when the token came, if it waited for a fetch: a set that was asked for after that
            is conclusive.
    """
    keys = state.usable(now)
    if keys is None:
        if now >= state.refresh_at:
            return Fetch()
        return Refuse(max(1, round(state.refresh_at - now)))
    key = keys.select(kid, alg)
    if key is not None:
        return key
    # An unknown kid may be a new key or an attack.
    if state.checked_at < (now if since is None else since) and state.may_ask_for(kid, now):
        return Fetch()
    return Refuse(None)


def while_asking_for_kid(state: CacheState, policy: CachePolicy, *, now: float) -> CacheState:
    """Give the state once a fetch on account of an unknown kid has begun."""
    # It counts however it ends: an issuer that is down is not asked more often by forged kids.
    return replace(state, kid_at=now + policy.cooldown)


def after_success(
    state: CacheState,
    policy: CachePolicy,
    *,
    started: float,
    now: float,
    keys: JwkSet | None,
    etag: str | None,
    freshness: Freshness,
    kid: str | None = None,
    jitter: float = 0,
) -> CacheState:
    """Give the state after a good answer.

    Args:
        state: before the answer.
        policy: lifetimes and cool-downs.
        started: when the fetch began: the answer may be as old as that (RFC 9111 §4.2.3).
        now: when it ended.
        keys: the set, or None for 304: the one at hand is still current.
        etag: its entity tag.
        freshness: how long the answer serves.
        kid: the unknown kid on whose account it was fetched, if any.
        jitter: from 0 to 1, how much earlier than at the latest to ask again.
    """
    # An equal set stays the same object: what was verified under it remains verified.
    current = state.keys if keys is None or keys == state.keys else keys
    absent = tuple(one for one in state.absent if now < one[1]) if current is state.keys else ()
    if kid is not None:
        absent += ((kid, now + _ABSENT_COOLDOWNS * policy.cooldown),)
    # The next answer may take as long as this one did, and must be there in time. An issuer that
    # is slower than that is asked half of the time, or as often as it wants.
    took = now - started
    due = started + freshness.check_after * (1 - JITTER * jitter) - took
    # RFC 9111 §4.2.4: a stale answer serves only as long as this allows, an outage of the issuer
    # included: a key that was withdrawn must not be trusted for ever.
    dead_at = started + freshness.dead_after
    return CacheState(
        keys=current,
        etag=etag,
        checked_at=started,
        check_after=freshness.check_after,
        fresh_until=started + freshness.fresh_for,
        dead_at=dead_at,
        refresh_at=min(dead_at, max(due, now + min(took, freshness.check_after))),
        kid_at=state.kid_at,
        absent=absent,
    )


def after_failure(
    state: CacheState, policy: CachePolicy, *, now: float, jitter: float = 0
) -> CacheState:
    """Give the state after a failed fetch: the last good set stays, the next try waits."""
    failures = state.failures + 1
    usable = state.usable(now) is not None
    # The wait starts at a second and doubles: one lost answer, or an API that was started before
    # its issuer, costs little. It stays below the issuer's own interval, so that an issuer that
    # is back is asked in time.
    longest = min(policy.cooldown, max(1, state.check_after)) if usable else policy.cooldown
    wait = min(longest, 2.0 ** min(failures - 1, 16)) * (1 - JITTER * jitter)
    # A fetch for an unknown kid that failed does not move the schedule.
    due = state.refresh_at if state.refresh_at > now else now + wait
    if not usable:
        return replace(state, keys=None, etag=None, failures=failures, refresh_at=due)
    return replace(state, failures=failures, refresh_at=min(due, state.dead_at))


def after_restoring(
    state: CacheState, policy: CachePolicy, *, now: float, keys: JwkSet, age: float, good_for: float
) -> CacheState:
    """Give the state with a set that was kept from before, which the issuer did not confirm.

    Args:
        state: after the failure that led to it.
        policy: bounds what the copy says of itself.
        now: the moment.
        keys: the set.
        age: seconds since it was fetched.
        good_for: seconds that it serves from then on.
    """
    left = min(good_for, policy.maximum_lifetime + policy.stale_for) - age
    if left <= 0:
        return state
    dead_at = now + left
    return replace(
        state,
        keys=keys,
        checked_at=now - age,
        check_after=policy.cooldown,
        fresh_until=now,
        dead_at=dead_at,
        refresh_at=min(state.refresh_at, dead_at),
    )


class KeySetState(StrEnum):
    """What an API has of an issuer's keys."""

    NONE = "none"
    """No set, or one that is too old: tokens cannot be judged."""
    FRESH = "fresh"
    STALE = "stale"
    """Its lifetime is over, and the issuer did not answer since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetStatus:
    """How an issuer's key set is, for gauges and probes."""

    state: KeySetState
    age: float | None
    """Seconds since the issuer last confirmed the set; None without one."""
    next_check: float
    """Seconds until the schedule asks again."""
    failures: int
    """Failed fetches in a row."""
    kids: tuple[str, ...]


def status_of(state: CacheState, now: float) -> KeySetStatus:
    """Say how the key set is."""
    keys = state.usable(now)
    kind = KeySetState.FRESH if now < state.fresh_until else KeySetState.STALE
    return KeySetStatus(
        state=KeySetState.NONE if keys is None else kind,
        age=None if keys is None else now - state.checked_at,
        next_check=max(0.0, state.refresh_at - now),
        failures=state.failures,
        kids=() if keys is None else tuple(key.kid for key in keys.keys),
    )


_MAX_AGE = re.compile(r'(?:^|[,\s])max-age="?([0-9]{1,9})(?![0-9])', re.IGNORECASE)
_AGE = re.compile(r"\s*0*([0-9]+)\s*(?:,|$)", re.ASCII)
# RFC 9111 §5.2.2.4: `no-cache` with field names is about these fields, not about the answer.
_UNCACHED = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)\s*(?:,|$)", re.IGNORECASE)
_NO_STORE = re.compile(r"(?:^|[,\s])no-store\s*(?:,|$)", re.IGNORECASE)
_MUST_REVALIDATE = re.compile(r"(?:^|[,\s])must-revalidate\s*(?:,|$)", re.IGNORECASE)
