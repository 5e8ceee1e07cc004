"""The issuer: one registry with blocks and changes of status, and the nodes that serve from it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from issuer.access_token import assemble, build_claims, build_signing_input, header_segment
from issuer.errors import TemporarilyUnavailable
from issuer.grants.authorization import Authorization
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import (
    Position,
    Status,
    StatusBlock,
    StatusChange,
    new_jti,
    status_claim,
)
from issuer.storage.status import StatusNews
from keys.events import ignore_event
from keys.remote.answer import Fetched
from tests.simulation.issuer_side import ALG, ISSUER, POLL, RESOURCE, Signature
from tests.simulation.network import Lost
from tests.simulation.scenario import EPOCH
from watchword.provider.token_status import TokenStatus

if TYPE_CHECKING:
    from tests.simulation.revocation_world import World

KEEP_UP = 1.0
"""Seconds between two looks of a node at what it has in reserve."""
KID = "k1"


class Registry:
    """What all nodes share. Each call is one transaction, and takes effect at one moment."""

    def __init__(self, world: "World") -> None:
        """Begin empty."""
        self._world = world
        self._counters: Counter[str] = Counter()
        self._blocks: dict[tuple[int, int], StatusBlock] = {}
        self._changes: list[StatusChange] = []

    def restarted(self) -> None:
        """Take note that a node was killed; what was committed is there."""

    def status_news(self, cursor: int) -> StatusNews:
        """Give the changes after a number, as `read_news` does."""
        counts = {int(name.rpartition(":")[2]): end for name, end in self._counters.items()}
        return StatusNews("feed", self._changes[cursor:], counts)

    def reserve(self, name: str, count: int) -> int:
        """Count a counter up."""
        first = self._counters[name]
        self._counters[name] += count
        return first

    def own(self, block: StatusBlock) -> None:
        """Keep whose a block is."""
        self._blocks.setdefault((block.bucket, block.first), block)

    def change(self, who: str, ranges: Iterable[tuple[int, int, int]], status: Status) -> None:
        """Change ranges of indexes: bucket, first and size of each."""
        for bucket, first, size in ranges:
            number = len(self._changes) + 1
            self._changes.append(StatusChange(number, bucket, first, size, status))
            self._world.note(
                who, "changed", bucket=bucket, first=first, size=size, status=int(status)
            )

    def blocks_of(self, client_id: str) -> list[tuple[int, int, int]]:
        """Give the ranges of a client, as they are known now."""
        return [
            (block.bucket, block.first, block.size)
            for block in self._blocks.values()
            if block.client_id == client_id
        ]


class Writes:
    """The `HotStore` of one node."""

    def __init__(self, world: "World", number: int) -> None:
        """Write to the registry of this world."""
        self._world = world
        self._number = number

    async def reserve(self, name: str, count: int) -> int:
        """Reserve numbers."""
        return await self._write(lambda registry: registry.reserve(name, count))

    async def own(self, block: StatusBlock) -> bool:
        """Write whose a block is; no client ends."""
        await self._write(lambda registry: registry.own(block))
        return False

    async def set_status(self, position: Position, status: Status) -> None:
        """Revoke, suspend or restore one token."""
        who, ranges = f"node-{self._number}", [(*position, 1)]
        await self._write(lambda registry: registry.change(who, ranges, status))

    async def revoke_client(self, client_id: str) -> None:
        """Do what `token revoke --client` does: all in one transaction."""
        who = f"node-{self._number}"
        await self._write(
            lambda registry: registry.change(who, registry.blocks_of(client_id), Status.INVALID)
        )

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Take no part here."""
        raise NotImplementedError

    async def _write(self, work: Callable[[Registry], Any]) -> Any:
        network, number = self._world.network, self._number
        await asyncio.sleep(network.read_time(number) / 2)
        if network.is_store_away(number):
            raise StoreUnavailable("away")
        done = work(self._world.registry)
        await asyncio.sleep(network.read_time(number) / 2)
        if network.loses_answer(number):
            raise StoreUnavailable("the answer was lost")
        return done


