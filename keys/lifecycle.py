"""Plan every change of a key store: what is generated, dated, withdrawn and deleted, and when.

Pure. Each plan is a function of the keys, the time and the rollover rule, and the store carries it
out in one write, under its lock. So of several nodes that want the same at the same moment one does
it, and the others find it done.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from keys.errors import KeyFromTheFuture, KeyInUse, KeyStoreError, NoSuchKey, RotationUnderWay
from keys.ring import KeyState, RingEntry, RingKey, RingPolicy, deletable_from, derive_ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Make a key."""

    alg: str
    published_at: int
    signs_from: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reschedule:
    """Give a key another time from which it signs."""

    kid: str
    signs_from: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take a key out of use at once; its record stays."""

    kid: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a key from the store."""

    kid: str


Change = Generate | Reschedule | Withdraw | Delete
LONGEST_WAIT = 31_536_000
"""Seconds, a year, after which a new key signs at the latest."""
Plan = tuple[Change, ...]
"""Changes that belong together, in an order in which no step takes a signing key away."""
PlanOf = Callable[[tuple[RingKey, ...]], Plan]


def apply_change(ring: tuple[RingKey, ...], change: Change, kid: str = "") -> tuple[RingKey, ...]:
    """Return the keys as they are after a change.

    Args:
        ring: the keys.
        change: one step of a plan.
        kid: what the new key is called, where the change makes one.
    """
    match change:
        case Generate():
            new = RingKey(
                kid=kid,
                alg=change.alg,
                published_at=change.published_at,
                signs_from=change.signs_from,
            )
            return *ring, new
        case Reschedule():
            return _replace(ring, replace(_of(ring, change), signs_from=change.signs_from))
        case Withdraw():
            return _replace(ring, replace(_of(ring, change), withdrawn_at=change.at))
    return tuple(key for key in ring if key.kid != change.kid)


def _of(ring: tuple[RingKey, ...], change: Reschedule | Withdraw) -> RingKey:
    return next(key for key in ring if key.kid == change.kid)


def _replace(ring: tuple[RingKey, ...], new: RingKey) -> tuple[RingKey, ...]:
    return tuple(new if key.kid == new.kid else key for key in ring)


def plan_generation(
    ring: tuple[RingKey, ...],
    now: int,
    policy: RingPolicy,
    alg: str,
    *,
    activate_in: int | None = None,
) -> Plan:
    """Plan a key that an operator asks for: the first signs at once, others by the rule.

    Args:
        ring: the keys of the store.
        now: seconds since the epoch.
        policy: the rollover rule.
        alg: the algorithm that the key will serve.
        activate_in: seconds until it signs, instead of the rule; `LONGEST_WAIT` at most.

    Raises:
        KeyFromTheFuture: if a key of the ring is dated in the future and ``activate_in`` is not 0.
        ValueError: if ``activate_in`` is negative or too long.
    """
    if activate_in is not None and not 0 <= activate_in <= LONGEST_WAIT:
        raise ValueError(f"activate_in must be from 0 to {LONGEST_WAIT} seconds")
    latest = max(ring, key=lambda key: key.published_at, default=None)
    # A key that is dated in the future was made while a clock was ahead. Clocks of nodes may differ
    # by the slack; beyond that a new key would wait until that date, so it is refused, unless it is
    # to sign at once.
    if latest is not None and not _is_believable(latest, now, policy) and activate_in != 0:
        raise KeyFromTheFuture(
            f"key {latest.kid} is dated {write_time(latest.published_at)}, after this machine's "
            "clock, so a new key would wait until then; correct the clock, or give --activate-in 0 "
            "for a key that signs at once"
        )
    published_at = _publication(ring, now, policy)
    wait = policy.publish_ahead if activate_in is None else activate_in
    # The very first key signs at once, for no validator holds a set that lacks it.
    if all(key.withdrawn_at is not None for key in ring):
        wait = 0
    active, _ = _signing_and_pending(alg, ring, now, policy)
    # Never before the key that signs, which a withdrawal in this second may have dated ahead.
    after = (active.signs_from or 0) + 1 if active is not None and activate_in is None else 0
    signs_from = _free_second(ring, alg, max(published_at + wait, after))
    return (Generate(alg=alg, published_at=published_at, signs_from=signs_from),)


def plan_upkeep(
    ring: tuple[RingKey, ...], now: int, policy: RingPolicy, algorithms: Collection[str]
) -> Plan:
    """Plan what a store needs so that each algorithm in use has a prepared successor.

    A successor is dated where keys are rotated by time. What has a date keeps it. An algorithm
    without any key gets none: the first one is for the operator to make. Nor does one that has a
    dated key from the future: one of two clocks is wrong, and it may be this one.

    Args:
        ring: the keys of the store.
        now: seconds since the epoch.
        policy: the rollover rule.
        algorithms: those that tokens are signed with.
    """
    plan: list[Change] = []
    for alg in sorted(algorithms):
        plan += _plan_upkeep_of(alg, ring, now, policy)
    return tuple(plan)


