"""Clients, resources and a store in memory whose every answer the test lets through by hand."""

from collections.abc import Generator

from issuer.ports import Changes
from issuer.registry.client import AuthMethod, Client, ClientGrant, ClientSecret, NewClient
from issuer.registry.errors import StoreUnavailable
from issuer.registry.resource import Resource
from issuer.registry.secret_hash import SecretHash, hash_secret

RESOURCE = "https://orders.example"
SECRET = "wws_" + "s" * 43
NOW = 1_700_000_000


def fast_hash(secret: str = SECRET, *, salt: bytes = b"0123456789abcdef") -> SecretHash:
    """Hash a strong secret."""
    return SecretHash.parse(hash_secret(secret, salt=salt))


def orders(*scopes: str, identifier: str = RESOURCE, token_ttl: int | None = None) -> Resource:
    """Make the resource of the examples."""
    return Resource(identifier=identifier, scopes=scopes or ("read", "write"), token_ttl=token_ttl)


def new_client(client_id: str = "till", **changes: object) -> NewClient:
    """Make a client to be registered, good but for the changes."""
    fields: dict[str, object] = {"secret_hash": fast_hash(), "resources": (RESOURCE,)}
    return NewClient(client_id=client_id, **(fields | changes))  # type: ignore[arg-type]


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
        client_id=client_id,
        display_name=None,
        auth_method=AuthMethod.CLIENT_SECRET_BASIC,
        grants=(ClientGrant(resource=RESOURCE, scopes=("read",), token_ttl=None),),
        secrets=(secret,),
        token_ttl=None,
        disabled=disabled,
        created_at=NOW,
        updated_at=updated_at,
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

    async def changes_since(self, cursor: int) -> Changes:
        await self._pause()
        known = self.trimmed <= cursor <= len(self.feed)
        changes = Changes(
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
