"""What `scripts/simulate rotation` runs."""

from tests.simulation.counterexample import Subject
from tests.simulation.faults import FAULTS
from tests.simulation.oracle import Oracle
from tests.simulation.scenario import draw_scenario
from tests.simulation.world import Parts, run

ROTATION = Subject(
    name="rotation",
    draw=draw_scenario,
    run=run,
    oracle=Oracle,
    parts=Parts(),
    faults=FAULTS,
    always=frozenset({"stored", "declined", "restarted", "stopped", "trouble"}),
)
