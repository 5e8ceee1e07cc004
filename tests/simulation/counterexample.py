"""Try one seed after another, and make a counterexample small enough to read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.trace import Breach, Seen, Trace

_BEFORE = 120
"""Seconds before the breach in which what a validator asks and is told is printed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is simulated.

    Args:
        name: on the command line.
        draw: a scenario of a seed.
        run: lets a scenario happen, with these parts.
        oracle: judges what happened in a scenario.
        parts: those of the product.
        faults: parts with a fault in them, by its name.
        always: kinds of events that are printed of every counterexample.
    """

    name: str
    draw: Callable[[int], Any]
    run: Callable[[Any, Any], Trace]
    oracle: Callable[[Any], Any]
    parts: Any
    faults: Mapping[str, Any] = field(default_factory=dict)
    always: frozenset[str]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A scenario in which a promise is not kept."""

    subject: Subject
    scenario: Any
    trace: Trace
    breach: Breach

    def written(self, options: str = "") -> str:
        """Write the seed, the settings and what happened up to the breach.

        Args:
            options: further options of the command that finds it again.
        """
        name, seed = self.subject.name, self.scenario.seed
        return "\n".join(
            [
                f"seed {seed}: {self.breach}",
                f"again: scripts/simulate {name} --seed {seed} --runs 1{options}",
                *(f"  {line}" for line in _list_traits(self.scenario)),
                *(str(seen) for seen in self.trace.seen if self._matters(seen)),
            ]
        )

    def _matters(self, seen: Seen) -> bool:
        breach = self.breach
        if seen.at > breach.at:
            return False
        if seen.what in self.subject.always:
            return True
        if seen.what in ("judged", "issued"):
            return seen.facts["token"] in breach.about
        return seen.at > breach.at - _BEFORE and (seen.who in breach.about or seen.what == "read")


def find_counterexample(
    subject: Subject, seeds: Iterable[int], fault: str | None = None
) -> Counterexample | None:
    """Return the first scenario that breaks a promise, with all left out that is not needed."""
    for seed in seeds:
        found = judge(subject, subject.draw(seed), fault)
        if found is not None:
            return _shrink(found, fault)
    return None


def judge(subject: Subject, scenario: Any, fault: str | None = None) -> Counterexample | None:
    """Run a scenario and return the first promise that was not kept."""
    trace = subject.run(scenario, subject.faults[fault] if fault else subject.parts)
    breach = next(subject.oracle(scenario).breaches(trace), None)
    return None if breach is None else Counterexample(subject, scenario, trace, breach)


def _shrink(found: Counterexample, fault: str | None) -> Counterexample:
    """Leave out every trouble and action without which the same promise is still broken."""
    for name in ("troubles", "actions"):
        for each in getattr(found.scenario, name):
            fewer = tuple(other for other in getattr(found.scenario, name) if other != each)
            smaller = judge(found.subject, replace(found.scenario, **{name: fewer}), fault)
            if smaller is not None and smaller.breach.rule == found.breach.rule:
                found = smaller
    return found


def _list_traits(scenario: Any) -> list[str]:
    return [
        str(scenario.settings),
        *(f"node-{n}: skew {skew:.1f}" for n, skew in enumerate(scenario.node_skews)),
        *(f"validator-{n}: {each}" for n, each in enumerate(scenario.validators)),
        *map(str, scenario.troubles),
        *map(str, scenario.actions),
    ]
