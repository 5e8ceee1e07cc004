"""Derive the state of signing keys: which one signs, which are published, when each is gone.

Pure. A key's state is *derived* from times alone, so all workers and nodes that read the same
store agree without talking. The rollover rule: a successor is published before it signs for as
long as a validator may hold an old key set, and a superseded key stays published for as long as a
token that it signed may live. `keys/lifecycle.py` says which times a key is given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil

from keys.jwks import MAXIMUM_KEYS


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
    REVOKED = "revoked"
    """Not published: it was withdrawn, and its tokens are to be refused whatever their age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKey:
    """What the ring knows of a key; times are seconds since the epoch."""

    kid: str
    alg: str
    published_at: int
    signs_from: int | None
    """When its turn comes; None while a prepared successor has no date."""
    withdrawn_at: int | None = None
    """When it was revoked; None for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingPolicy:
    """The durations, in seconds, that the rollover rule follows from."""

    jwks_max_age: int = 300
    """How long a validator may keep a key set without looking again."""
    longest_token: int = 86_400
    """The longest life of any token."""
    leeway: int = 60
    """How long after its end a validator may still accept a token."""
    rotate_every: int = 0
    """How long a key signs before the next one does; 0 for until it is rotated by command."""

    def __post_init__(self) -> None:
        """Refuse durations that cannot be."""
        if min(self.jwks_max_age, self.longest_token, self.leeway, self.rotate_every) < 0:
            raise ValueError("durations of the rollover rule must not be negative")

    @property
    def slack(self) -> int:
        """Return how much longer than its age a set may be in use: slow fetches, other clocks."""
        return min(60, max(2, self.jwks_max_age))

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
    """When the next key of its algorithm takes over; None while there is no next key with a date,
    and for a revoked key."""
    gone_at: int | None
    """When it leaves the published set; None where `superseded_at` is."""


def derive_ring(keys: Iterable[RingKey], now: int, policy: RingPolicy) -> tuple[RingEntry, ...]:
    """Derive the state of every key at one instant, in the order in which the keys sign.

    Args:
        keys: the keys of the store, in any order.
        now: seconds since the epoch.
        policy: the durations of the rollover rule.
    """
    ordered = sorted(keys, key=_order)
    has_begun = any(_has_started(key, now) for key in ordered if _has_a_turn(key))
    entries: list[RingEntry] = []
    for alg in sorted({key.alg for key in ordered}):
        line = [key for key in ordered if key.alg == alg and _has_a_turn(key)]
        active = _find_active(line, now, has_begun=has_begun)
        entries += _derive_line(line, active, now, policy)
    entries += [_revoked(key) for key in ordered if not _has_a_turn(key)]
    return tuple(sorted(entries, key=lambda entry: _order(entry.key)))


def _order(key: RingKey) -> tuple[bool, int, str]:
    # Those without a date come last, the one published longest first.
    if key.signs_from is None:
        return True, key.published_at, key.kid
    return False, key.signs_from, key.kid


def _has_started(key: RingKey, now: int) -> bool:
    return key.signs_from is not None and key.signs_from <= now


def _has_a_turn(key: RingKey) -> bool:
    """Tell whether a key is in the succession: all but those withdrawn before their turn came."""
    return key.withdrawn_at is None or _has_started(key, key.withdrawn_at)


def _find_active(line: list[RingKey], now: int, *, has_begun: bool) -> int | None:
    """Return the place of the key that signs among those of its algorithm.

    Of the keys whose turn has come, the latest signs. If no turn of any key of the store has come
    (one that was withdrawn before has none), the clock jumped back, or the first key was given a
    later start: then the earliest signs. A wrong clock must not become an outage, and validators
    have known the earliest for longest. The first key of a further algorithm waits: no validator
    may know it yet. One that was to sign when it was published, as the first key of a store is,
    never waits, whatever other algorithms have: the clock is behind the one that it was made by.

    The turn of a key that was withdrawn passes to the key after it, also where the clock is a
    little behind that of the node which withdrew it.
    """
    started = sum(_has_started(key, now) for key in line)
    if has_begun and not started and line and _was_to_wait(line[0]):
        return None
    turn = range(max(started - 1, 0), len(line))
    return next((place for place in turn if line[place].withdrawn_at is None), None)


def _was_to_wait(key: RingKey) -> bool:
    return key.signs_from is None or key.signs_from > key.published_at


def _derive_line(
    line: list[RingKey], active: int | None, now: int, policy: RingPolicy
) -> Iterable[RingEntry]:
    for place, key in enumerate(line):
        if key.withdrawn_at is not None:
            yield _revoked(key)
            continue
        is_last = place == len(line) - 1
        superseded_at = None if is_last else line[place + 1].signs_from
        # The last token of a key is signed just before it is superseded, and is accepted until its
        # end and a validator's leeway are over.
        gone_at = None if superseded_at is None else superseded_at + policy.keep
        if place == active:
            state = KeyState.ACTIVE
        elif not _has_started(key, now):
            state = KeyState.PENDING
        elif gone_at is not None and gone_at <= now:
            state = KeyState.GONE
        else:
            state = KeyState.RETIRING
        yield RingEntry(key=key, state=state, superseded_at=superseded_at, gone_at=gone_at)


def _revoked(key: RingKey) -> RingEntry:
    return RingEntry(key=key, state=KeyState.REVOKED, superseded_at=None, gone_at=None)


def signing_keys(entries: Iterable[RingEntry]) -> dict[str, RingKey]:
    """Return the key that signs with each algorithm."""
    return {entry.key.alg: entry.key for entry in entries if entry.state is KeyState.ACTIVE}


def published(entries: Iterable[RingEntry]) -> tuple[RingKey, ...]:
    """Return the keys that belong in the JWK set: all that sign, will sign or have signed."""
    hidden = (KeyState.GONE, KeyState.REVOKED)
    return tuple(entry.key for entry in entries if entry.state not in hidden)


def deletable_from(key: RingKey, policy: RingPolicy) -> int:
    """Return when a withdrawn key can be deleted, in seconds since the epoch; 0 for any other."""
    # The turn of its successor may be a little ahead of another node's clock: until then it is the
    # record of the withdrawn key that says whose turn it is.
    return 0 if key.withdrawn_at is None else key.withdrawn_at + policy.slack


def explain_too_fast(policy: RingPolicy, *algs: str) -> str | None:
    """Say why keys cannot be rotated so often, with the arithmetic; None if they can.

    Args:
        policy: the rollover rule; without `rotate_every` nothing is too fast.
        algs: the algorithms of the keys, each rotated so often: their sizes bound how many of each
            a set can hold together.
    """
    every, ahead = policy.rotate_every, policy.publish_ahead
    if not every:
        return None
    life, kinds = policy.keep + ahead, ", ".join(algs)
    # Each key takes its share of the set.
    room = int(1 / sum(Fraction(1, _LARGE_KEYS.get(alg, MAXIMUM_KEYS)) for alg in algs))
    if room <= 2:
        return f"keys of {kinds} cannot be rotated by time: validators take {room} of each in a set"
    # The one that signs and the one that is prepared come on top of those that overlap.
    least = max(ahead, ceil(life / (room - 2)))
    if every >= least:
        return None
    if every < ahead:
        why = (
            f"a key is published {ahead} s before it signs (jwks_max_age {policy.jwks_max_age} + "
            f"slack {policy.slack})"
        )
    else:
        why = (
            f"a key stays published {life} s beside the time that it signs (longest token "
            f"{policy.longest_token} + leeway {policy.leeway} + {ahead} ahead), which makes "
            f"{ceil(life / every) + 2} keys in the set, and validators take {room} of {kinds}"
            f"{' each' if len(algs) > 1 else ''}"
        )
    return f"keys cannot be rotated every {every} s: {why}; the least is {least}"


# What 64 KB hold of keys that are large; of all others their number is the bound.
_LARGE_KEYS = {"ML-DSA-44": 35, "ML-DSA-65": 24, "ML-DSA-87": 18}