def _plan_upkeep_of(
    alg: str, ring: tuple[RingKey, ...], now: int, policy: RingPolicy
) -> list[Change]:
    active, pending = _signing_and_pending(alg, ring, now, policy)
    first = active or next(iter(pending), None)
    if first is None or find_dated_ahead(ring, now, policy, [alg]) is not None:
        return []
    plan: list[Change] = []
    begins = first.signs_from
    if begins is None:  # whatever signed before it was removed by hand
        begins = now if first is active else max(now, first.published_at + policy.publish_ahead)
        plan.append(Reschedule(kid=first.kid, signs_from=begins))
    successors = [key for key in pending if key is not first]
    published_at = _publication(ring, now, policy)
    if successors:
        published_at = min(key.published_at for key in successors)
    due = max(begins + policy.rotate_every, published_at + policy.publish_ahead, now)
    date = _free_second(ring, alg, due) if policy.rotate_every else None
    if not successors:
        plan.append(Generate(alg=alg, published_at=published_at, signs_from=date))
    elif date is not None and all(key.signs_from is None for key in successors):
        # Of those without a date the first is the one that was published longest.
        plan.append(Reschedule(kid=successors[0].kid, signs_from=date))
    return plan


def plan_rotation(ring: tuple[RingKey, ...], now: int, policy: RingPolicy, alg: str) -> Plan:
    """Plan that the prepared successor takes over as soon as every validator must know it.

    Args:
        ring: the keys of the store.
        now: seconds since the epoch.
        policy: the rollover rule.
        alg: the algorithm whose key is rotated.

    Raises:
        NoSuchKey: if no key of the algorithm signs.
        KeyFromTheFuture: if the one that signs is dated in the future: a later one would take over
            at once, for its turn is earlier.
        RotationUnderWay: if a successor is about to take over, or has just done so.
    """
    active, pending = _signing_and_pending(alg, ring, now, policy)
    if active is None:
        if not pending or pending[0].signs_from is None:
            raise NoSuchKey(f"no key signs with {alg}; run: watchword keys generate --alg {alg}")
        raise RotationUnderWay(_explain_wait(pending[0].kid, pending[0].signs_from))
    latest = max(active.published_at, active.signs_from or 0)
    if latest > now + policy.slack:
        raise KeyFromTheFuture(
            f"key {active.kid} signs and is dated {write_time(latest)}, after this "
            "machine's clock; correct the clock before keys are rotated"
        )
    since = active.signs_from
    if since is not None and since > now - policy.slack and _superseded_another(active, ring, now):
        raise RotationUnderWay(
            f"key {active.kid} took over at {write_time(since)}; "
            f"the next rotation can begin at {write_time(since + policy.slack)}"
        )
    published_at = _publication(ring, now, policy)
    if not pending:
        date = _free_second(ring, alg, max(published_at + policy.publish_ahead, (since or 0) + 1))
        return (Generate(alg=alg, published_at=published_at, signs_from=date),)
    successor = pending[0]
    due = max(now, successor.published_at + policy.publish_ahead, (since or 0) + 1)
    date = _free_second(ring, alg, due)
    if successor.signs_from is not None and successor.signs_from <= date:
        raise RotationUnderWay(_explain_wait(successor.kid, successor.signs_from))
    return _with_upkeep((Reschedule(kid=successor.kid, signs_from=date),), ring, now, policy, alg)


def _explain_wait(kid: str, signs_from: int) -> str:
    return f"a rotation is under way: key {kid} signs from {write_time(signs_from)} on"


def _superseded_another(active: RingKey, ring: tuple[RingKey, ...], now: int) -> bool:
    return any(
        key.alg == active.alg and key.signs_from is not None and key.signs_from < now
        for key in ring
        if key is not active
    )


def plan_withdrawal(ring: tuple[RingKey, ...], kid: str, now: int, policy: RingPolicy) -> Plan:
    """Plan that a key is neither used nor published any more, from now on.

    If it signs, the pending key that was published longest takes over at once; if there is none, a
    new one does.

    Args:
        ring: the keys of the store.
        kid: the key.
        now: seconds since the epoch.
        policy: the rollover rule.

    Raises:
        NoSuchKey: if there is no such key.
        KeyStoreError: if it is not published any more.
    """
    entry = _find(ring, kid, now, policy)
    if entry.state is KeyState.REVOKED:
        raise KeyStoreError(f"key {kid} is revoked already")
    if entry.state is KeyState.GONE:
        raise KeyStoreError(f"key {kid} is gone already: it is not published, and its tokens ended")
    plan: list[Change] = []
    alg, at = entry.key.alg, now
    if entry.state is KeyState.ACTIVE:
        # Not before the key that it follows, whatever the clock says; nor in the same second, as
        # the next one that is free is taken: its turn is there as soon as that key is withdrawn.
        at = max(now, entry.key.signs_from or now)
        plan.append(_plan_promotion(alg, ring, at, now, policy))
    plan.append(Withdraw(kid=kid, at=at))
    return _with_upkeep(tuple(plan), ring, now, policy, alg)


