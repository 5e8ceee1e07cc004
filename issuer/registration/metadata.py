"""The metadata that a client asks to be registered with, and what it gets (RFC 7591 §2, RFC 7592).

Pure. Descriptions of errors are made of fixed texts and names of members, never of the input.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from issuer.errors import Reason
from issuer.metadata import REGISTRATION_PATH
from issuer.registration.request import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
)
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.grant_types import CLIENT_CREDENTIALS
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.mistakes import words_of
from issuer.registry.permission import ResourcePermission, rights_of
from issuer.registry.schema import Document, Json, Registrable, Scopes, marks_of, read, write

R = TypeVar("R", bound="_Request")
T = TypeVar("T")

# RFC 7592 §2.2: a client MUST NOT send these back.
_OURS = (
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
)
_WORDS = {"list_type": "must be an array of strings", "too_long": "must be empty"}


DECIDED = frozenset(marks_of(ClientRegistration, Registrable))
"""What a client decides of itself; whether it may use its grant is for the operator to decide."""

_NOBODY = "-"  # stands for the id while a registration is read without one


def _only_client_credentials(grant_types: list[str]) -> list[str]:
    if set(grant_types) != {CLIENT_CREDENTIALS}:
        raise ValueError(f"must be {CLIENT_CREDENTIALS} alone")
    return grant_types


class _Request(Document):
    """What stands beside the members of the registration.

    Members that are in neither are ignored, as RFC 7591 §2 wants it; what was registered is in the
    answer.
    """

    model_config = ConfigDict(extra="ignore")

    grant_types: Annotated[list[str], AfterValidator(_only_client_credentials)] = Field(
        [CLIENT_CREDENTIALS]
    )
    response_types: list[str] = Field([], max_length=0)  # there is no authorization endpoint
    scope: Scopes | None = None


class _UpdateRequest(_Request):
    client_id: str
    client_secret: str | None = Field(None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """What a client asks to be registered with (RFC 7591 §2).

    Args:
        members: the values of `DECIDED`.
        scope: the scopes that it may ask for; None for all that it may have.
    """

    members: Mapping[str, Any]
    scope: tuple[str, ...] | None

    @property
    def jwks_uri(self) -> str | None:
        """Where it publishes its JWK set."""
        uri: str | None = self.members["jwks_uri"]
        return uri

    def apply_to(self, registration: ClientRegistration) -> ClientRegistration:
        """Return a registration with everything that a client decides of itself replaced."""
        return replace(registration, **self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientUpdate(ClientMetadata):
    """What replaces everything that a client has decided of itself (RFC 7592 §2.2).

    Args:
        client_id: its own.
        client_secret: its own, unchanged; None if it was not sent along.
    """

    client_id: str
    client_secret: str | None = field(repr=False)


def parse_registration(document: Mapping[str, Any]) -> ClientMetadata:
    """Read a registration request (RFC 7591 §2, §3.1).

    Args:
        document: the JSON object; a member that is null or empty counts as omitted.

    Raises:
        InvalidClientMetadata: with every member that is wrong.
        InvalidRedirectUri: there is any redirect URI.
        InvalidSoftwareStatement, UnapprovedSoftwareStatement: there is a software statement.
    """
    members, request = _parse(_Request, document)
    return ClientMetadata(members=members, scope=request.scope)


def parse_update(document: Mapping[str, Any], client_id: str) -> ClientUpdate:
    """Read an update request (RFC 7592 §2.2).

    Args:
        document: the JSON object; a member that is null, empty or omitted is taken from the client.
        client_id: whose registration it is to replace.

    Raises:
        InvalidClientMetadata: also if it names another client, or has what only we may set.
        InvalidRedirectUri, InvalidSoftwareStatement, UnapprovedSoftwareStatement: as for a
            registration.
    """
    if set_by_us := [name for name in _OURS if document.get(name) is not None]:
        raise refuse_metadata(f"must not be sent: {', '.join(set_by_us)}")
    members, request = _parse(_UpdateRequest, document)
    if request.client_id != client_id:
        raise refuse_metadata("client_id is not that of the client")
    return ClientUpdate(
        members=members,
        scope=request.scope,
        client_id=client_id,
        client_secret=request.client_secret,
    )


def _parse(model: type[R], document: Mapping[str, Any]) -> tuple[Mapping[str, Any], R]:
    # RFC 7592 §2.2: null, empty and omitted mean the same, "take your default".
    given = {name: value for name, value in document.items() if value not in (None, "", [])}
    _refuse_statement(given)
    # RFC 7591 §2 has redirect URIs for flows that redirect. Here is none, so none can be right;
    # to ignore them would let a client believe that it has them.
    if "redirect_uris" in given:
        raise InvalidRedirectUri(Reason.CLIENT_METADATA, "no grant here uses a redirect URI")
    own = {name: value for name, value in given.items() if name in DECIDED}
    mistakes: list[ErrorDetails] = []
    registration = _read(ClientRegistration, own | {"client_id": _NOBODY}, mistakes)
    request = _read(model, given, mistakes)
    if registration is None or request is None:
        raise refuse_metadata("; ".join(dict.fromkeys(map(_explain, mistakes))))
    return {name: getattr(registration, name) for name in DECIDED}, request


def _read(model: type[T], document: Mapping[str, Any], mistakes: list[ErrorDetails]) -> T | None:
    try:
        return read(model, document)
    except ValidationError as error:
        mistakes += error.errors()
        return None


def _refuse_statement(given: Mapping[str, Any]) -> None:
    # RFC 7591 §2.3: only statements of trusted issuers count, and no such issuer is known here.
    if "software_statement" not in given:
        return
    if not isinstance(given["software_statement"], str):
        raise InvalidSoftwareStatement(Reason.CLIENT_METADATA, "software_statement must be a JWT")
    raise UnapprovedSoftwareStatement(Reason.CLIENT_METADATA, "software statements are not used")


def _explain(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        text = detail["msg"].removeprefix("Value error, ")
        return f"{detail['loc'][0]} {text}" if text.startswith("must ") else text
    name = detail["loc"][0]
    if len(detail["loc"]) > 1:
        return f"{name} must be an array of strings"
    why = _WORDS.get(detail["type"]) or words_of(detail) or "is malformed"
    return f"{name} {why}"


def refuse_metadata(description: str) -> InvalidClientMetadata:
    """Make the refusal of a document; its description is made of fixed texts."""
    return InvalidClientMetadata(Reason.CLIENT_METADATA, description)


def decide_registration(
    metadata: ClientMetadata, token: InitialAccessToken, *, client_id: str
) -> ClientRegistration:
    """Decide what a new client is registered with.

    Args:
        metadata: what it asks for.
        token: the initial access token, which bounds it.
        client_id: an id that no client has had.

    Raises:
        InvalidClientMetadata: the parts do not fit, or the scope is more than the token allows.
    """
    granted = _narrow(token.grants, metadata.scope)
    if granted is None:
        raise refuse_metadata("scope is more than the initial access token allows")
    bounded = ClientRegistration(client_id=client_id, grants=granted, token_ttl=token.token_ttl)
    return metadata.apply_to(bounded)


def decide_update(update: ClientUpdate, before: ClientRegistration) -> ClientRegistration:
    """Decide what an update makes of a client: its grants may shrink and never grow.

    The token that it was registered with may be gone, so what it has now is the only bound there
    is. Without `scope` it keeps that; what only an operator decides stays in any case.

    Raises:
        InvalidClientMetadata: the parts do not fit, or the scope is more than the client has.
    """
    granted = _narrow(before.grants, update.scope)
    if granted is None:
        raise refuse_metadata("scope is more than the client has; an update cannot widen it")
    return update.apply_to(replace(before, grants=granted))


def _narrow(
    allowed: tuple[ResourcePermission, ...], scope: tuple[str, ...] | None
) -> tuple[ResourcePermission, ...] | None:
    """Keep the scopes that were asked for; None if one of them is not allowed at all."""
    if scope is None:
        return allowed
    wanted = set(scope)
    if wanted - {name for grant in allowed for name in grant.scopes}:
        return None
    # A type of authorization details is granted as it was: `scope` says nothing of it.
    narrowed = (
        grant.without(rights_of((name for name in grant.scopes if name not in wanted), ()))
        for grant in allowed
    )
    return tuple(grant for grant in narrowed if grant is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A client with what it is told this once.

    Args:
        client: as it is registered.
        access_token: with which it administers itself (RFC 7592 §3).
        secret: one that was made for it now; None if there is none to be told.
    """

    client: Client
    access_token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


def describe_registered(registered: RegisteredClient, *, base: str) -> Json:
    """Describe a client to itself (RFC 7591 §3.2.1, RFC 7592 §3).

    Args:
        registered: the client and what it is told.
        base: the issuer's URL without a final slash.
    """
    client, registration = registered.client, registered.client.registration
    scopes = dict.fromkeys(scope for grant in registration.grants for scope in grant.scopes)
    described: Json = {"client_id": client.client_id, "client_id_issued_at": client.created_at}
    if registered.secret is not None:
        # RFC 7591 §3.2.1: REQUIRED beside a secret; 0 is never.
        described |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
    if scopes:
        described["scope"] = " ".join(scopes)
    members = {name: value for name, value in write(registration).items() if name in DECIDED}
    return described | {
        **{name: value for name, value in members.items() if value is not None},
        "grant_types": list(registration.grant_types),
        "response_types": [],
        "registration_client_uri": client_uri(base, client.client_id),
        "registration_access_token": registered.access_token,
    }


def client_uri(base: str, client_id: str) -> str:
    """Return where a client administers itself (RFC 7592 §1.3)."""
    return f"{base}{REGISTRATION_PATH}/{quote(client_id, safe='')}"
