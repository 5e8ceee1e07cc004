"""What `scripts/simulate revocation` runs, and the faults that it is shown to find."""

import math
from collections.abc import Mapping

from resource_api.status_list import StatusList
from resource_api.status_lists import StatusListClient
from tests.simulation.counterexample import Subject
from tests.simulation.revocation_oracle import Oracle
from tests.simulation.revocation_scenario import draw_scenario
from tests.simulation.revocation_world import Parts, run
from tests.simulation.status_side import Registry

_note_success = StatusListClient._note_success


def _never_again(self: StatusListClient, held: object, *rest: object) -> None:
    """A list is fetched once."""
    _note_success(self, held, *rest)
    held.refresh_at = math.inf


def _by_clock(self: StatusList, other: StatusList) -> bool:
    """Lists are ordered by the clocks of the nodes that signed them."""
    return self.issued_at < other.issued_at


class _CountsInMemory(Registry):
    """A range that was reserved is forgotten when a node is killed."""

    def restarted(self) -> None:
        self._counters.clear()


FAULTS: Mapping[str, Parts] = {
    "never-refetch": Parts(
        replaced={f"{StatusListClient.__module__}.StatusListClient._note_success": _never_again}
    ),
    "any-list": Parts(
        replaced={"resource_api.status_list.StatusList.is_older_than": lambda *_: False}
    ),
    "order-by-clock": Parts(
        replaced={"resource_api.status_list.StatusList.is_older_than": _by_clock}
    ),
    "index-twice": Parts(registry=_CountsInMemory),
    "keep-blocks": Parts(replaced={"issuer.status.indexes.StatusIndexes.drop": lambda *_: None}),
}
"""The parts with a fault in them, by the name of the fault."""

REVOCATION = Subject(
    name="revocation",
    draw=draw_scenario,
    run=run,
    oracle=Oracle,
    parts=Parts(),
    faults=FAULTS,
    always=frozenset({"changed", "failed", "restarted", "stopped", "trouble"}),
)
