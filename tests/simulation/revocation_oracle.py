"""Judge a run of revocations by the promises in words, without any code of the product.

What is judged is the trace. What went wrong in the network is known from the scenario: while
nothing is wrong the strict bounds hold, and after that a validator has the time of one more try.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.revocation_scenario import LONGEST_PAUSE, Scenario
from tests.simulation.scenario import FETCH_TIMEOUT, Trouble
from tests.simulation.trace import Breach, Seen, Trace

POLL = 1
"""Seconds within which every node publishes a change, and issues no token of it any more."""
VALID, INVALID, SUSPENDED = 0, 1, 2

_REFUSALS = {INVALID: "token_revoked", SUSPENDED: "token_suspended"}


@dataclass(slots=True)
class _Token:
    issued: Seen
    history: list[tuple[float, int]] = field(default_factory=list)
    """Since when it had which status."""

    def at(self, moment: float) -> int:
        """Tell its status at a moment."""
        return next((status for at, status in reversed(self.history) if at <= moment), VALID)

    def since(self) -> float:
        """Tell since when it has the status that it has now."""
        return self.history[-1][0] if self.history else float("-inf")

    def had(self, since: float) -> set[int]:
        """Tell all statuses that it had after a moment."""
        return {self.at(since), *(status for at, status in self.history if at > since)}


class Oracle:
    """Looks at one run, from its beginning to its end."""

    def __init__(self, scenario: Scenario) -> None:
        """Judge by the settings of this scenario."""
        self._scenario = scenario
        self._traits = {f"validator-{n}": (n, each) for n, each in enumerate(scenario.validators)}
        self._tokens: dict[str, _Token] = {}
        self._places: dict[tuple[int, int], str] = {}
        self._ranges: list[tuple[float, int, range, int]] = []
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        """By validator, the tokens that it refused as revoked since it was started."""
        self._told: defaultdict[str, float] = defaultdict(lambda: float("-inf"))
        """When each validator had the last good answer."""

    def breaches(self, trace: Trace) -> Iterator[Breach]:
        """Give every promise that was not kept, in the order of time."""
        judges = {
            "issued": self._see_token,
            "changed": self._see_change,
            "answer": self._see_answer,
            "restarted": self._see_restart,
            "judged": self._see_verdict,
        }
        for seen in trace.seen:
            judge = judges.get(seen.what)
            if judge is not None:
                yield from judge(seen)

    def _see_token(self, seen: Seen) -> Iterator[Breach]:
        facts, name = seen.facts, seen.facts["token"]
        token = self._tokens[name] = _Token(seen)
        place = facts["bucket"], facts["index"]
        other = self._places.setdefault(place, name)
        if other != name:
            yield Breach(seen.at, "a place is given once", f"{name} has that of {other}", (name,))
        for at, bucket, indexes, status in self._ranges:
            if bucket == place[0] and place[1] in indexes:
                _append(token, at, status)
        late = seen.at > max(token.since(), self._calm_since(None, seen.at)) + POLL
        if token.at(seen.at) != VALID and late:
            said = f"{name} of {seen.who} has a place that was revoked at {token.since():.3f}"
            yield Breach(seen.at, "no token is issued revoked", said, (name,))

    def _see_change(self, seen: Seen) -> Iterator[Breach]:
        facts = seen.facts
        indexes = range(facts["first"], facts["first"] + facts["size"])
        self._ranges.append((seen.at, facts["bucket"], indexes, facts["status"]))
        for token in self._tokens.values():
            told = token.issued.facts
            if told["bucket"] == facts["bucket"] and told["index"] in indexes:
                _append(token, seen.at, facts["status"])
        return iter(())

    def _see_answer(self, seen: Seen) -> Iterator[Breach]:
        if seen.facts["status"] in (200, 304):
            self._told[seen.who] = seen.facts["began"]
        return iter(())

    def _see_restart(self, seen: Seen) -> Iterator[Breach]:
        self._refused[seen.who].clear()
        return iter(())

    def _see_verdict(self, seen: Seen) -> Iterator[Breach]:
        facts, name, verdict = seen.facts, seen.facts["token"], seen.facts["verdict"]
        token, about = self._tokens[name], (seen.who, name)
        said = f"{seen.who}: {name}: {verdict}, {token.at(seen.at)} since {token.since():.3f}"
        if verdict == "accepted":
            if token.at(facts["came"]) != VALID and seen.at > self._bound(seen, token.since()):
                bound = self._bound(seen, token.since())
                told = f"{said}, bound {bound:.3f}"
                yield Breach(seen.at, "a revoked token is refused in time", told, about)
            if name in self._refused[seen.who]:
                yield Breach(seen.at, "nothing revoked comes back to life", said, about)
        elif verdict in _REFUSALS.values():
            had = token.had(min(facts["came"], self._bound_back(seen)))
            if not {_REFUSALS.get(status) for status in had} & {verdict}:
                yield Breach(seen.at, "a token that is not revoked is accepted", said, about)
            if verdict == _REFUSALS[INVALID]:
                self._refused[seen.who].add(name)
        elif verdict == "status_unavailable":
            number, _ = self._traits[seen.who]
            if facts["came"] > self._calm_since(number, seen.at) + self._next_try(seen.who):
                yield Breach(seen.at, "a list that can be had is had", said, about)
        elif verdict != "expired" or facts["clock"] < token.issued.facts["exp"]:
            yield Breach(seen.at, "a good token is accepted", said, about)

    def _bound(self, seen: Seen, since: float) -> float:
        """Tell until when a validator may accept a token that was revoked then."""
        number, _ = self._traits[seen.who]
        learns_in, calm_since = self._learns_in(seen.who), self._calm_since(number, seen.at)
        bound = since + learns_in
        if calm_since > since - learns_in:
            bound = max(bound, calm_since + learns_in + self._next_try(seen.who))
        # Whatever is wrong: what the issuer said last is believed for so long and no longer.
        return min(bound, max(since, self._told[seen.who] + self._scenario.settings.stale_for))

    def _bound_back(self, seen: Seen) -> float:
        """Tell since when a status may still be what a validator goes by."""
        number, _ = self._traits[seen.who]
        learns_in, calm_since = self._learns_in(seen.who), self._calm_since(number, seen.at)
        if calm_since > seen.at - 2 * learns_in - self._next_try(seen.who):
            return float("-inf")
        return seen.facts["came"] - learns_in

    def _learns_in(self, who: str) -> float:
        """Tell within how many seconds a validator learns of a change while nothing is wrong."""
        ttl = self._scenario.settings.status_ttl
        # A shared cache on the way may keep a list for half of the time.
        return (ttl if self._traits[who][1].through_cdn else max(1, ttl - ttl // 2)) + POLL

    def _next_try(self, who: str) -> float:
        return self._learns_in(who) + LONGEST_PAUSE + FETCH_TIMEOUT

    def _calm_since(self, validator: int | None, at: float) -> float:
        """Tell since when nothing has been wrong that a validator may notice."""
        ends = (
            min(_end(trouble), at)
            for trouble in self._scenario.troubles
            if trouble.start <= at and (validator is None or trouble.affects(validator))
        )
        return max(ends, default=float("-inf"))


def _append(token: _Token, at: float, status: int) -> None:
    """Note a change: revoking is final, and restoring changes what is suspended alone."""
    if token.at(at) != INVALID:
        token.history.append((at, status))


def _end(trouble: Trouble) -> float:
    """Tell when the last effect of a trouble is over: a slow call or fetch that it began."""
    slow = trouble.amount if trouble.kind == "slow_store" else 0
    return trouble.end + 2 * slow + FETCH_TIMEOUT
