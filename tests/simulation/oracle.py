"""Judge a run by the promises in words, without any code of the product.

What is judged is the trace: who published, signed, accepted and refused what, and when. What went
wrong in the network is known from the scenario. While nothing is wrong the strict bounds hold, and
after that a validator has the time of one more try.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.scenario import (
    COOLDOWN,
    EPOCH,
    FETCH_TIMEOUT,
    Scenario,
    Trouble,
    ValidatorTraits,
)
from tests.simulation.trace import Breach, Seen, Trace

LARGEST_SET = 50
LARGEST_DOCUMENT = 65_536
UPKEEP = 60
POLL = 1
"""Seconds within which a node knows a change of the store."""
FUTURE_IAT = 60
"""Seconds that a token's date may lie ahead of a validator's clock."""
FOR_UNKNOWN_KIDS = 2
"""Fetches that unknown kids may cause in a minute."""


@dataclass(slots=True)
class _Key:
    stored_at: float
    signs_from: int | None = None
    withdrawn_at: float | None = None
    is_stored: bool = True
    in_a_hurry: bool = False
    """It signs before every validator must know it: the first key, or after a withdrawal."""


@dataclass(slots=True)
class _Known:
    """What a validator has from the issuer since it was started."""

    kids: frozenset[str] = frozenset()
    at: float = float("-inf")
    last_with: dict[str, float] = field(default_factory=dict)
    """When the issuer last answered with a set that has the key, by kid."""
    asked: deque[float] = field(default_factory=deque)
    """When it asked in the last minute."""


class Oracle:
    """Looks at one run, from its beginning to its end."""

    def __init__(self, scenario: Scenario) -> None:
        """Judge by the settings of this scenario."""
        self._scenario = scenario
        self._settings = scenario.settings
        self._keys: dict[str, _Key] = {}
        self._tokens: dict[str, Seen] = {}
        self._traits = {f"validator-{n}": (n, each) for n, each in enumerate(scenario.validators)}
        self._known = {name: _Known() for name in self._traits}
        self._without_successor: float | None = None

    def breaches(self, trace: Trace) -> Iterator[Breach]:
        """Give every promise that was not kept, in the order of time."""
        judges = {
            "stored": self._see_keys,
            "issued": self._see_token,
            "unsigned": self._see_no_signer,
            "asks": self._see_question,
            "answer": self._see_answer,
            "restarted": self._see_restart,
            "judged": self._see_verdict,
        }
        for seen in trace.seen:
            judge = judges.get(seen.what)
            if judge is not None:
                yield from judge(seen)
        yield from self._successor_was_missing(self._scenario.horizon)

    def _see_keys(self, seen: Seen) -> Iterator[Breach]:
        yield from self._successor_was_missing(seen.at)
        for key in self._keys.values():
            key.is_stored = False
        for kid, signs_from, withdrawn_at in seen.facts["keys"]:
            is_first = not self._keys
            key = self._keys.setdefault(kid, _Key(seen.at, in_a_hurry=is_first))
            if seen.facts["why"] == "revoke" and signs_from != key.signs_from:
                key.in_a_hurry = True
            key.signs_from, key.is_stored = signs_from, True
            if withdrawn_at is not None and key.withdrawn_at is None:
                key.withdrawn_at = seen.at
        pending = [
            kid
            for kid, key in self._keys.items()
            if self._pending_until(key) > seen.at and not self._is_clock_wrong(key.stored_at)
        ]
        # One is prepared; while a rotation is under way, the next one is too.
        if len(pending) > 2:
            yield Breach(seen.at, "one successor, however many nodes", f"pending: {pending}")
        last = max((self._pending_until(key) for key in self._keys.values()), default=seen.at)
        self._without_successor = max(seen.at, last)

    def _pending_until(self, key: _Key) -> float:
        if key.withdrawn_at is not None or not key.is_stored:
            return float("-inf")
        return float("inf") if key.signs_from is None else key.signs_from - EPOCH

    def _is_clock_wrong(self, at: float) -> bool:
        """Tell whether some node's clock is wrong; what it dates then is no successor to others."""
        return any(
            each.kind == "clock" and each.start <= at <= each.end + POLL
            for each in self._scenario.troubles
        )

    def _successor_was_missing(self, until: float) -> Iterator[Breach]:
        since = self._without_successor
        if since is None or until <= since:
            return
        skew = max(abs(each) for each in self._scenario.node_skews)
        held_up = sum(
            _end(trouble) - trouble.start
            for trouble in self._scenario.troubles
            if trouble.kind in ("restart", "slow_store", "clock") and trouble.start < until
        )
        if until - since > UPKEEP + POLL + skew + held_up:
            yield Breach(until, "a successor again within a minute", f"none since {since:.3f}")

    def _see_token(self, seen: Seen) -> Iterator[Breach]:
        self._tokens[seen.facts["token"]] = seen
        key = self._keys[seen.facts["kid"]]
        calm_since = self._calm_since(None, seen.at)
        if key.withdrawn_at is not None and seen.at > max(key.withdrawn_at, calm_since) + POLL:
            yield Breach(seen.at, "a withdrawn key signs no more", f"{seen.who} signs with it")

    def _see_no_signer(self, seen: Seen) -> Iterator[Breach]:
        if not self._is_clock_wrong(seen.at):
            yield Breach(seen.at, "there is always a signer", f"{seen.who} has none")

    def _see_question(self, seen: Seen) -> Iterator[Breach]:
        number, traits = self._traits[seen.who]
        asked = self._known[seen.who].asked
        asked.append(seen.at)
        while asked[0] <= seen.at - 60:
            asked.popleft()
        if self._calm_since(number, seen.at) < seen.at - 60 - self._next_try(traits):
            by_schedule = 60 / self._shortest_pause(traits) + 1
            if len(asked) > by_schedule + FOR_UNKNOWN_KIDS:
                said = f"{seen.who} asked {len(asked)} times in a minute"
                yield Breach(seen.at, "forged tokens cause few fetches", said, (seen.who,))

    def _shortest_pause(self, traits: ValidatorTraits) -> float:
        """Tell how soon after one another a validator asks for the key set of its own accord."""
        settings = self._settings
        spent = settings.status_ttl // 2 if traits.through_cdn else 0
        pause = 0.8 * max(10, settings.max_age - spent)
        if traits.told_interval:
            pause = min(pause, settings.status_ttl - settings.status_ttl // 2)
        return 0.9 * pause - POLL

    def _see_answer(self, seen: Seen) -> Iterator[Breach]:
        facts, known = seen.facts, self._known[seen.who]
        if facts["status"] == 200:
            if len(facts["kids"]) > LARGEST_SET or facts["bytes"] > LARGEST_DOCUMENT:
                yield Breach(seen.at, "the set is within the bounds", str(facts))
            known.kids = frozenset(facts["kids"])
        if facts["status"] in (200, 304):
            known.at = seen.at
            known.last_with.update(dict.fromkeys(known.kids, seen.at))

    def _see_restart(self, seen: Seen) -> Iterator[Breach]:
        self._known[seen.who] = _Known(last_with=self._known[seen.who].last_with)
        return iter(())

    def _see_verdict(self, seen: Seen) -> Iterator[Breach]:
        facts = seen.facts
        if facts["verdict"] == "unknown_key" and self._has_no_set(seen):
            yield Breach(seen.at, "without keys it is a 503", f"{seen.who} blames the token")
        token = self._tokens.get(facts["token"])
        about = (seen.who, facts["token"])
        is_accepted = facts["verdict"] == "accepted"
        if token is None:
            if is_accepted:
                yield Breach(seen.at, "a forged token is refused", f"{seen.who} accepts one")
            return
        said = f"{seen.who}: {facts['token']} of {token.facts['kid']}: {facts['verdict']}"
        if self._had_to_wait(seen, token.facts["kid"]):
            yield Breach(seen.at, "a known key never waits", said, about)
        is_over = facts["clock"] >= token.facts["exp"] + self._settings.leeway
        key = self._keys[token.facts["kid"]]
        if not is_accepted:
            has_begun = token.facts["iat"] <= facts["clock"] + FUTURE_IAT
            is_good = has_begun and not is_over and seen.at < (key.withdrawn_at or seen.at + 1)
            if is_good and self._must_know(seen, token.facts["kid"], key):
                yield Breach(seen.at, "a good token is accepted", said, about)
        elif is_over:
            yield Breach(seen.at, "a token ends", said, about)
        elif key.withdrawn_at is not None:
            bound = self._last_acceptance(seen, token.facts["kid"], key.withdrawn_at)
            if seen.at > bound:
                yield Breach(
                    seen.at,
                    "a withdrawn key is refused in time",
                    f"{said}, withdrawn at {key.withdrawn_at:.3f}, bound {bound:.3f}",
                    about,
                )

    def _has_no_set(self, seen: Seen) -> bool:
        """Tell whether all that the issuer ever told a validator is too old."""
        last = max(self._known[seen.who].last_with.values(), default=float("-inf"))
        return seen.at > last + self._settings.max_age + self._settings.stale_for

    def _had_to_wait(self, seen: Seen, kid: str) -> bool:
        """Tell whether a token waited for a fetch though its key was known when it came."""
        known, came = self._known[seen.who], seen.facts["came"]
        if kid not in known.kids or known.at >= came:
            return False
        return came < known.at + self._settings.stale_for and seen.at > came

    def _must_know(self, seen: Seen, kid: str, key: _Key) -> bool:
        """Tell whether a validator has no excuse for not knowing a key."""
        number, traits = self._traits[seen.who]
        known = self._known[seen.who]
        if kid in known.kids and seen.at < known.at + self._settings.stale_for:
            return True
        if seen.facts["came"] < self._calm_since(number, seen.at) + self._next_try(traits):
            return False
        return not key.in_a_hurry or seen.facts["came"] > key.stored_at + self._learns_in(traits)

    def _last_acceptance(self, seen: Seen, kid: str, withdrawn_at: float) -> float:
        """Tell until when a validator may accept tokens of a key that was withdrawn."""
        number, traits = self._traits[seen.who]
        learns_in = self._learns_in(traits)
        calm_since = self._calm_since(number, seen.at)
        bound = withdrawn_at + learns_in
        if calm_since > withdrawn_at - learns_in:
            bound = max(bound, calm_since + learns_in + self._next_try(traits))
        # Whatever is wrong: what the issuer said last is believed for so long and no longer.
        last_with = self._known[seen.who].last_with.get(kid, withdrawn_at)
        return min(bound, last_with + self._settings.max_age + self._settings.stale_for)

    def _learns_in(self, traits: ValidatorTraits) -> float:
        """Tell within how many seconds a validator learns of a change while nothing is wrong."""
        settings = self._settings
        if not traits.told_interval:
            return settings.max_age + 1
        # A shared cache on the way may keep the set for half of the time, and the validator for the
        # rest.
        interval = settings.status_ttl - settings.status_ttl // 2
        return (settings.status_ttl if traits.through_cdn else interval) + 1

    def _next_try(self, traits: ValidatorTraits) -> float:
        return max(self._learns_in(traits), COOLDOWN + FETCH_TIMEOUT + 1)

    def _calm_since(self, validator: int | None, at: float) -> float:
        """Tell since when nothing has been wrong that a validator may notice."""
        ends = (
            min(_end(trouble), at)
            for trouble in self._scenario.troubles
            if trouble.start <= at and (validator is None or trouble.affects(validator))
        )
        return max(ends, default=float("-inf"))


def _end(trouble: Trouble) -> float:
    """Tell when the last effect of a trouble is over: a slow reading or fetch that it began."""
    slow = trouble.amount if trouble.kind == "slow_store" else 0
    return trouble.end + slow + FETCH_TIMEOUT