class _Reader:
    """Reads on a thread that takes its time."""

    def __init__(self, world: "World", number: int) -> None:
        self._world = world
        self._number = number

    async def follow(self, work: Callable[[], Any]) -> Any:
        """Read as things are now, and come back later."""
        network = self._world.network
        if network.is_store_away(self._number):
            raise StoreUnavailable("away")
        news = work()
        await asyncio.sleep(network.read_time(self._number))
        return news


class _Keys:
    """One key that signs, as `SigningKeys`."""

    def signer(self, now: int, alg: str | None = None) -> Signature:
        return Signature(KID)


class Node:
    """One node of the issuer: issues tokens, revokes them, follows the changes, serves lists."""

    def __init__(self, world: "World", number: int, skew: float) -> None:
        """Prepare; nothing is read yet."""
        self.name = f"node-{number}"
        self._world = world
        self._number = number
        self._skew = skew
        self._running: list[asyncio.Task[None]] = []
        self._begin()

    def _begin(self) -> None:
        world = self._world
        self.writes = Writes(world, self._number)
        self.status = TokenStatus(
            world.config,
            world.registry,
            _Reader(world, self._number),
            self.writes,
            clock=self.clock,
            events=ignore_event,
        )
        self.status.indexes._new_random = world.chance.randbytes
        self._lists = self.status.endpoint(_Keys())

    def clock(self) -> int:
        """Tell this node's wall clock."""
        return int(EPOCH + self._world.now() + self._skew)

    def start(self) -> None:
        """Follow the changes and serve."""
        self.status.start()
        self._running = [self._world.start(self._follow()), self._world.start(self._keep_up())]

    async def restart(self, until: float) -> None:
        """Be killed, and come back knowing nothing but what is in the registry."""
        if not self._running:
            return
        for task in self._running:
            task.cancel()
        self._running = []
        self._world.note(self.name, "stopped")
        self._world.registry.restarted()
        await asyncio.sleep(until - self._world.now())
        self._begin()
        self.start()

    async def _follow(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self.status.look()
            await asyncio.sleep(POLL)

    async def _keep_up(self) -> None:
        while True:
            await self.status.keep_up()
            await asyncio.sleep(KEEP_UP)

    async def token(self, client_id: str) -> str | None:
        """Issue a token; None if the node says 503 or is killed meanwhile."""
        world, status, ttl = self._world, self.status, self._world.scenario.settings.token_ttl
        whose, now = (client_id, client_id, RESOURCE), self.clock()
        try:
            place = status.indexes.take(*whose, ttl=ttl, now=now)
            place = place or await status.indexes.obtain(*whose, ttl=ttl, now=now)
        except TemporarilyUnavailable:
            return None
        if status is not self.status or not self._running:
            return None
        claims = build_claims(
            Authorization(client_id, client_id, RESOURCE, (), ttl),
            issuer=ISSUER,
            now=now,
            jti=new_jti(place, world.chance.randbytes),
            status=status_claim(place, world.config.base),
        )
        message = build_signing_input(header_segment(ALG, KID), claims)
        token = assemble(message, Signature(KID).sign_now(message))
        world.issued(self.name, token, place, client_id, claims)
        return token

    async def list(self, path: str, etag: str | None) -> Fetched:
        """Answer a request for a list, by the endpoint that answers it in the provider."""
        headers = [] if etag is None else [(b"if-none-match", etag.encode())]
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        endpoint, running = self._lists, self._running
        await endpoint({"method": "GET", "path": path, "headers": headers}, None, send)
        if running is not self._running:
            raise Lost
        return Fetched(
            status=sent[0]["status"],
            headers={name.decode(): value.decode() for name, value in sent[0]["headers"]},
            body=sent[1]["body"],
        )
