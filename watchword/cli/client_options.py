"""Options of clients: what is typed, and the document or patch that it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from watchword.cli.client_key import KeyChanges, KeyOptions
from watchword.cli.federation import IDENTITY_LABELS, FederationOptions, read_identity
from watchword.cli.grant_options import (
    DEFAULT_SCOPE,
    DETAILS_TYPE,
    GRANT_LABELS,
    GrantChanges,
    GrantOptions,
)
from watchword.cli.options import (
    DURATION,
    UnusedFor,
    attribute_labels,
    later,
    load_file,
    load_object,
    read_attributes,
    read_lately,
    read_unset,
    unset_choices,
)
from watchword.cli.output import Mistakes
from watchword.cli.registry import compared_clients

if TYPE_CHECKING:
    from issuer.registry.client_description import ClientFilter
    from issuer.registry.schema import Json
    from watchword.cli.registry import Operations

_NOTE = "metadata."
_FURTHER = (DEFAULT_SCOPE, DETAILS_TYPE, f"{_NOTE}KEY")
"""What `--unset` takes away beside attributes."""
_SUBJECTS = {
    "dn": "tls_client_auth_subject_dn",
    "dns": "tls_client_auth_san_dns",
    "uri": "tls_client_auth_san_uri",
    "ip": "tls_client_auth_san_ip",
    "email": "tls_client_auth_san_email",
}
"""The kinds of certificate names of RFC 8705 §2.1.2."""
_IDENTITIES = "federated_identities"
LABELS = {
    **attribute_labels("client"),
    **GRANT_LABELS,
    **dict.fromkeys(_SUBJECTS.values(), "--tls-subject"),
    "client_id": "ID",
    "client_secret": "--secret-stdin",
    "client_secret_expires_at": "--secret-expires-in",
}
"""The option or argument for each member of a client's document."""


def labels_of(options: FederationOptions) -> dict[str, str]:
    """Return `LABELS`, and those of a federated identity's parts if options make one."""
    return LABELS | IDENTITY_LABELS if options.adds_identity else LABELS


@dataclass(frozen=True, kw_only=True)
class ClientOptions(FederationOptions, KeyOptions, GrantOptions):
    """Options that are not simply the value of one attribute, as typed."""

    no_grants: Annotated[
        bool, typer.Option("--no-grants", help="It may ask for nothing and gets no tokens.")
    ] = False
    tls_subject: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="The certificate of tls_client_auth; KIND is dn, dns, uri, ip or email.",
        ),
    ] = None
    certificate: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Its certificate as PEM, whose key becomes its jwks: for"
            " self_signed_tls_client_auth.",
        ),
    ] = None
    expires_in: Annotated[
        str | None, typer.Option(metavar=DURATION, help="Refuse it after this long.")
    ] = None
    metadata_json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Notes from a file with a JSON object.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClientChanges(ClientOptions, KeyChanges, GrantChanges):
    """Options for a client that exists already, as typed."""

    unset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Remove a value: {unset_choices('client', _FURTHER)}; repeat it for more.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClientFilters:
    """Options that say which clients are listed, as typed."""

    resource: Annotated[
        str | None, typer.Option(metavar="URI", help="Only clients with a grant on it.")
    ] = None
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="Only clients that hold it.")
    ] = None
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="Only those in it: enabled, disabled, expired or secret_expired."
        ),
    ] = None
    unused_for: UnusedFor = None
    expiring: Annotated[
        str | None,
        typer.Option(
            metavar=DURATION, help="Only clients that end within this, or have a secret that does."
        ),
    ] = None


def read_filter(options: ClientFilters, mistakes: Mistakes) -> "ClientFilter":
    """Return which clients are listed, as far as the options are no mistakes."""
    from issuer.registry.client_description import ClientFilter, ClientState

    states: dict[str, ClientState] = {each: each for each in get_args(ClientState)}
    if options.state is not None and options.state not in states:
        mistakes.add(f"--state: must be one of {', '.join(states)}")
    unused_for = expiring = None
    with mistakes.gathered():
        unused_for = read_lately("--unused-for", options.unused_for)
    with mistakes.gathered():
        expiring = read_lately("--expiring", options.expiring)
    return ClientFilter(
        resource=options.resource,
        scope=options.scope,
        state=states.get(options.state or ""),
        unused_for=unused_for,
        expiring=expiring,
    )


def read_members(options: ClientOptions, mistakes: Mistakes, now: int) -> "Json":
    """Return the members of the document that were typed, but for resources and scopes."""
    members = read_attributes("client", options.typed, mistakes)
    if options.metadata_json is not None:
        with mistakes.of("--metadata-json"):
            notes = load_object(options.metadata_json)
            members["metadata"] = notes | members.get("metadata", {})
    if options.expires_in is not None:
        mistakes.exclude("--expires-in", [("--expires-at", options.typed["expires_at"])])
        with mistakes.of("--expires-in"):
            members["expires_at"] = later(options.expires_in, now)
    if options.tls_subject is not None:
        kind, equals, value = options.tls_subject.partition("=")
        if kind in _SUBJECTS and equals:
            members[_SUBJECTS[kind]] = value
        else:
            kinds = ", ".join(_SUBJECTS)
            mistakes.add(f"--tls-subject: must be KIND=VALUE, where KIND is {kinds}")
    if identity := read_identity(options, mistakes):
        mistakes.exclude("--federated", [("--federated-identity", members.get(_IDENTITIES))])
        members[_IDENTITIES] = [identity]
    if options.certificate is not None:
        others = [("--jwks", options.typed["jwks"]), ("--jwks-uri", options.typed["jwks_uri"])]
        mistakes.exclude("--certificate", others)
        with mistakes.of("--certificate"):
            members["jwks"] = _load_certificate_key(options.certificate)
    if options.no_grants:
        mistakes.exclude("--no-grants", [("--grant-type", options.typed["grant_types"])])
        members |= {"grant_types": [], "grants": []}
    return members


