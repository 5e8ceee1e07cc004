"""Decide which JWK set to trust, and when to fetch another (RFC 9111 §4.2, §5.2). Pure.

Times are readings of one monotonic clock, in seconds; a wall clock that jumps changes nothing here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from keys.jwk import PublicJwk
from keys.jwks import JwkSet


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
    """The share of the lifetime after which a request triggers a refresh in the background."""
    cooldown: float = 30
    """The least time between two fetches that an unknown kid or a failure causes."""
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
class CacheState:
    """What is known of the issuer's keys; the defaults are a process that knows nothing yet."""

    keys: JwkSet | None = None
    etag: str | None = None
    refresh_at: float = 0
    """From then on, a refresh in the background is due."""
    dead_at: float = 0
    """From then on, the set is not served: its lifetime and the grace beyond are over."""
    retry_at: float = 0
    """Until then, no fetch on account of an unknown kid, a failure, or staleness."""
    failures: int = 0
    """Failed fetches in a row."""

    def usable(self, now: float) -> JwkSet | None:
        """Give the set if it may still be believed."""
        return self.keys if now < self.dead_at else None

    def refresh_due(self, now: float) -> bool:
        """Say whether a refresh should start, without any request waiting for it."""
        return now >= self.refresh_at and now >= self.retry_at


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the issuer, all waiting requests together, then decide again."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not ask: the kid is not known (`retry_after` None), or no set can be had right now."""

    retry_after: int | None


def decide(state: CacheState, kid: str, alg: str, now: float) -> PublicJwk | Fetch | Refuse:
    """Choose the key for a token, or say what to do without one."""
    keys = state.usable(now)
    key = keys.select(kid, alg) if keys is not None else None
    if key is not None:
        return key
    # An unknown kid may be a new key or an attack: it causes at most one fetch per cool-down, and a
    # failed fetch counts as one.
    if now >= state.retry_at:
        return Fetch()
    return Refuse(None if keys is not None else max(1, round(state.retry_at - now)))


def after_success(
    state: CacheState,
    policy: CachePolicy,
    *,
    now: float,
    keys: JwkSet | None,
    etag: str | None,
    lifetime: float,
) -> CacheState:
    """Give the state after a good answer; `keys` None is 304, the set at hand is still current."""
    # An equal set stays the same object: what was verified under it remains verified.
    current = state.keys if keys is None or keys == state.keys else keys
    # RFC 9111 §4.2.4: a stale answer serves only as long as this allows, an outage of the issuer
    # included: a key that was withdrawn must not be trusted for ever.
    return CacheState(
        keys=current,
        etag=etag,
        refresh_at=now + lifetime * policy.refresh_at,
        dead_at=now + lifetime + policy.stale_for,
        retry_at=now + policy.cooldown,
    )


def after_failure(state: CacheState, policy: CachePolicy, *, now: float) -> CacheState:
    """Give the state after a failed fetch: the last good set stays, the next try waits."""
    failures = state.failures + 1
    # Without any set the wait starts at a second and doubles, so that an API that was started
    # before its issuer recovers quickly.
    cold = state.usable(now) is None
    wait = min(policy.cooldown, 2.0 ** min(failures - 1, 16)) if cold else policy.cooldown
    return replace(state, failures=failures, retry_at=now + wait)


def lifetime_of(headers: Mapping[str, str], policy: CachePolicy) -> float:
    """Read how long an answer stays fresh: `max-age` less `Age`, within the policy's bounds.

    Args:
        headers: response headers, names in lower case.
        policy: the bounds, and what holds where the issuer says nothing.
    """
    # RFC 9111 §5.2.2.1. The bounds keep a wrong header from pinning a set, or from fetching it all
    # the time.
    max_age = _MAX_AGE.search(headers.get("cache-control", ""))
    if max_age is None:
        return policy.default_lifetime
    # RFC 9111 §5.1: a shared cache on the way tells in Age how much of it is spent already.
    age = headers.get("age", "0").strip()
    spent = int(age) if _SECONDS.fullmatch(age) else 0
    left = int(max_age[1]) - spent
    return max(policy.minimum_lifetime, min(policy.maximum_lifetime, left))


_MAX_AGE = re.compile(r'(?:^|[,\s])max-age="?([0-9]{1,9})(?![0-9])', re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
