"""Clients, resources and a store in memory whose every answer the test lets through by hand."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from issuer.ports import Changes
from issuer.registry.audit import Actor, Via
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import ClientSecret, NewSecret, SecretHash, hash_secret
from issuer.registry.errors import StoreUnavailable
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource, TokenPolicy
from issuer.registry.usage import UsageLog

RESOURCE = "https://orders.example"
SECRET = "wws_" + "s" * 43
NOW = 1_700_000_000
TESTER = Actor(name="tester", via=Via.CLI)


def fast_hash(secret: str = SECRET, *, salt: bytes = b"0123456789abcdef") -> SecretHash:
    """Hash a strong secret."""
    return hash_secret(secret, lambda _: salt)


def new_secret(number: int, **times: Any) -> NewSecret:
    """Make a secret of its own id."""
    return NewSecret(
        hash=fast_hash(f"secret {number} " + "x" * 40, salt=b"%-16d" % number), **times
    )


def orders(*scopes: str, identifier: str = RESOURCE, **policy: Any) -> Resource:
    """Make the resource of the examples."""
    return Resource(resource=identifier, scopes=scopes or ("read", "write"), **policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client to be registered: its grants are found when it is."""

    registration: ClientRegistration
    secret_hash: SecretHash = field(default_factory=fast_hash)
    resources: tuple[str, ...] = (RESOURCE,)
    scopes: tuple[str, ...] = ()


_NOT_REGISTERED = {"secret_hash", "resources", "scopes"}


def new_client(client_id: str = "till", **changes: Any) -> NewClient:
    """Make a client to be registered, good but for the changes."""
    how = {name: value for name, value in changes.items() if name in _NOT_REGISTERED}
    what = {name: value for name, value in changes.items() if name not in _NOT_REGISTERED}
    return NewClient(registration=ClientRegistration(client_id=client_id, **what), **how)


class RegistryHarness:
    """A registry as one operator has it: each edit is a change of its own."""

    def __init__(self, registry: Any, by: Actor = TESTER) -> None:
        self.registry = registry
        self._by = by

    def create_client(self, new: NewClient) -> Client:
        """Register a client with its one secret."""
        return self.registry.change(lambda edit: _create(edit, new), by=self._by)

    def set_disabled(self, client_id: str, disabled: bool) -> Client:
        """Disable a client, or enable it again."""
        return self.registry.change(
            lambda edit: edit.replace_client(
                replace(edit.require_client(client_id).registration, disabled=disabled)
            ),
            by=self._by,
        )

    def __getattr__(self, name: str) -> Any:
        from issuer.storage.edit import RegistryEdit
        from issuer.storage.reading import RegistryReading

        if hasattr(self.registry, name) or not hasattr(RegistryEdit, name):
            return getattr(self.registry, name)

        def call_once(*arguments: Any, **options: Any) -> Any:
            def work(within: Any) -> Any:
                return getattr(within, name)(*arguments, **options)

            if hasattr(RegistryReading, name):
                return self.registry.read(work)
            return self.registry.change(work, by=self._by)

        return call_once


def _create(edit: Any, new: NewClient) -> Client:
    grants = edit.grants_for(new.resources, new.scopes or None)
    return edit.create_client(
        replace(new.registration, grants=grants), [NewSecret(hash=new.secret_hash)]
    )


def use(registry: Any, *uses: tuple[str, str, str, tuple[str, ...], int]) -> None:
    """Write down uses: client, secret, resource, scopes, time."""
    log = UsageLog()
    for each in uses:
        log.note(*each)
    registry.record_usage(log.take())


def registered_client(
    client_id: str = "till",
    *,
    updated_at: int = NOW,
    disabled: bool = False,
    secret_hash: SecretHash | None = None,
) -> Client:
    """Make a client as a store would return it."""
    secret = ClientSecret(
        secret_id="1",
        hash=secret_hash or fast_hash(),
        created_at=NOW,
        starts_at=NOW,
        expires_at=None,
    )
    return Client(
        registration=ClientRegistration(
            client_id=client_id,
            grants=(ResourcePermission(resource=RESOURCE, scopes=("read",)),),
            disabled=disabled,
        ),
        policies={RESOURCE: TokenPolicy()},
        secrets=(secret,),
        created_at=NOW,
        updated_at=updated_at,
        revision=updated_at,
    )


class Pause:
    """A point where a coroutine stops until it is stepped again."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class SteppedStore:
    """A `ClientSource` in memory that pauses before and after it reads, to be stepped by hand."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.feed: list[str] = []  # the note with number n is at n - 1
        self.trimmed = 0
        self.name = "a"  # of the feed
        self.broken = False
        self.finds = 0

    def put(self, client_id: str, *, disabled: bool = False) -> None:
        self.feed.append(client_id)
        self.clients[client_id] = registered_client(
            client_id, updated_at=len(self.feed), disabled=disabled
        )

    def remove(self, client_id: str) -> None:
        self.feed.append(client_id)
        del self.clients[client_id]

    async def find(self, client_id: str) -> Client | None:
        self.finds += 1
        await self._pause()
        client = self.clients.get(client_id)
        await Pause()
        return client

    find_changed = find

    async def changes_since(self, cursor: int) -> Changes:
        await self._pause()
        known = self.trimmed <= cursor <= len(self.feed)
        changes = Changes(
            feed=self.name,
            cursor=len(self.feed),
            client_ids=frozenset(self.feed[cursor:]) if known else None,
            any_slow_secret=any(
                secret.hash.slow for each in self.clients.values() for secret in each.secrets
            ),
        )
        await Pause()
        return changes

    async def version(self) -> int:
        await self._pause()
        version = len(self.feed)
        await Pause()
        return version

    async def _pause(self) -> None:
        await Pause()
        if self.broken:
            raise StoreUnavailable("the store is away")
