"""One run of revocations: all parties of a scenario in one virtual time."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from issuer.config import IssuerConfig
from issuer.errors import TemporarilyUnavailable
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status
from keys.errors import FetchFailed
from keys.events import ignore_event
from keys.jwks import JwkSet
from keys.remote.answer import Fetched
from resource_api.config import ResourcePolicy
from resource_api.errors import ResourceError
from resource_api.status_lists import StatusListClient
from resource_api.validator import TokenValidator, TrustedIssuer
from tests.simulation.api_side import ACCEPTED, is_signed_by
from tests.simulation.issuer_side import ALG, ISSUER, RESOURCE, public_jwk
from tests.simulation.network import Lost, Network, SharedCache
from tests.simulation.revocation_scenario import CLIENTS, Scenario, Traits
from tests.simulation.scenario import EPOCH, FETCH_TIMEOUT, Action
from tests.simulation.status_side import KID, Node, Registry
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import run_virtually

_PROBE = 0.1
_SHOWN = 4
"""The latest tokens of each client that its calls are made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of the product in which a fault can be planted."""

    registry: type[Registry] = Registry
    replaced: Mapping[str, object] = field(default_factory=dict)
    """By the dotted name of what is replaced."""


def run(scenario: Scenario, parts: Parts) -> Trace:
    """Run a scenario from its beginning to its end and return what was seen."""
    trace = Trace()

    async def main() -> None:
        await World(scenario, parts, trace).run()

    with ExitStack() as patches:
        for module in ("access_token", "status_list"):
            patches.enter_context(
                mock.patch(f"resource_api.{module}.verify_signature", is_signed_by)
            )
        for name, replacement in parts.replaced.items():
            patches.enter_context(mock.patch(name, replacement))
        run_virtually(main())
    return trace


class _OneKey:
    """The issuer's key, which every validator has."""

    ready = True

    def __init__(self) -> None:
        self._key = public_jwk(KID)
        self._set = JwkSet(keys=(self._key,))

    def current(self) -> JwkSet:
        return self._set

    async def key(self, kid: str, alg: str) -> Any:
        return self._key

    async def warm(self) -> bool:
        return True

    async def aclose(self) -> None:
        pass


class Validator:
    """One API: a `TokenValidator` with a `StatusListClient`, and a clock and a way of its own."""

    def __init__(self, world: "World", number: int, traits: Traits) -> None:
        """Start, knowing no list."""
        self.name = f"validator-{number}"
        self.traits = traits
        self._number = number
        self._world = world
        self._begin()

    def _begin(self) -> None:
        keys, world = _OneKey(), self._world
        self._lists = StatusListClient(
            keys,
            stale_for=world.scenario.settings.stale_for,
            clock=self.clock,
            monotonic=world.now,
            on_event=ignore_event,
            jitter=world.chance.random,
        )
        self._lists._http = self._fetch
        policy = ResourcePolicy(
            issuer=ISSUER, resource=RESOURCE, algorithms=frozenset({ALG}), leeway=30
        )
        self._validator = TokenValidator(
            [TrustedIssuer(policy, keys, self._lists)], clock=self.clock, cache_size=64
        )

    def clock(self) -> float:
        """Tell this validator's wall clock."""
        return EPOCH + self._world.now() + self.traits.skew

    async def restart(self) -> None:
        """Forget everything."""
        await self._lists.aclose()
        self._begin()
        self._world.note(self.name, "restarted")

    async def judge(self, token: str) -> None:
        """Accept a token or refuse it; the trace keeps it for the oracle."""
        world, raw, came = self._world, token.encode(), self._world.now()
        verdict = ACCEPTED
        if self._validator.cached(raw) is None:
            try:
                await self._validator.validate(raw)
            except ResourceError as refusal:
                verdict = refusal.reason.value
        world.note(
            self.name,
            "judged",
            token=world.names[token],
            verdict=verdict,
            came=came,
            clock=self.clock(),
        )

    async def _fetch(self, uri: str, headers: Mapping[str, str]) -> Fetched:
        world, etag = self._world, headers.get("if-none-match")
        began = world.now()
        try:
            await world.network.hop(self._number)
            answer = await (
                world.cache(uri).get(etag) if self.traits.through_cdn else world.ask(uri, etag)
            )
            await world.network.hop(self._number)
        except Lost:
            raise FetchFailed("no answer") from None
        world.note(self.name, "answer", status=answer.status, began=began)
        return answer


