"""The validators, and the consumers that call them."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from consumer.client_auth import ClientSecretBasic
from consumer.errors import ConsumerError, TokenEndpointUnreachable
from consumer.flow import TokenFlow
from consumer.origin import parse_origin
from consumer.steps import Attempt, Fetch, Renew, Wait
from consumer.token_endpoint import TokenEndpoint, TokenPlan
from keys.errors import InvalidJwt, JwtFault
from keys.events import ignore_event
from keys.jwk import PublicJwk
from keys.jwt import ParsedJwt
from keys.remote.answer import Fetched
from keys.remote.http_jwks import REVALIDATION
from keys.remote.jwks_cache import CachePolicy
from keys.remote.kept_file import KeptFile
from keys.remote.key_set_copy import KeySetCopy
from resource_api.config import ResourcePolicy
from resource_api.errors import ResourceError
from resource_api.validator import TokenValidator, TrustedIssuer
from tests.simulation.issuer_side import ALG, ISSUER, RESOURCE
from tests.simulation.network import Lost, ask_issuer
from tests.simulation.scenario import COOLDOWN, EPOCH, ValidatorTraits

if TYPE_CHECKING:
    from tests.simulation.world import World

ACCEPTED = "accepted"


def is_signed_by(parsed: ParsedJwt, key: PublicJwk) -> None:
    """Stand in for `keys.jwt.verify_signature`."""
    if parsed.signature != b"signed by " + key.kid.encode():
        raise InvalidJwt(JwtFault.BAD_SIGNATURE)


class Disk(KeptFile):
    """A file on a disk that is a variable."""

    def __init__(self) -> None:
        """Begin with an empty disk."""
        self._content: bytes | None = None

    def read(self, maximum: int) -> bytes | None:
        """Give what was written last."""
        return self._content

    def write(self, content: bytes) -> None:
        """Keep it."""
        self._content = content


class Copy(KeySetCopy):
    """A validator's copy of the key set."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with an empty disk."""
        super().__init__("/key-set.json", ISSUER, clock=clock)
        self._file = Disk()


class Validator:
    """One API: a `TokenValidator` over a `JwksClient`, with its own clock and way to the issuer."""

    def __init__(self, world: "World", number: int, traits: ValidatorTraits) -> None:
        """Start, knowing no key."""
        self.name = f"validator-{number}"
        self.number = number
        self.traits = traits
        self._world = world
        settings = world.scenario.settings
        self._policy = ResourcePolicy(
            issuer=ISSUER,
            resource=RESOURCE,
            algorithms=frozenset({ALG}),
            leeway=settings.leeway,
        )
        self._disk = Copy(self.clock)
        self._begin()

    def _begin(self) -> None:
        settings = self._world.scenario.settings
        self.keys = self._world.parts.client(
            self._fetch,
            policy=CachePolicy(cooldown=COOLDOWN, stale_for=settings.stale_for),
            clock=self._world.now,
            on_event=ignore_event,
            copy=self._disk if self.traits.has_disk else None,
            jitter=self._world.chance.random,
        )
        self._validator = TokenValidator(
            [TrustedIssuer(self._policy, self.keys)], clock=self.clock, cache_size=64
        )

    def clock(self) -> float:
        """Tell this validator's wall clock."""
        return EPOCH + self._world.now() + self.traits.skew

    async def restart(self, *, keeps_disk: bool) -> None:
        """Forget everything that was in memory, and perhaps what was on disk."""
        await self.keys.aclose()
        if not keeps_disk:
            self._disk = Copy(self.clock)
        self._begin()
        self._world.note(self.name, "restarted", keeps_disk=keeps_disk)

    async def judge(self, token: str) -> str:
        """Accept a token, or give the reason of the refusal; the trace keeps it for the oracle."""
        came, raw = self._world.now(), token.encode()
        verdict = ACCEPTED
        if self._validator.cached(raw) is None:
            try:
                await self._validator.validate(raw)
            except ResourceError as refusal:
                verdict = refusal.reason.value
        self._world.note(
            self.name,
            "judged",
            token=self._world.tokens.get(token, "forged"),
            verdict=verdict,
            came=came,
            clock=self.clock(),
        )
        return verdict

    async def _fetch(self, etag: str | None) -> Fetched:
        network = self._world.network
        self._world.note(self.name, "asks")
        try:
            await network.hop(self.number)
            if self.traits.through_cdn:
                answer = await self._world.cdn.get(etag)
            else:
                answer = await ask_issuer(self._world, etag)
            await network.hop(self.number)
        except Lost:
            self._world.note(self.name, "no answer")
            raise
        self._world.note_answer(self.name, answer)
        told = self._world.metadata[REVALIDATION] if self.traits.told_interval else None
        return replace(answer, revalidate=told)


class Consumer:
    """One client: a `TokenFlow`, whose steps are carried out here."""

    def __init__(self, world: "World", number: int) -> None:
        """Start without a token."""
        self.name = f"consumer-{number}"
        self._world = world
        self._chance = random.Random(f"{world.scenario.seed} {self.name}")
        plan = TokenPlan(
            issuer=ISSUER,
            auth=ClientSecretBasic("svc", "a secret of the simulation"),
            token_endpoint=f"{ISSUER}/token",
        )
        endpoint = TokenEndpoint(None, clock=world.now, wall_clock=world.now)
        self._flow = TokenFlow(plan, endpoint, clock=world.now, draw=self._chance.random)

    async def live(self, pause: float) -> None:
        """Call one API after another.

        Args:
            pause: the longest time between two calls, in seconds.
        """
        while True:
            await asyncio.sleep(self._chance.uniform(0, pause))
            await self._call(self._chance.choice(self._world.validators))

    async def _call(self, validator: Validator) -> None:
        steps = self._flow.steps(parse_origin(f"https://{validator.name}.example"))
        try:
            for step in steps:
                match step:
                    case Fetch():
                        await self._fetch(step)
                    case Renew():
                        step.is_started = True
                        self._world.start(self._renew(step))
                    case Wait():
                        done = asyncio.Event()
                        step.pending.on_completion(done.set)
                        await done.wait()
                    case Attempt():
                        verdict = await validator.judge(step.token.value)
                        step.accepted = verdict == ACCEPTED
                        step.rejected = verdict not in (ACCEPTED, "no_keys")
                        step.replayable = True
        except ConsumerError as error:
            self._world.note(self.name, "no token", said=type(error).__name__)

    async def _renew(self, renew: Renew) -> None:
        for step in renew.steps:
            assert isinstance(step, Fetch)
            await self._fetch(step)

    async def _fetch(self, step: Fetch) -> None:
        try:
            async with asyncio.timeout(5):
                step.answer = await self._world.request_token(self._chance.choice((0.5, 1)))
        except (Lost, TimeoutError):
            step.failure = TokenEndpointUnreachable("no answer")
