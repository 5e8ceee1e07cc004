"""The network between the parties: delays, losses, outages, and caches in between."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keys.remote.answer import Fetched
from tests.simulation.issuer_side import Node
from tests.simulation.scenario import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World

HOP = 0.05
"""Seconds that one way takes at most while nothing is wrong."""
NOTICE = 1.0
"""Seconds until the load balancer notices that a node is down."""


class Lost(ConnectionError):
    """No answer came."""


class Network:
    """Carries messages; what is wrong at a moment, the scenario says."""

    def __init__(self, world: "World", troubles: tuple[Trouble, ...]) -> None:
        """Prepare."""
        self._world = world
        self._troubles = troubles
        self._chance = random.Random(f"{world.scenario.seed} network")

    def read_time(self, node: int) -> float:
        """Tell how long reading the store takes on a node now."""
        slow = self._wrong("slow_store", node)
        return slow.amount if slow else self._chance.uniform(0.001, 0.05)

    def clock_error(self, node: int) -> float:
        """Tell by how much the clock of a node was set wrong."""
        wrong = self._wrong("clock", node)
        return wrong.amount if wrong else 0.0

    def is_store_away(self, node: int) -> bool:
        """Tell whether a node cannot reach the store now."""
        return self._wrong("store_away", node) is not None

    def loses_answer(self, node: int) -> bool:
        """Tell whether the answer of the store to a change is lost on its way to a node."""
        return self._wrong("answers_lost", node) is not None and self._chance.random() < 0.5

    async def hop(self, validator: int | None = None) -> None:
        """Let the time of one way pass; a consumer is as close as a validator without trouble.

        Raises:
            Lost: the message does not arrive.
        """
        if validator is not None:
            if self._wrong("partition", validator):
                await self._vanish()
            if self._wrong("loss", validator):
                if self._chance.random() < 0.5:
                    await self._vanish()
                await asyncio.sleep(self._chance.uniform(0, 4))
        await asyncio.sleep(self._chance.uniform(0.001, HOP))

    async def origin(self) -> Node | Fetched:
        """Find a node that answers; or give what the load balancer answers instead.

        Raises:
            Lost: nothing answers.
        """
        if self._wrong("outage"):
            await self._vanish()
        nodes = self._world.nodes
        down = {trouble.whom: trouble for trouble in self._all_wrong("restart")}
        chosen = self._chance.randrange(len(nodes))
        if chosen in down and self._world.now() > down[chosen].start + NOTICE:
            chosen = next((each for each in range(len(nodes)) if each not in down), chosen)
        if chosen in down:
            return Fetched(status=self._chance.choice((404, 502, 503)), body=b"{}")
        return nodes[chosen]

    def _wrong(self, kind: str, whom: int | None = None) -> Trouble | None:
        return next((each for each in self._all_wrong(kind) if each.whom in (None, whom)), None)

    def _all_wrong(self, kind: str) -> list[Trouble]:
        now = self._world.now()
        return [
            each for each in self._troubles if each.kind == kind and each.start <= now < each.end
        ]

    async def _vanish(self) -> None:
        # Refused at once, or no answer at all until whoever waits gives up.
        if self._chance.random() < 0.5:
            await asyncio.sleep(60)
        raise Lost


@dataclass(frozen=True, slots=True)
class _Stored:
    answer: Fetched
    since: float
    """When the request was sent that brought it (RFC 9111 §4.2.3)."""
    fresh_for: float


class SharedCache:
    """A cache as RFC 9111 has it, such as a CDN: keeps good answers for `s-maxage` or `max-age`."""

    def __init__(self, world: "World", ask: Callable[[str | None], Awaitable[Fetched]]) -> None:
        """Begin empty; `ask` asks the issuer, with an entity tag."""
        self._world = world
        self._ask = ask
        self._stored: _Stored | None = None
        self.filled = asyncio.Event()
        """Set whenever an answer of the issuer is stored."""

    async def get(self, etag: str | None) -> Fetched:
        """Answer from the store while it is fresh, and from the issuer otherwise.

        Raises:
            Lost: the issuer does not answer.
        """
        now, stored = self._world.now(), self._stored
        if stored is None or now >= stored.since + stored.fresh_for:
            known = stored.answer.headers["etag"] if stored else None
            await self._world.network.hop()
            answer = await self._ask(known)
            await self._world.network.hop()
            if answer.status == 304 and stored is not None:
                # RFC 9111 §3.2: what the 304 does not say anew stays.
                headers = {**stored.answer.headers, **answer.headers}
                answer = Fetched(status=200, headers=headers, body=stored.answer.body)
            if answer.status != 200:
                return answer
            stored = self._stored = _Stored(answer, now, _shared_lifetime(answer))
            self.filled.set()
        answer = stored.answer
        age = str(int(self._world.now() - stored.since))
        headers = {**answer.headers, "age": age}
        if etag == answer.headers["etag"]:
            return Fetched(status=304, headers=headers)
        return Fetched(status=200, headers=headers, body=answer.body)


async def ask_issuer(world: "World", etag: str | None) -> Fetched:
    """Ask some node for the key set.

    Raises:
        Lost: none answers.
    """
    node = await world.network.origin()
    return node if isinstance(node, Fetched) else await node.jwks(etag)


def _shared_lifetime(answer: Fetched) -> float:
    found = re.search(r"s-maxage=(\d+)", answer.headers["cache-control"]) or re.search(
        r"max-age=(\d+)", answer.headers["cache-control"]
    )
    return float(found[1]) if found else 0.0