def _plan_promotion(
    alg: str, ring: tuple[RingKey, ...], date: int, now: int, policy: RingPolicy
) -> Change:
    date = _free_second(ring, alg, date)
    _, pending = _signing_and_pending(alg, ring, now, policy)
    longest = min(pending, key=lambda key: key.published_at, default=None)
    if longest is None:
        return Generate(alg=alg, published_at=_publication(ring, now, policy), signs_from=date)
    return Reschedule(kid=longest.kid, signs_from=date)


def plan_deletion(ring: tuple[RingKey, ...], kid: str, now: int, policy: RingPolicy) -> Plan:
    """Plan that a key which is not in use leaves the store.

    Args:
        ring: the keys of the store.
        kid: the key.
        now: seconds since the epoch.
        policy: the rollover rule.

    Raises:
        NoSuchKey: if there is no such key.
        KeyInUse: if it signs or is about to, or tokens that it signed may still be valid.
    """
    entry = _find(ring, kid, now, policy)
    if entry.state is KeyState.ACTIVE:
        raise KeyInUse(
            f"key {kid} is signing; run: watchword keys rotate, or: watchword keys revoke {kid}"
        )
    if entry.state is KeyState.RETIRING:
        raise KeyInUse(
            f"key {kid} is published until {write_time(entry.gone_at or now)}, for tokens that it "
            f"signed; wait, or refuse them with: watchword keys revoke {kid}"
        )
    begins = entry.key.signs_from
    if entry.state is KeyState.PENDING and begins is not None and begins <= now + policy.slack:
        raise KeyInUse(
            f"key {kid} signs from {write_time(begins)} on, and where a clock is ahead it may sign "
            f"already; to refuse its tokens run: watchword keys revoke {kid}"
        )
    deletable_at = deletable_from(entry.key, policy)
    if entry.state is KeyState.REVOKED and now < deletable_at:
        raise KeyInUse(
            f"key {kid} was revoked just now, and nodes whose clocks are behind need its record; "
            f"it can be deleted from {write_time(deletable_at)} on"
        )
    plan = (Delete(kid=kid),)
    # The times of an older key follow from when its successor took over.
    before = _states(ring, now, policy)
    after = _states(apply_change(ring, plan[0]), now, policy)
    for other, state in after.items():
        if before[other] is KeyState.GONE and state is not KeyState.GONE:
            raise KeyInUse(
                f"key {kid} says since when key {other} is gone; first run: "
                f"watchword keys delete {other}"
            )
    return plan


def write_time(seconds: int) -> str:
    """Write a time in seconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_upkeep(
    plan: Plan, ring: tuple[RingKey, ...], now: int, policy: RingPolicy, alg: str
) -> Plan:
    after = ring
    for change in plan:
        after = apply_change(after, change)
    return plan + plan_upkeep(after, now, policy, [alg])


def _signing_and_pending(
    alg: str, ring: tuple[RingKey, ...], now: int, policy: RingPolicy
) -> tuple[RingKey | None, list[RingKey]]:
    """Return the key of an algorithm that signs, and those that will, in their order.

    A key that was made while a clock was ahead is no successor until its date has come.
    """
    entries = [entry for entry in derive_ring(ring, now, policy) if entry.key.alg == alg]
    active = [entry.key for entry in entries if entry.state is KeyState.ACTIVE]
    pending = [entry.key for entry in entries if entry.state is KeyState.PENDING]
    believable = [key for key in pending if _is_believable(key, now, policy)]
    return next(iter(active), None), believable


def _is_believable(key: RingKey, now: int, policy: RingPolicy) -> bool:
    return key.published_at <= now + policy.slack


def find_dated_ahead(
    ring: tuple[RingKey, ...], now: int, policy: RingPolicy, algorithms: Collection[str]
) -> RingKey | None:
    """Return a key with a date that was made later than it is by this machine's clock, if any.

    Either that clock is behind, or the other one was ahead. If it is behind, other nodes may sign
    with that key already, and a new one would take a turn that is past: it would sign before it is
    known, or end the turn of another too early.
    """
    dated = [key for key in ring if key.signs_from is not None and key.withdrawn_at is None]
    ahead = [key for key in dated if not _is_believable(key, now, policy)]
    return next((key for key in ahead if key.alg in algorithms), None)


def _publication(ring: tuple[RingKey, ...], now: int, policy: RingPolicy) -> int:
    # Clocks of nodes differ a little: a new key comes after those that are known already.
    known = (key.published_at for key in ring if _is_believable(key, now, policy))
    return max([now, *known])


def _free_second(ring: tuple[RingKey, ...], alg: str, second: int) -> int:
    # Two keys that start in the same second would leave one that never signs.
    taken = {key.signs_from for key in ring if key.alg == alg}
    while second in taken:
        second += 1
    return second


def _find(ring: tuple[RingKey, ...], kid: str, now: int, policy: RingPolicy) -> RingEntry:
    for entry in derive_ring(ring, now, policy):
        if entry.key.kid == kid:
            return entry
    raise NoSuchKey("there is no such key; see: watchword keys list")


def _states(ring: tuple[RingKey, ...], now: int, policy: RingPolicy) -> dict[str, KeyState]:
    return {entry.key.kid: entry.state for entry in derive_ring(ring, now, policy)}