def read_patch(options: ClientChanges, mistakes: Mistakes, now: int) -> "Json":
    """Return what was typed as a merge patch (RFC 7396), but for resources and scopes."""
    members = read_members(options, mistakes, now)
    patch = _displaced(members) | members
    of_grants = {
        DEFAULT_SCOPE: options.default_scope,
        DETAILS_TYPE: options.authorization_details_type,
    }
    names = [name for name in options.unset or () if name not in of_grants]
    for name, typed in of_grants.items():
        if name in (options.unset or ()):
            mistakes.exclude(f"--unset {name}", [(f"--{name}", typed)])
    notes = [name for name in names if name.startswith(_NOTE) and name != _NOTE]
    read_unset("client", [each for each in names if each not in notes], patch, mistakes, _FURTHER)
    for name in notes:
        kept = patch.setdefault("metadata", {})
        key = name.removeprefix(_NOTE)
        if kept is None or key in kept:
            mistakes.add(f"--unset {name}: another option sets or unsets it as well")
        else:
            kept[key] = None
    return patch


def _load_certificate_key(path: str) -> "Json":
    """Return the key of a certificate as a JWK set.

    Raises:
        ValueError: the file cannot be read, or is no certificate as PEM.
    """
    from cryptography import x509

    from issuer.registry.auth_methods import ASSERTION_ALGORITHMS
    from keys.jwk import thumbprint
    from keys.key_types import KEY_TYPES, algorithm

    raw = load_file(path)
    try:
        key = x509.load_pem_x509_certificate(raw).public_key()
    except (ValueError, x509.InvalidVersion):
        raise ValueError(f"{path} must hold a certificate as PEM") from None
    for entry in map(algorithm, ASSERTION_ALGORITHMS):
        key_type = KEY_TYPES[entry.kty]
        if isinstance(key, key_type.public):
            members = {"kty": entry.kty, **key_type.members(key)}
            if entry.curve in (None, members.get("crv")):
                return {"keys": [{**members, "kid": thumbprint(members)}]}
    raise ValueError(f"{path} has a key of a kind that is not taken; use RSA, P-256 or Ed25519")


def _displaced(members: "Json") -> "Json":
    """Unset the keys and certificate names whose place another one takes, or another method."""
    from issuer.registry.auth_methods import ALL_MATERIAL, MATERIAL, AuthMethod

    given = [name for name in ALL_MATERIAL if name in members]
    typed = members.get("token_endpoint_auth_method")
    fitting = next((names for method, names in MATERIAL.items() if method == typed), ALL_MATERIAL)
    gone = (name for name in ALL_MATERIAL if (given and name not in given) or name not in fitting)
    displaced: Json = dict.fromkeys(gone)
    if typed not in (None, AuthMethod.PRIVATE_KEY_JWT):
        displaced["token_endpoint_auth_signing_alg"] = None
    return displaced


def find_without_effect(client: "Json", operations: "Operations") -> list[str]:
    """Say what a client was given to introspect or exchange that comes to nothing as things are."""
    from issuer.registry.errors import UnknownClient, UnknownResource
    from issuer.registry.grant_types import TOKEN_EXCHANGE
    from issuer.registry.permission import named_subjects, unknown_subject

    exchanges = client.get("token_exchange", ())
    granted = {each["resource"] for each in client["grants"]}
    named = [*client.get("introspects", ()), *(each["subject_resource"] for each in exchanges)]
    found = [
        f"{each} is no resource here, so there is no token for it"
        for each in dict.fromkeys(named)
        if _is_missing(operations.show_resource, each, UnknownResource)
    ]
    subjects = named_subjects(each["subjects"] for each in exchanges)
    show = operations.show_client
    unknown = [each for each in subjects if _is_missing(show, each, UnknownClient)]
    known = compared_clients(operations) if unknown else []
    found += [unknown_subject(each, known) for each in unknown]
    if exchanges and TOKEN_EXCHANGE not in client["grant_types"]:
        found.append(f"to exchange tokens it needs --grant-type {TOKEN_EXCHANGE}")
    ungranted = [each["resource"] for each in exchanges if each["resource"] not in granted]
    return found + [
        f"to exchange tokens for {each} it needs a grant on it" for each in dict.fromkeys(ungranted)
    ]


def _is_missing(show: Callable[[str], object], name: str, missing: type[Exception]) -> bool:
    """Tell whether there is no such thing, as far as the caller may read such things."""
    from issuer.registry.errors import RegistryError

    try:
        show(name)
    except RegistryError as error:
        return isinstance(error, missing)
    return False
