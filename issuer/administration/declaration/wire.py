"""A declaration as it travels to a server: with the secrets themselves in place of references."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from issuer.administration.declaration.checks import check_between
from issuer.administration.declaration.document import VERSION
from issuer.administration.declaration.resolved import (
    ResolvedClient,
    ResolvedDeclaration,
    ResolvedSecret,
    SecretValue,
)
from issuer.administration.documents import SecretText, mistakes_of
from issuer.administration.errors import InvalidDocument, Mistake, write_pointer
from issuer.registry.client import ClientRegistration
from issuer.registry.client_secret import MAXIMUM_SECRETS
from issuer.registry.representation import describe_registration, describe_resource
from issuer.registry.resource import Resource
from issuer.registry.rfc3339 import write_time
from issuer.registry.schema import MODEL, Document, Json, Time, narrowed, read
from issuer.registry.secret_hash import SALT_BYTES


class SentSecret(Document):
    """One of a client's secrets."""

    source: str = Field(
        min_length=1, max_length=4096, description="what people know it by: `env ORDERS_SECRET`"
    )
    client_secret: SecretText | None = Field(
        None, repr=False, description="the secret; none if it is still to be made: a dry run tells"
    )
    expires_at: Time | None = Field(None, description="when it ends; as it is if left out")


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class SentClient(ClientRegistration):
    """A client as it should be."""

    secrets: Annotated[list[SentSecret], Field(max_length=MAXIMUM_SECRETS)] | None = Field(
        default=None,
        description="its secrets; left alone if there is no such list",
    )

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        method = self.token_endpoint_auth_method
        if self.secrets and not method.uses_secret:
            raise ValueError(f"{method} uses no secrets")
        known = [each.client_secret for each in self.secrets or () if each.client_secret]
        if len(set(known)) < len(known):
            raise ValueError("two of its secrets are the same")
        return self


class SentDeclaration(Document):
    """Clients and resources as they should be."""

    version: Literal[1] = Field(VERSION, description="of this format")
    resources: list[Resource] = Field(
        default_factory=list, description="the APIs that tokens are for"
    )
    clients: list[SentClient] = Field(default_factory=list, description="who may ask for tokens")


def write_sent(declaration: ResolvedDeclaration) -> Json:
    """Write a declaration for its journey; it holds secrets."""
    return {
        "version": VERSION,
        "resources": [describe_resource(resource) for resource in declaration.resources],
        "clients": [_write_client(client) for client in declaration.clients],
    }


def _write_client(client: ResolvedClient) -> Json:
    document = describe_registration(client.registration)
    if client.secrets is not None:
        document["secrets"] = [_write_secret(secret) for secret in client.secrets]
    return document


def _write_secret(secret: ResolvedSecret) -> Json:
    return {
        "source": secret.source,
        "client_secret": None if secret.value is None else secret.value.reveal(),
        "expires_at": write_time(secret.expires_at),
    }


def read_sent(document: Json, *, random_bytes: Callable[[int], bytes]) -> ResolvedDeclaration:
    """Read a declaration that has arrived.

    Args:
        document: what `write_sent` writes.
        random_bytes: the operating system's randomness, for the salts of its secrets.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    mistakes: dict[str, str] = {}
    sent = None
    try:
        sent = read(SentDeclaration, document)
    except ValidationError as error:
        mistakes = dict(mistakes_of(error))
    for pointer, why in _between(document):
        mistakes.setdefault(pointer, why)
    if mistakes or sent is None:
        raise InvalidDocument(list(mistakes.items()))
    return ResolvedDeclaration(
        resources=tuple(sent.resources),
        clients=tuple(_resolved(each, random_bytes) for each in sent.clients),
    )


def _between(document: dict[str, Any]) -> list[Mistake]:
    return [(write_pointer(each.path), each.why) for each in check_between(document)]


def _resolved(client: SentClient, random_bytes: Callable[[int], bytes]) -> ResolvedClient:
    if client.secrets is None:
        return ResolvedClient(registration=narrowed(ClientRegistration, client))
    secrets = tuple(
        ResolvedSecret(
            source=each.source,
            value=None
            if each.client_secret is None
            else SecretValue(each.client_secret, salt=random_bytes(SALT_BYTES)),
            expires_at=each.expires_at,
        )
        for each in client.secrets
    )
    return ResolvedClient(registration=narrowed(ClientRegistration, client), secrets=secrets)
