"""Register clients and let them administer themselves: one transaction a step, off the event loop.

RFC 7591 §3, RFC 7592 §2. Uses its own thread, so that unauthenticated registration traffic cannot
take database connections from the token endpoint; changes wait for each other anyway.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from issuer.administration.token_changes import revoke_all_tokens
from issuer.errors import OAuthError, Reason, TemporarilyUnavailable
from issuer.registration.metadata import (
    ClientMetadata,
    ClientUpdate,
    RegisteredClient,
    decide_registration,
    decide_update,
    refuse_metadata,
)
from issuer.registration.request import InvalidToken
from issuer.registry.audit import Actor, Via
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import DUMMY_FAST, NewSecret, generate_secret, hash_secret
from issuer.registry.errors import InvalidValue, StoreUnavailable, UnknownResource, UnknownScope
from issuer.registry.initial_access_token import (
    InitialAccessToken,
    is_access_token,
    make_access_token,
    parse_token_id,
)
from issuer.registry.names import check_client_id
from issuer.storage.edit import RegistryEdit
from issuer.storage.reading import RegistryReading
from issuer.storage.registry import Registry

T = TypeVar("T")

MAX_WAITING = 32
"""Steps that wait for the thread; more are told to come back."""

QUEUE_SECONDS = 2.0
"""Time that a step waits for its turn; then nothing has begun, and its author may come back."""

_CLIENT_ID_BYTES = 16


class Registrar:
    """The registry as clients meet it.

    Args:
        registry: where clients are.
        now: the clock, seconds since the epoch.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.

    Raises:
        InvalidToken: from each method, when the token is not, or no longer, one for it.
        TemporarilyUnavailable: from each method, when the registry cannot answer or too many wait.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        now: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._registry = registry
        self._now = now
        self._random_bytes = random_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registrar")
        self._waiting = 0

    def close(self) -> None:
        """End the thread, once what it does is done. The registry stays open."""
        self._thread.shutdown(cancel_futures=True)

    async def admit(self, initial: str) -> InitialAccessToken:
        """Find the initial access token of a request; no use of it is taken yet."""
        token_id = parse_token_id(initial)
        if token_id is None:
            raise _refusal()
        token = await self._read(lambda reading: reading.find_registration_token(token_id))
        proven = (DUMMY_FAST if token is None else token.hash).verify(initial)
        if token is None or not proven or not token.is_live(self._now()):
            raise _refusal()
        return token

    async def register(
        self, metadata: ClientMetadata, token: InitialAccessToken, *, request_id: str | None
    ) -> RegisteredClient:
        """Register a client and take one use of the token, both or neither.

        Raises:
            InvalidClientMetadata: the parts do not fit, or are more than the token allows.
        """
        client_id = "dyn-" + self._random_bytes(_CLIENT_ID_BYTES).hex()
        registration = decide_registration(metadata, token, client_id=client_id)

        def work(edit: RegistryEdit) -> RegisteredClient:
            if not edit.claim_registration(token.token_id):
                raise _refusal()
            return self._create(edit, registration)

        return await self._change(work, actor=token.token_id, request_id=request_id)

    async def find(self, client_id: str, access: str) -> Client:
        """Find the client that a registration access token belongs to."""
        return await self._read(lambda reading: _prove(reading, client_id, access, self._now()))

    async def replace(
        self, update: ClientUpdate, access: str, *, request_id: str | None
    ) -> RegisteredClient:
        """Replace what a client has decided of itself.

        Raises:
            InvalidClientMetadata: the parts do not fit, are more than the client has, or the secret
                is not its own.
        """

        def work(edit: RegistryEdit) -> RegisteredClient:
            before = _prove(edit, update.client_id, access, edit.now)
            _check_secret(before, update.client_secret, edit.now)
            edit.replace_client(decide_update(update, before.registration))
            secret = self._settle_secrets(edit, update.client_id)
            after = edit.require_client(update.client_id)
            return RegisteredClient(client=after, access_token=access, secret=secret)

        return await self._change(work, actor=update.client_id, request_id=request_id)

    async def delete(self, client_id: str, access: str, *, request_id: str | None) -> None:
        """Delete a client on its own word, and revoke its tokens (RFC 7592 §2.3)."""

        def work(edit: RegistryEdit) -> None:
            _prove(edit, client_id, access, edit.now)
            edit.delete_client(client_id)
            revoke_all_tokens(edit, client_id, administration=None)

        await self._change(work, actor=client_id, request_id=request_id)

    def _create(self, edit: RegistryEdit, registration: ClientRegistration) -> RegisteredClient:
        access = make_access_token(self._random_bytes)
        edit.create_client(registration)
        edit.set_registration_access(
            registration.client_id, hash_secret(access, self._random_bytes)
        )
        secret = self._settle_secrets(edit, registration.client_id)
        client = edit.require_client(registration.client_id)
        return RegisteredClient(client=client, access_token=access, secret=secret)

    def _settle_secrets(self, edit: RegistryEdit, client_id: str) -> str | None:
        """Give a client that needs a secret its first, and take them from one that needs none.

        A secret left behind would count again after the next change of method, by which time
        it may be known to others.
        """
        client = edit.require_client(client_id)
        method = client.registration.token_endpoint_auth_method
        useless = [
            secret
            for secret in client.secrets
            if not method.uses_secret or not secret.serves(method)
        ]
        for secret in useless:
            edit.revoke_secret(client_id, secret.secret_id)
        if not method.uses_secret:
            return None
        kept = [
            secret
            for secret in client.secrets
            if secret not in useless and not secret.has_ended(edit.now)
        ]
        if kept:
            return None
        new = generate_secret(self._random_bytes)
        edit.add_secret(client_id, NewSecret.of(new, self._random_bytes))
        return new

    async def _read(self, work: Callable[[RegistryReading], T]) -> T:
        return await self._run(lambda: self._registry.read(work))

    async def _change(
        self, work: Callable[[RegistryEdit], T], *, actor: str, request_id: str | None
    ) -> T:
        by = Actor(name=actor, via=Via.REGISTRATION, request_id=request_id)
        try:
            return await self._run(lambda: self._registry.change(work, by=by))
        except (UnknownResource, UnknownScope):
            raise refuse_metadata("a scope that was allowed does not exist any more") from None
        except InvalidValue as error:
            raise refuse_metadata(str(error)) from None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise TemporarilyUnavailable(Reason.OVERLOADED)
        self._waiting += 1
        try:
            return await _in_turn(self._thread.submit(work))
        except StoreUnavailable:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        finally:
            self._waiting -= 1


