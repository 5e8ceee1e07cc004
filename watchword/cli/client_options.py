"""What can be said of a client on the command line, when it is created and when it changes."""

from dataclasses import dataclass
from typing import Annotated

import typer

ClientId = Annotated[str, typer.Argument(metavar="ID", help="The client's id.")]
SecretFlag = Annotated[
    bool,
    typer.Option(
        "--secret-stdin",
        help="Read the secret from the first line of standard input instead of making one:"
        " 32 characters or more; down to 8 are accepted at the price of slow checks.",
    ),
]

AllScopesFlag = Annotated[
    bool,
    typer.Option(
        "--all-scopes", help="Instead of --scope: every scope that the resources have now."
    ),
]


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """Options as they were typed; numbers and times are read later, with all that is wrong."""

    name: Annotated[str | None, typer.Option(metavar="TEXT", help="A name for people.")] = None
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it may ask for; repeat it for more. If left out on creation: none.",
        ),
    ] = None
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="A resource that it may get tokens for, the default one first. If left out on"
            " creation: the configured API resource.",
        ),
    ] = None
    grant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'URI SCOPE...'",
            help="Exactly these scopes on this resource, instead of --scope and --resource;"
            " repeat it for more resources.",
        ),
    ] = None
    default_scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What a token request that names no scope gets; all if left out.",
        ),
    ] = None
    no_grants: Annotated[
        bool, typer.Option("--no-grants", help="It may ask for nothing and gets no tokens.")
    ] = False
    grant_type: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A grant type that it may use: client_credentials."),
    ] = None
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="How it authenticates: client_secret_basic (the default), client_secret_post,"
            " private_key_jwt, tls_client_auth or self_signed_tls_client_auth.",
        ),
    ] = None
    jwks: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its public keys, a JWK set in a file.")
    ] = None
    jwks_uri: Annotated[
        str | None, typer.Option(metavar="URL", help="Where it publishes its public keys.")
    ] = None
    tls_subject: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="The certificate of tls_client_auth; KIND is dn, dns, uri, ip or email.",
        ),
    ] = None
    token_ttl: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Lifetime of its tokens, up to 86400.")
    ] = None
    dpop: Annotated[
        bool | None, typer.Option("--dpop/--no-dpop", help="Only DPoP-bound tokens, or any.")
    ] = None
    certificate_bound: Annotated[
        bool | None,
        typer.Option(
            "--certificate-bound/--no-certificate-bound",
            help="Only certificate-bound tokens, or any.",
        ),
    ] = None
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Refuse it from then on, such as 2027-01-31T12:00:00Z."),
    ] = None
    expires_in: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Refuse it so many seconds from now.")
    ] = None
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A note of its owner's; repeat it for more."),
    ] = None
    metadata_json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Notes from a file with a JSON object.")
    ] = None
    disabled: Annotated[
        bool | None, typer.Option("--disabled/--enabled", help="Refuse it, or accept it.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClientChanges(ClientOptions):
    """What can be said of a client that exists already."""

    add_scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it may ask for from now on, on the resource named by --resource or"
            " else on those of its resources that have it.",
        ),
    ] = None
    remove_scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it loses, on the resource named by --resource or else on all.",
        ),
    ] = None
    unset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Take a value away again: name, token-ttl, expires-at, default-scope, metadata,"
            " or metadata.KEY; repeat it for more.",
        ),
    ] = None
