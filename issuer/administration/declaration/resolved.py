"""A declaration whose secrets are at hand: what a plan is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from issuer.administration.declaration.document import Declaration, DeclaredClient, SecretReference
from issuer.registry.client import ClientRegistration
from issuer.registry.client_secret import NewSecret
from issuer.registry.resource import Resource
from issuer.registry.schema import narrowed
from issuer.registry.secret_hash import SecretHash, hash_secret


class SecretValue:
    """A secret, shown by nothing; remembers its comparisons, which may take 40 ms each.

    Args:
        text: the secret.
        salt: 16 random bytes for the hash that is kept of it, should it be added.
    """

    __slots__ = ("_hash", "_salt", "_text", "_verdicts")

    def __init__(self, text: str, *, salt: bytes) -> None:
        self._text = text
        self._salt = salt
        self._hash: SecretHash | None = None
        self._verdicts: dict[SecretHash, bool] = {}

    def __repr__(self) -> str:
        """Show that there is a secret, not which."""
        return "SecretValue(…)"

    def reveal(self) -> str:
        """Return the secret itself, to be sent to the server that is to know it."""
        return self._text

    def is_same(self, other: "SecretValue") -> bool:
        """Tell whether the other is the same secret."""
        return self._text == other._text

    def matches(self, stored: SecretHash) -> bool:
        """Tell whether the hash is one of this secret."""
        if stored not in self._verdicts:
            self._verdicts[stored] = stored.verify(self._text)
        return self._verdicts[stored]

    def hashed(self) -> SecretHash:
        """Make the hash to be kept; the same one however often it is asked for."""
        if self._hash is None:
            self._hash = SecretHash.parse(hash_secret(self._text, salt=self._salt))
        return self._hash


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSecret:
    """One of a client's declared secrets.

    Args:
        source: the reference in words; what people know the secret by.
        value: the secret; None as long as it is still to be generated.
        expires_at: when it shall end; None leaves its end as it is.
    """

    source: str
    value: SecretValue | None
    expires_at: int | None = None

    def new_secret(self) -> NewSecret:
        """Build what is stored of it.

        Raises:
            ValueError: it is still to be generated.
        """
        if self.value is None:
            raise ValueError(f"there is no secret yet for {self.source}")
        return NewSecret(hash=self.value.hashed(), expires_at=self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedClient:
    """A client as it should be; `secrets` is None if they are left alone."""

    registration: ClientRegistration
    secrets: tuple[ResolvedSecret, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDeclaration:
    """Resources and clients as they should be."""

    resources: tuple[Resource, ...] = ()
    clients: tuple[ResolvedClient, ...] = field(default=())


SecretPlace = tuple[str, int]
"""A client's id, and which of its references, counted from 0."""


def resolve(
    declaration: Declaration, values: Mapping[SecretPlace, SecretValue]
) -> ResolvedDeclaration:
    """Put secrets in the place of references.

    Args:
        declaration: what was read.
        values: the secrets; a reference that has none is one still to be generated.
    """
    return ResolvedDeclaration(
        resources=tuple(declaration.resources),
        clients=tuple(_resolve_client(each, values) for each in declaration.clients),
    )


def _resolve_client(
    client: DeclaredClient, values: Mapping[SecretPlace, SecretValue]
) -> ResolvedClient:
    if client.secrets is None:
        return ResolvedClient(registration=narrowed(ClientRegistration, client))
    secrets = (
        _resolve_secret(reference, values.get((client.client_id, index)))
        for index, reference in enumerate(client.secrets)
    )
    return ResolvedClient(registration=narrowed(ClientRegistration, client), secrets=tuple(secrets))


def _resolve_secret(reference: SecretReference, value: SecretValue | None) -> ResolvedSecret:
    end = reference.expires_at
    return ResolvedSecret(
        source=reference.source,
        value=value,
        expires_at=end,
    )