async def _in_turn(step: Future[T]) -> T:
    """Wait for a step to begin, not longer than its turn may take, and then to its end."""
    ending = asyncio.wrap_future(step)
    await asyncio.wait([ending], timeout=QUEUE_SECONDS)
    if step.cancel():  # which a step that has begun does not let happen
        raise TemporarilyUnavailable(Reason.OVERLOADED)
    return await ending


def _prove(reading: RegistryReading, client_id: str, access: str, now: int) -> Client:
    """Find a client by its registration access token.

    One that is unknown costs the same as a wrong token, and one that is disabled or has ended is
    answered as an unknown one: it may do nothing, here as at the token endpoint.
    """
    if not is_access_token(access) or not _is_client_id(client_id):
        raise _refusal()
    expected = reading.find_registration_access(client_id)
    proven = (expected or DUMMY_FAST).verify(access)
    client = reading.find_client(client_id)
    if client is None or not proven or not client.is_active(now):
        raise _refusal()
    return client


def _is_client_id(text: str) -> bool:
    try:
        check_client_id(text)
    except InvalidValue:
        return False  # nor can a database look for every such text
    return True


def _check_secret(client: Client, secret: str | None, now: int) -> None:
    """RFC 7592 §2.2: a secret that is sent along MUST match what was issued."""
    if secret is None:
        return
    live = [known.hash for known in client.secrets if known.is_live(now)]
    if not any(known.verify(secret) for known in live):
        raise refuse_metadata("client_secret is not that of the client")


def _refusal() -> OAuthError:
    return InvalidToken(Reason.REGISTRATION_TOKEN, "the token is not valid here")
