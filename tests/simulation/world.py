"""One run: all parties of a scenario in one virtual time."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

from consumer.fetch import FetchAnswer
from issuer.config import IssuerConfig
from issuer.metadata import build_metadata
from keys.lifecycle import plan_generation
from keys.remote.answer import Fetched
from keys.remote.jwks_client import JwksClient
from keys.ring import RingPolicy
from tests.simulation.api_side import Consumer, Validator, is_signed_by
from tests.simulation.issuer_side import ALG, ISSUER, Node, Store
from tests.simulation.network import Network, SharedCache, ask_issuer
from tests.simulation.probes import Probes
from tests.simulation.scenario import EPOCH, Action, Scenario
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import run_virtually

CALLS = 40
"""Calls of each consumer in a run, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of the product in which a fault can be planted."""

    policy: type[RingPolicy] = RingPolicy
    store: type[Store] = Store
    client: type[JwksClient] = JwksClient


def run(scenario: Scenario, parts: Parts) -> Trace:
    """Run a scenario from its beginning to its end and return what was seen."""
    trace = Trace()

    async def main() -> None:
        await World(scenario, parts, trace).run()

    with mock.patch("resource_api.access_token.verify_signature", is_signed_by):
        run_virtually(main())
    return trace


class World:
    """Everything that takes part in a run."""

    def __init__(self, scenario: Scenario, parts: Parts, trace: Trace) -> None:
        """Make the parties, within the event loop of the run."""
        settings = scenario.settings
        self.scenario = scenario
        self.parts = parts
        self.now = asyncio.get_running_loop().time
        self.chance = random.Random(f"{scenario.seed} world")
        self.tokens: dict[str, str] = {}
        """The name of each token, by its text."""
        self.by_key: defaultdict[str, list[str]] = defaultdict(list)
        """The tokens that each key signed."""
        self.policy = parts.policy(
            jwks_max_age=settings.max_age,
            longest_token=settings.longest_token,
            rotate_every=settings.rotate_every,
        )
        self.config = IssuerConfig(
            issuer=ISSUER,
            document_max_age=settings.max_age,
            withdrawal_seconds=settings.status_ttl,
        )
        self.metadata = build_metadata(self.config, methods=())
        self._trace = trace
        self._tasks: set[asyncio.Task[None]] = set()
        self.network = Network(self, scenario.troubles)
        self.cdn = SharedCache(self, partial(ask_issuer, self))
        self.store = parts.store(self)
        self.store.carry_out("operator", "generate", plan_generation((), EPOCH, self.policy, ALG))
        self.nodes = [Node(self, n, skew) for n, skew in enumerate(scenario.node_skews)]
        self.validators = [Validator(self, n, each) for n, each in enumerate(scenario.validators)]
        self._probes = Probes(self)

    async def run(self) -> None:
        """Let everything happen that the scenario has."""
        for node in self.nodes:
            node.start()
        for number in range(self.scenario.consumers):
            self.start(Consumer(self, number).live(2 * self.scenario.horizon / CALLS))
        self.start(self._probes.live())
        for trouble in self.scenario.troubles:
            self.note("network", "trouble", kind=trouble.kind, whom=trouble.whom, end=trouble.end)
            node = self.nodes[(trouble.whom or 0) % len(self.nodes)]
            if trouble.kind == "restart":
                self.at(trouble.start, partial(node.restart, trouble.end))
            if trouble.kind == "clock":
                for moment in (trouble.start, trouble.end):
                    self.at(moment, node.look)
        for action in self.scenario.actions:
            self.at(action.at, partial(self._do, action))
        await asyncio.sleep(self.scenario.horizon)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something happen beside all else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def at(self, moment: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have something happen at a moment, or now if it is past."""
        loop = asyncio.get_running_loop()
        loop.call_at(moment, lambda: self.start(work()))

    def note(self, who: str, what: str, **facts: Any) -> None:
        """Note what happened, for the oracle."""
        self._trace.add(self.now(), who, what, **facts)

    def note_answer(self, who: str, answer: Fetched) -> None:
        """Note what a validator was told of the key set."""
        facts: dict[str, object] = {"status": answer.status}
        if answer.status == 200:
            facts["kids"] = tuple(key["kid"] for key in json.loads(answer.body)["keys"])
            facts["bytes"] = len(answer.body)
        self.note(who, "answer", **facts)

    def issued(self, who: str, token: str, kid: str, claims: Mapping[str, Any]) -> None:
        """Note that a token was issued."""
        name = self.tokens[token] = claims["jti"]
        self.by_key[kid].append(token)
        self.note(who, "issued", token=name, kid=kid, iat=claims["iat"], exp=claims["exp"])

    async def request_token(self, share: float) -> FetchAnswer:
        """Carry a token request of a consumer to some node, and the answer back.

        Args:
            share: the lifetime that is asked for, as a share of the longest.

        Raises:
            Lost: none answers.
        """
        await self.network.hop()
        node = await self.network.origin()
        if isinstance(node, Fetched):
            return FetchAnswer(status=node.status, headers=node.headers, body=node.body)
        lifetime = max(1, int(self.scenario.settings.longest_token * share))
        token = await node.token(lifetime)
        await self.network.hop()
        if token is None:
            return FetchAnswer(status=503, headers={}, body=b"{}")
        body = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}
        headers = {"content-type": "application/json"}
        return FetchAnswer(status=200, headers=headers, body=json.dumps(body).encode())

    async def _do(self, action: Action) -> None:
        match action.kind:
            case "rotate":
                for turn in range(action.choice):
                    self.nodes[(action.whom + turn) % len(self.nodes)].rotate()
            case "revoke":
                await self._probes.revoke(self.nodes[action.whom], action.choice)
            case "delete":
                # By a clock that is wrong every key may be gone: the operator's own is right.
                if not self.network.clock_error(action.whom):
                    ring = self.store.ring
                    self.nodes[action.whom].delete(ring[action.choice % len(ring)].kid)
            case "restart_validator":
                await self.validators[action.whom].restart(keeps_disk=bool(action.choice))
            case "forge":
                await self._probes.forge(self.validators[action.whom], action.choice)
