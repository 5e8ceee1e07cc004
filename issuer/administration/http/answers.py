"""The shapes of what the administration API answers, for its description in OpenAPI.

Nothing is read or written through these models; tests hold the real answers to them.
"""

from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from issuer.registry.client import ClientRegistration, ClientState, ResourcePermission
from issuer.registry.resource import Resource
from issuer.registry.schema import MODEL, Document, TimeText


class Secret(Document):
    """A secret by its times."""

    secret_id: str
    created_at: TimeText
    starts_at: TimeText
    expires_at: TimeText | None
    last_used_at: TimeText | None = Field(description="to the minute; null if never")


class AddedSecret(Secret):
    """A secret that was added."""

    client_secret: str | None = Field(
        None, description="the secret itself, if it was made here; shown this once"
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class ListedClient(ClientRegistration):
    """A client as it is registered."""

    scope: str = Field(description="all scopes of its grants")
    resources: list[str] = Field(description="the resources of its grants")
    created_at: TimeText
    updated_at: TimeText
    state: ClientState = Field(description="`secret_expired`: all of its secrets have ended")


@dataclass(frozen=True, kw_only=True, config=MODEL)
class Client(ListedClient):
    """A client as it is registered, with its secrets."""

    secrets: list[Secret]


@dataclass(frozen=True, kw_only=True, config=MODEL)
class CreatedClient(ListedClient):
    """A client that was registered."""

    client_secret: str | None = Field(
        default=None, description="its secret, if it was made here; shown this once"
    )
    secret_id: str | None = Field(default=None, description="names that secret")
    client_secret_expires_at: TimeText | None = Field(
        default=None,
        description="when that secret ends: RFC 3339, unlike RFC 7591 §3.2.1; null for never",
    )


@dataclass(frozen=True, kw_only=True, config=MODEL)
class RegisteredResource(Resource):
    """A resource as it is registered."""

    created_at: TimeText
    updated_at: TimeText


class InitialAccessToken(Document):
    """An initial access token by what it allows."""

    token_id: str
    grants: list[ResourcePermission]
    token_ttl: int | None
    uses_left: int | None
    created_at: TimeText
    expires_at: TimeText | None


class CreatedRegistrationToken(InitialAccessToken):
    """An initial access token that was made."""

    token: str | None = Field(None, description="the token itself; shown this once")


class AuditEntry(Document):
    """One change."""

    number: int
    at: TimeText
    actor: str = Field(description="a client id, or what names the actor where it is no client")
    via: str
    request_id: str | None
    action: str
    target: str = Field(description="a client id, resource identifier or token id")
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ProblemField(Document):
    """A part of a problem."""

    pointer: str | None = Field(None, description="where in the body (RFC 6901 §6)")
    detail: str


class Problem(Document):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemField] | None = None
