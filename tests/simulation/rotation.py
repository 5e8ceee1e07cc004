"""Try one seed after another, and make a counterexample small enough to read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.simulation.oracle import Breach, Oracle
from tests.simulation.scenario import Scenario, draw_scenario
from tests.simulation.trace import Seen, Trace
from tests.simulation.world import Parts, run

_BEFORE = 120
"""Seconds before the breach in which what a validator asks and is told is printed too."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A scenario in which a promise is not kept."""

    scenario: Scenario
    trace: Trace
    breach: Breach

    def written(self, options: str = "") -> str:
        """Write the seed, the settings and what happened up to the breach.

        Args:
            options: further options of the command that finds it again.
        """
        scenario, breach = self.scenario, self.breach
        return "\n".join(
            [
                f"seed {scenario.seed}: {breach}",
                f"again: scripts/simulate rotation --seed {scenario.seed} --runs 1{options}",
                *(f"  {line}" for line in _list_traits(scenario)),
                *(str(seen) for seen in self.trace.seen if _matters(seen, breach)),
            ]
        )


def find_counterexample(seeds: Iterable[int], parts: Parts) -> Counterexample | None:
    """Return the first scenario that breaks a promise, with all left out that is not needed."""
    for seed in seeds:
        found = judge(draw_scenario(seed), parts)
        if found is not None:
            return _shrink(found, parts)
    return None


def judge(scenario: Scenario, parts: Parts) -> Counterexample | None:
    """Run a scenario and return the first promise that was not kept."""
    trace = run(scenario, parts)
    breach = next(Oracle(scenario).breaches(trace), None)
    return None if breach is None else Counterexample(scenario, trace, breach)


def _shrink(found: Counterexample, parts: Parts) -> Counterexample:
    """Leave out every trouble and action without which the same promise is still broken."""
    for name in ("troubles", "actions"):
        for each in getattr(found.scenario, name):
            fewer = tuple(other for other in getattr(found.scenario, name) if other != each)
            smaller = judge(replace(found.scenario, **{name: fewer}), parts)
            if smaller is not None and smaller.breach.rule == found.breach.rule:
                found = smaller
    return found


def _list_traits(scenario: Scenario) -> list[str]:
    return [
        str(scenario.settings),
        *(f"node-{n}: skew {skew:.1f}" for n, skew in enumerate(scenario.node_skews)),
        *(f"validator-{n}: {each}" for n, each in enumerate(scenario.validators)),
        *map(str, scenario.troubles),
        *map(str, scenario.actions),
    ]


def _matters(seen: Seen, breach: Breach) -> bool:
    if seen.at > breach.at:
        return False
    if seen.what in ("stored", "declined", "restarted", "stopped", "trouble"):
        return True
    if seen.what in ("judged", "issued"):
        return seen.facts["token"] in breach.about
    return seen.at > breach.at - _BEFORE and (seen.who in breach.about or seen.what == "read")
