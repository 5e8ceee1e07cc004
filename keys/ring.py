"""Derive the state of signing keys: which one signs, which are published, when each is gone.

Pure. A key's state is *derived* from times alone, so all workers and nodes that read the same
store agree without talking. The rollover rule: a successor is published before it signs for as
long as a validator may hold an old key set, and a superseded key stays published for as long as a
token that it signed may live.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from keys.errors import KeyFromTheFuture


class KeyState(StrEnum):
    """Where a key is in its life; as time goes on it only moves down this list."""

    PENDING = "pending"
    """Published, so that validators learn it; does not sign yet."""
    ACTIVE = "active"
    """Signs."""
    RETIRING = "retiring"
    """Published, for tokens that it signed may still live; signs no more."""
    GONE = "gone"
    """Not published: no token that it signed can still be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKey:
    """What the ring knows of a key; times are seconds since the epoch."""

    kid: str
    alg: str
    published_at: int
    signs_from: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RingPolicy:
    """The durations, in seconds, that the rollover rule follows from."""

    jwks_max_age: int = 300
    """How long a validator may keep a key set without looking again."""
    slack: int = 60
    """How much longer it may go on using it: stale sets, slow fetches, clocks that differ."""
    longest_token: int = 86_400
    """The longest life of any token."""
    leeway: int = 60
    """How long after its end a validator may still accept a token."""

    def __post_init__(self) -> None:
        """Refuse durations that cannot be."""
        if min(self.jwks_max_age, self.slack, self.longest_token, self.leeway) < 0:
            raise ValueError("durations of the rollover rule must not be negative")

    @property
    def publish_ahead(self) -> int:
        """Return how long a key is published before it signs."""
        return self.jwks_max_age + self.slack

    @property
    def keep(self) -> int:
        """Return how long a key stays published after it signed last."""
        return self.longest_token + self.leeway


@dataclass(frozen=True, slots=True, kw_only=True)
class RingEntry:
    """A key with what follows from its neighbours and the time."""

    key: RingKey
    state: KeyState
    superseded_at: int | None
    """When the next key of its algorithm takes over; None while there is no next key."""
    gone_at: int | None
    """When it leaves the published set; None while there is no next key."""


def derive_ring(keys: Iterable[RingKey], now: int, policy: RingPolicy) -> tuple[RingEntry, ...]:
    """Derive the state of every key at one instant, in the order in which the keys sign.

    Args:
        keys: the keys of the store, in any order.
        now: seconds since the epoch.
        policy: the durations of the rollover rule.
    """
    ordered = sorted(keys, key=_order)
    entries: list[RingEntry] = []
    for alg in sorted({key.alg for key in ordered}):
        entries += _derive_one_algorithm([key for key in ordered if key.alg == alg], now, policy)
    return tuple(sorted(entries, key=lambda entry: _order(entry.key)))


def _order(key: RingKey) -> tuple[int, str]:
    return key.signs_from, key.kid


def _derive_one_algorithm(
    ordered: list[RingKey], now: int, policy: RingPolicy
) -> Iterable[RingEntry]:
    # Of the keys whose turn has come, the latest signs. If none has come (the clock jumped back, or
    # the first key was given a later start), the earliest does: a wrong clock must not become an
    # outage, and validators have known the earliest for longest.
    started = sum(key.signs_from <= now for key in ordered)
    active = max(started - 1, 0)
    for index, key in enumerate(ordered):
        is_last = index == len(ordered) - 1
        superseded_at = None if is_last else ordered[index + 1].signs_from
        # The last token of a key is signed just before it is superseded, and is accepted until its
        # end and a validator's leeway are over.
        gone_at = None if superseded_at is None else superseded_at + policy.keep
        if index > active:
            state = KeyState.PENDING
        elif index == active:
            state = KeyState.ACTIVE
        elif gone_at is None or now < gone_at:
            state = KeyState.RETIRING
        else:
            state = KeyState.GONE
        yield RingEntry(key=key, state=state, superseded_at=superseded_at, gone_at=gone_at)


def signing_keys(entries: Iterable[RingEntry]) -> dict[str, RingKey]:
    """Return the key that signs with each algorithm."""
    return {entry.key.alg: entry.key for entry in entries if entry.state is KeyState.ACTIVE}


def published(entries: Iterable[RingEntry]) -> tuple[RingKey, ...]:
    """Return the keys that belong in the JWK set: all that sign, will sign or have signed."""
    return tuple(entry.key for entry in entries if entry.state is not KeyState.GONE)


def place_key(
    ring: Iterable[RingKey],
    *,
    kid: str,
    alg: str,
    now: int,
    policy: RingPolicy,
    activate_in: int | None = None,
) -> RingKey:
    """Give a new key its times in the ring.

    Raises:
        KeyFromTheFuture: if a key of the ring is dated in the future and ``activate_in`` is not 0.
        ValueError: if ``activate_in`` is negative.
    """
    if activate_in is not None and activate_in < 0:
        raise ValueError("activate_in must not be negative")
    others = tuple(ring)
    # A clock that jumped back must not place a successor before the keys that are already known.
    latest = max(others, key=lambda key: key.published_at, default=None)
    published_at = now if latest is None else max(now, latest.published_at)
    # A key that is dated in the future was made while a clock was ahead. Clocks of nodes may differ
    # by the slack; beyond that a new key would wait until that date, so it is refused, unless it is
    # to sign at once.
    if latest is not None and published_at > now + policy.slack:
        if activate_in != 0:
            raise KeyFromTheFuture(_explain_date(latest))
        published_at = now
    signs_from = published_at
    # The very first key signs at once, for no validator holds a set that lacks it. Every other one
    # waits until every validator must have fetched a set that has it.
    if others:
        signs_from += policy.publish_ahead if activate_in is None else activate_in
    # Two keys that start in the same second would leave one that never signs.
    taken = {key.signs_from for key in others}
    while signs_from in taken:
        signs_from += 1
    return RingKey(kid=kid, alg=alg, published_at=published_at, signs_from=signs_from)


def _explain_date(key: RingKey) -> str:
    date = datetime.fromtimestamp(key.published_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"key {key.kid} is dated {date}, after this machine's clock, so a new key would wait until "
        "then; correct the clock, or give --activate-in 0 for a key that signs at once"
    )