class World:
    """Everything that takes part in a run."""

    def __init__(self, scenario: Scenario, parts: Parts, trace: Trace) -> None:
        """Make the parties, within the event loop of the run."""
        self.scenario = scenario
        self.now = asyncio.get_running_loop().time
        self.chance = random.Random(f"{scenario.seed} world")
        self.names: dict[str, str] = {}
        self._live: dict[str, list[tuple[str, Position]]] = {
            f"client-{n}": [] for n in range(CLIENTS)
        }
        self.config = IssuerConfig(issuer=ISSUER, withdrawal_seconds=scenario.settings.status_ttl)
        self._trace = trace
        self._tasks: set[asyncio.Task[Any]] = set()
        self._caches: dict[str, SharedCache] = {}
        self.network = Network(self, scenario.troubles)
        self.registry = parts.registry(self)
        self.nodes = [Node(self, n, skew) for n, skew in enumerate(scenario.node_skews)]
        self.validators = [Validator(self, n, each) for n, each in enumerate(scenario.validators)]

    async def run(self) -> None:
        """Let everything happen that the scenario has."""
        for node in self.nodes:
            node.start()
        while not all(node.status.ready for node in self.nodes):  # as a load balancer waits
            await asyncio.sleep(_PROBE)
        for client_id in self._live:
            self.start(self._use(client_id))
        for trouble in self.scenario.troubles:
            self.note("network", "trouble", kind=trouble.kind, whom=trouble.whom, end=trouble.end)
            if trouble.kind == "restart":
                node = self.nodes[trouble.whom or 0]
                self._at(trouble.start, partial(node.restart, trouble.end))
        for action in self.scenario.actions:
            self._at(action.at, partial(self._do, action))
        await asyncio.sleep(self.scenario.horizon)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something happen beside all else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _at(self, moment: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.get_running_loop().call_at(moment, lambda: self.start(work()))

    def note(self, who: str, what: str, **facts: Any) -> None:
        """Note what happened, for the oracle."""
        self._trace.add(self.now(), who, what, **facts)

    def issued(
        self, who: str, token: str, place: Position, client_id: str, claims: Mapping[str, Any]
    ) -> None:
        """Note that a token was issued."""
        name = self.names[token] = f"t{len(self.names)}"
        self._live[client_id].append((token, place))
        self.note(
            who,
            "issued",
            token=name,
            client=client_id,
            bucket=place[0],
            index=place[1],
            iat=claims["iat"],
            exp=claims["exp"],
        )

    def cache(self, uri: str) -> SharedCache:
        """Give the shared cache of a list."""
        return self._caches.setdefault(uri, SharedCache(self, partial(self.ask, uri)))

    async def ask(self, uri: str, etag: str | None) -> Fetched:
        """Ask some node for a list.

        Raises:
            Lost: none answers.
        """
        node = await self.network.origin()
        return node if isinstance(node, Fetched) else await node.list(urlsplit(uri).path, etag)

    async def _use(self, client_id: str) -> None:
        """Get tokens and use the last ones, at all APIs."""
        settings = self.scenario.settings
        while True:
            await asyncio.sleep(self.chance.uniform(0, settings.pause))
            try:
                node = await self.network.origin()
            except Lost:
                continue
            if isinstance(node, Node):
                await node.token(client_id)
            for token, _ in self._live[client_id][-_SHOWN:]:
                self._show_to_all(token)

    def _show_to_all(self, token: str) -> None:
        for validator in self.validators:
            self.start(validator.judge(token))

    async def _do(self, action: Action) -> None:
        if action.kind == "restart_validator":
            await self.validators[action.whom].restart()
            return
        client_id = f"client-{action.choice % CLIENTS}"
        live, writes = self._live[client_id], self.nodes[action.whom].writes
        if not live:
            return
        token, place = live[-1 - action.choice % min(len(live), _SHOWN)]
        shown = [token, *(each for each, _ in live[-_SHOWN:])]
        self._show_all(shown)
        try:
            match action.kind:
                case "revoke_token":
                    await writes.set_status(place, Status.INVALID)
                case "revoke_client":
                    await writes.revoke_client(client_id)
                case "suspend":
                    await writes.set_status(place, Status.SUSPENDED)
                case "restore":
                    await writes.set_status(place, Status.VALID)
        except (StoreUnavailable, TemporarilyUnavailable):
            self.note("operator", "failed", action=action.kind)
        for after in self._moments_after():
            self._at(self.now() + after, partial(self._show_later, shown))

    async def _show_later(self, tokens: list[str]) -> None:
        self._show_all(tokens)

    def _show_all(self, tokens: list[str]) -> None:
        for token in tokens:
            self._show_to_all(token)

    def _moments_after(self) -> list[float]:
        ttl = self.scenario.settings.status_ttl
        bounds = (0.3, ttl - ttl // 2 + 1, ttl + 1, 2 * ttl + 1, ttl + FETCH_TIMEOUT + 40)
        return [bound + 0.01 for bound in bounds]
