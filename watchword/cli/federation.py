"""Options for a trust rule of a client: named by its platform's words, or taken from a token."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli.options import load_file, load_object, read_pairs
from watchword.cli.output import Mistakes
from watchword.cli.registry import read_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from issuer.registry.schema import Json


IDENTITY_LABELS = {
    "federated_identities": "--federated",
    "federated_identities.issuer": "--federated-issuer",
    "federated_identities.subject": "--federated",
    "federated_identities.claims": "--federated-claim",
    "federated_identities.audience": "--federated-audience",
    "federated_identities.jwks": "--federated-keys",
    "federated_identities.jwks_uri": "--federated-keys",
}
"""The option for each part of an identity that options make."""


@dataclass(frozen=True, kw_only=True)
class FederationOptions:
    """Options that make one federated identity, as typed."""

    federated: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="PLATFORM WORKLOAD",
            help="Trust tokens of a workload: kubernetes NAMESPACE/NAME, github OWNER@ID/NAME@ID,"
            " spiffe ID, or oidc SUBJECT.",
        ),
    ] = None
    federated_token: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Trust tokens like the one in a file; - for standard input."
        ),
    ] = None
    federated_issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="`iss` of these tokens.")
    ] = None
    federated_audience: Annotated[
        str | None,
        typer.Option(metavar="AUD", help="`aud` of these tokens; this issuer if left out."),
    ] = None
    federated_claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Only with this claim, such as environment=production; repeat it for more.",
        ),
    ] = None
    federated_keys: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="The issuer's JWK set, or where it is, if its metadata cannot be fetched.",
        ),
    ] = None

    @property
    def adds_identity(self) -> bool:
        """Whether an identity is to be made of them."""
        return self.federated is not None or self.federated_token is not None


def read_identity(options: FederationOptions, mistakes: Mistakes) -> "Json":
    """Return the federated identity that was typed; the schema checks it."""
    from issuer.registry.federated_identity import is_trust_domain

    details = {
        "--federated-issuer": options.federated_issuer,
        "--federated-audience": options.federated_audience,
        "--federated-claim": options.federated_claim,
        "--federated-keys": options.federated_keys,
    }
    identity: Json = {}
    if options.federated is not None and options.federated_token is not None:
        mistakes.add("--federated-token: not together with --federated")
    elif options.federated is not None:
        identity = _named(*options.federated, mistakes)
    elif options.federated_token is not None:
        identity = _taken_from(options.federated_token, options.federated_audience, mistakes)
    else:
        for label, value in details.items():
            if value is not None:
                mistakes.add(f"{label}: only with --federated or --federated-token")
        return {}
    if not identity:
        return {}  # a mistake, which was told
    _add_details(identity, options, mistakes)
    if not identity.get("issuer"):
        mistakes.add(
            "--federated-issuer: name the issuer of the tokens; for a cluster, see: kubectl get"
            " --raw /.well-known/openid-configuration"
        )
        return {}
    if is_trust_domain(identity["issuer"]) and not {"jwks", "jwks_uri"} & identity.keys():
        mistakes.add(
            "--federated-keys: a trust domain needs keys: the URL of its bundle endpoint, or a file"
            " with its bundle"
        )
        return {}
    return identity


def _named(platform: str, workload: str, mistakes: Mistakes) -> "Json":
    from issuer.federation import rule_for_workload

    rule: Json = {}
    with mistakes.of("--federated"):
        rule = rule_for_workload(platform, workload)
    return rule


def _taken_from(file: str, audience: str | None, mistakes: Mistakes) -> "Json":
    from issuer.federation import rule_for_token
    from watchword.settings import load_settings

    rule: Json = {}
    with mistakes.gathered(), mistakes.of("--federated-token"):
        text = file if file == "-" else load_file(file).decode("ascii", "replace")
        own = load_settings().issuer
        rule = rule_for_token(read_claims(read_token(text)), own)
        if audience is None and "audience" in rule:
            # Such as the platform's default, whose tokens other servers are sent as well.
            raise ValueError(
                f"aud is {rule['audience'][:200]!a}; have the token made for {own}, or name that"
                " audience by --federated-audience"
            )
    return rule


def read_claims(token: str) -> "Mapping[str, Any]":
    """Return what a token says, which is not verified.

    Raises:
        ValueError: it is no JWT.
    """
    from keys.errors import InvalidJwt
    from keys.jwt import read_jwt

    try:
        return read_jwt(token).claims
    except InvalidJwt:
        raise ValueError("that is not a signed token in compact form") from None


def _add_details(identity: "Json", options: FederationOptions, mistakes: Mistakes) -> None:
    if options.federated_issuer is not None:
        identity["issuer"] = options.federated_issuer
    if options.federated_audience is not None:
        identity["audience"] = options.federated_audience
    if options.federated_claim is not None:
        with mistakes.of("--federated-claim"):
            identity["claims"] = identity.get("claims", {}) | read_pairs(
                options.federated_claim, form="NAME=VALUE"
            )
    keys = options.federated_keys
    if keys is not None and keys.startswith(("https://", "http://")):
        identity["jwks_uri"] = keys
    elif keys is not None:
        with mistakes.of("--federated-keys"):
            identity["jwks"] = load_object(keys)


def consumer_line(client_id: str, identity: "Json") -> str:
    """Return the line of a consumer that sends the tokens which an identity is about."""
    from issuer.registry.federated_identity import GITHUB

    if identity["issuer"].startswith(GITHUB):
        source = "GitHubActions()"
    elif identity.get("subject", "").startswith("system:serviceaccount:"):
        source = '"/var/run/secrets/watchword/token"'
    else:
        source = '"FILE"'
    return f'FederatedToken("{client_id}", {source})'


def write_identity(identity: "Json") -> str:
    """Write a federated identity in one line for people."""
    parts = [identity["issuer"]]
    if "subject" in identity:
        parts.append(f"sub {identity['subject']}")
    parts += [f"{name} {_written(value)}" for name, value in identity.get("claims", {}).items()]
    if "audience" in identity:
        parts.append(f"for {identity['audience']}")
    if "jwks_uri" in identity:
        parts.append(f"keys at {identity['jwks_uri']}")
    if "jwks" in identity:
        parts.append("keys registered")
    return ", ".join(parts)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
