"""The issuer: one key store, and the nodes that serve from it."""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer.access_token import assemble, build_claims, build_signing_input, header_segment
from issuer.endpoints.document import Document, DocumentEndpoint
from issuer.grants.authorization import Authorization
from keys.errors import KeysError, NoSigningKey
from keys.jwk import PublicJwk
from keys.lifecycle import (
    Generate,
    Plan,
    apply_change,
    plan_deletion,
    plan_rotation,
    plan_upkeep,
    plan_withdrawal,
)
from keys.remote.answer import Fetched
from keys.ring import RingKey
from keys.stores.key_file import StoredKey
from tests.simulation.scenario import EPOCH
from watchword.provider.key_ring import KeyRing

if TYPE_CHECKING:
    from tests.simulation.world import World

ALG = "EdDSA"
ISSUER = "https://as.example"
RESOURCE = "https://api.example"
POLL = 0.25
"""Seconds between two looks at the stamp of the store, as the provider's job has it."""
UPKEEP = 60.0

_PUBLIC_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()


class Signature:
    """The only stand-in: signs by writing down which key signs."""

    def __init__(self, kid: str) -> None:
        """Sign as this key."""
        self.kid = kid
        self.alg = ALG

    def sign_now(self, signing_input: bytes) -> bytes:
        """Return what `is_signed_by` recognises."""
        return b"signed by " + self.kid.encode()

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the same."""
        return self.sign_now(signing_input)


Snapshot = tuple[tuple[RingKey, ...], int]
"""The keys and the stamp of the store, as they were at one moment."""


class Store:
    """The keys that all nodes share; a change is planned and made in one step, as under a lock."""

    def __init__(self, world: "World") -> None:
        """Begin without a key."""
        self._world = world
        self.ring: tuple[RingKey, ...] = ()
        self.version = 0
        self._made = 0
        self.listeners: list[asyncio.Event] = []

    def snapshot(self) -> Snapshot:
        """Give what a reader finds now."""
        return self.ring, self.version

    def apply(
        self, who: str, why: str, plan_of: Callable[[tuple[RingKey, ...]], Plan], seen: object
    ) -> None:
        """Plan a change of the keys as they are now, and make it."""
        self.carry_out(who, why, plan_of(self.ring))

    def carry_out(self, who: str, why: str, plan: Plan) -> None:
        """Make every change of a plan."""
        if not plan:
            return
        for change in plan:
            self._made += isinstance(change, Generate)
            self.ring = apply_change(self.ring, change, f"k{self._made}")
        self.version += 1
        keys = tuple((key.kid, key.signs_from, key.withdrawn_at) for key in self.ring)
        self._world.note(who, "stored", why=why, version=self.version, keys=keys)
        for listener in self.listeners:
            listener.set()


class _View:
    """The store as one node read it last; what its `KeyRing` takes for the store."""

    def __init__(self) -> None:
        self.ring: tuple[RingKey, ...] = ()
        self.version = 0

    def stamp(self) -> Hashable:
        return self.version

    def records(self) -> tuple[StoredKey, ...]:
        return tuple(StoredKey(ring_key=key, jwk=public_jwk(key.kid)) for key in self.ring)

    def signer(self, kid: str) -> Signature:
        return Signature(kid)


def public_jwk(kid: str) -> PublicJwk:
    """Give the public half of the key of this name."""
    # One key pair under every name: making one for each key would take most of the time.
    return PublicJwk(kid=kid, alg=ALG, kty="OKP", key=_PUBLIC_KEY)


class Node:
    """One node of the issuer: reads the store, publishes, signs, keeps the store prepared."""

    def __init__(self, world: "World", number: int, skew: float) -> None:
        """Prepare; nothing is read yet."""
        self.name = f"node-{number}"
        self._world = world
        self._number = number
        self.skew = skew
        self._phase = world.chance.uniform(0, POLL)
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        world.store.listeners.append(self._changed)
        self._begin()

    def _begin(self) -> None:
        self._view = _View()
        self.keys = KeyRing(self._view, self._world.policy, alg=ALG)
        self._document = DocumentEndpoint(self._published)

    def _published(self) -> Document:
        return replace(
            self.keys.document(self.clock()),
            shared_max_age=self._world.config.jwks_shared_max_age,
        )

    def clock(self) -> int:
        """Tell this node's wall clock, in whole seconds as the provider reads it."""
        wrong = self._world.network.clock_error(self._number)
        return int(EPOCH + self._world.now() + self.skew + wrong)

    def start(self) -> None:
        """Read the store and serve."""
        self._take(self._world.store.snapshot())
        self._running = self._world.start(self._follow())

    @property
    def is_down(self) -> bool:
        """Tell whether this node serves nothing now."""
        return self._running is None

    async def restart(self, until: float) -> None:
        """Stop serving, and come back knowing nothing but what is in the store."""
        if self._running is None:
            return
        self._running.cancel()
        self._running = None
        self._world.note(self.name, "stopped")
        await asyncio.sleep(until - self._world.now())
        self._begin()
        self.start()

    async def look(self) -> None:
        """Look at the store at the next poll, for the clock was set."""
        self._changed.set()

    async def _follow(self) -> None:
        while True:
            # At the start, after each change, and once a minute.
            self._maintain()
            try:
                async with asyncio.timeout(UPKEEP):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()
            await asyncio.sleep((self._phase - self._world.now()) % POLL)
            snapshot = self._world.store.snapshot()
            await asyncio.sleep(self._world.network.read_time(self._number))
            self._take(snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        self._view.ring, self._view.version = snapshot
        self.keys.refresh(self.clock())
        self._world.note(self.name, "read", version=self._view.version)

    def _maintain(self) -> None:
        now, policy = self.clock(), self._world.policy
        self._change("upkeep", lambda ring: plan_upkeep(ring, now, policy, {ALG}))

    def rotate(self) -> None:
        """Do what `keys rotate` does on this node."""
        now, policy = self.clock(), self._world.policy
        self._change("rotate", lambda ring: plan_rotation(ring, now, policy, ALG))

    def revoke(self, kid: str) -> None:
        """Do what `keys revoke` does on this node."""
        now, policy = self.clock(), self._world.policy
        self._change("revoke", lambda ring: plan_withdrawal(ring, kid, now, policy))

    def delete(self, kid: str) -> None:
        """Do what `keys delete` does on this node."""
        now, policy = self.clock(), self._world.policy
        self._change("delete", lambda ring: plan_deletion(ring, kid, now, policy))

    def _change(self, why: str, plan_of: Callable[[tuple[RingKey, ...]], Plan]) -> None:
        try:
            self._world.store.apply(self.name, why, plan_of, self._view.ring)
        except KeysError as refusal:
            self._world.note(self.name, "declined", why=why, said=str(refusal))

    async def jwks(self, etag: str | None) -> Fetched:
        """Answer a request for the key set, by the endpoint that answers it in the provider."""
        headers = [] if etag is None else [(b"if-none-match", etag.encode())]
        sent: list[dict[str, object]] = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await self._document({"method": "GET", "headers": headers}, None, send)
        return Fetched(
            status=sent[0]["status"],
            headers={name.decode(): value.decode() for name, value in sent[0]["headers"]},
            body=sent[1]["body"],
        )

    async def token(self, lifetime: int) -> str | None:
        """Issue a token, or tell that no key signs."""
        now = self.clock()
        try:
            signer = self.keys.signer(now)
        except NoSigningKey:
            self._world.note(self.name, "unsigned", version=self._view.version)
            return None
        authorization = Authorization("svc", "svc", RESOURCE, (), lifetime)
        claims = build_claims(
            authorization, issuer=ISSUER, now=now, jti=f"t{len(self._world.tokens)}"
        )
        message = build_signing_input(header_segment(ALG, signer.kid), claims)
        token = assemble(message, await signer.sign(message))
        self._world.issued(self.name, token, signer.kid, claims)
        return token
