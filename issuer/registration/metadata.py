"""Read what a client asks to be registered with: strict JSON-like documents (RFC 7591 §2).

Pure. Descriptions are made of fixed texts and names of members; nothing of the input is in them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from issuer.errors import Reason
from issuer.registration.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
)
from issuer.registry.auth_method import AuthMethod
from issuer.registry.client import (
    CLIENT_CREDENTIALS,
    ClientName,
    ClientRegistration,
    Jwks,
    JwksUri,
    TlsSubject,
)
from issuer.registry.mistakes import words_of
from issuer.registry.schema import Document, ScopeText, members_of, read

M = TypeVar("M", bound="ClientMetadata")

# RFC 7592 §2.2: a client MUST NOT send these back.
_OURS = (
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
)
_WORDS = {"list_type": "must be an array of strings", "too_long": "must be empty"}


def _only_client_credentials(grant_types: list[str]) -> list[str]:
    if set(grant_types) != {CLIENT_CREDENTIALS}:
        raise ValueError(f"grant_types must be {CLIENT_CREDENTIALS} alone")
    return grant_types


def _known_method(method: str) -> str:
    if method not in set(AuthMethod):
        raise ValueError("token_endpoint_auth_method must be one of " + ", ".join(AuthMethod))
    return method


class ClientMetadata(Document):
    """What a client asks to be registered with (RFC 7591 §2).

    Members that are not here are ignored, as RFC 7591 §2 wants it; what was registered is in the
    answer.
    """

    model_config = ConfigDict(extra="ignore")

    client_name: ClientName | None = Field(None, description="a name for people")
    token_endpoint_auth_method: Annotated[str, AfterValidator(_known_method)] = Field(
        AuthMethod.CLIENT_SECRET_BASIC.value,
        description="how it authenticates",
        json_schema_extra={"enum": [method.value for method in AuthMethod]},
    )
    grant_types: Annotated[list[str], AfterValidator(_only_client_credentials)] = Field(
        [CLIENT_CREDENTIALS], description="`client_credentials` alone"
    )
    response_types: list[str] = Field(
        [], max_length=0, description="none: there is no authorization endpoint"
    )
    scope: ScopeText | None = Field(
        None, description="scopes that it may ask for, with spaces between; all that it may have"
    )
    jwks: Jwks | None = Field(None, description="its public JWK set")
    jwks_uri: JwksUri | None = Field(
        None, description="where it publishes its JWK set; https, on public addresses"
    )
    tls_client_auth_subject_dn: TlsSubject | None = None
    tls_client_auth_san_dns: TlsSubject | None = None
    tls_client_auth_san_uri: TlsSubject | None = None
    tls_client_auth_san_ip: TlsSubject | None = None
    tls_client_auth_san_email: TlsSubject | None = None
    dpop_bound_access_tokens: bool = Field(False, description="only DPoP-bound tokens")
    tls_client_certificate_bound_access_tokens: bool = Field(
        False, description="only certificate-bound tokens"
    )

    def apply_to(self, registration: ClientRegistration) -> ClientRegistration:
        """Return a registration with everything that a client decides of itself replaced.

        Raises:
            InvalidClientMetadata: the method lacks its material or has another's.
        """
        # Whether the client may use its grant is for the operator to decide.
        decided = {name: getattr(self, name) for name in DECIDED - {"grant_types"}}
        try:
            return replace(registration, **decided)
        except ValidationError as error:
            raise refuse_metadata(_explain(error.errors()[0])) from None


DECIDED = ClientMetadata.model_fields.keys() & members_of(ClientRegistration)
"""What a client decides of itself."""


class ClientUpdate(ClientMetadata):
    """What replaces everything that a client has decided of itself (RFC 7592 §2.2)."""

    client_id: str = Field(description="its own")
    client_secret: str | None = Field(None, description="its own, unchanged", repr=False)


def parse_registration(document: Mapping[str, Any]) -> ClientMetadata:
    """Read a registration request (RFC 7591 §2, §3.1).

    Args:
        document: the JSON object; a member that is null or empty counts as omitted.

    Raises:
        InvalidClientMetadata: with every member that is wrong.
        InvalidRedirectUri: there is any redirect URI.
        InvalidSoftwareStatement, UnapprovedSoftwareStatement: there is a software statement.
    """
    return _parse(ClientMetadata, document)


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
    update = _parse(ClientUpdate, document)
    if update.client_id != client_id:
        raise refuse_metadata("client_id is not that of the client")
    return update


def _parse(model: type[M], document: Mapping[str, Any]) -> M:
    # RFC 7592 §2.2: null, empty and omitted mean the same, "take your default".
    given = {name: value for name, value in document.items() if value not in (None, "", [])}
    _refuse_statement(given)
    # RFC 7591 §2 has redirect URIs for flows that redirect. Here is none, so none can be right;
    # to ignore them would let a client believe that it has them.
    if "redirect_uris" in given:
        raise InvalidRedirectUri(Reason.CLIENT_METADATA, "no grant here uses a redirect URI")
    try:
        return read(model, given)
    except ValidationError as error:
        lines = dict.fromkeys(_explain(detail) for detail in error.errors())
        raise refuse_metadata("; ".join(lines)) from None


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
        return f"scope {text}" if detail["loc"] == ("scope",) else text
    name = detail["loc"][0]
    if len(detail["loc"]) > 1:
        return f"{name} must be an array of strings"
    why = _WORDS.get(detail["type"]) or words_of(detail) or "is malformed"
    return f"{name} {why}"


def refuse_metadata(description: str) -> InvalidClientMetadata:
    """Make the refusal of a document; its description is made of fixed texts."""
    return InvalidClientMetadata(Reason.CLIENT_METADATA, description)
