"""What the issuer makes of a token of another issuer: which rule of which client it fits."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import say
from watchword.cli.printing import Output
from watchword.cli.tables import Column

if TYPE_CHECKING:
    from issuer.errors import OAuthError
    from issuer.federation import Comparison
    from issuer.registry.client import ClientRegistration
    from issuer.registry.schema import Json
    from watchword.settings import Settings

_MOST_SHOWN = 5
_COLUMNS = (
    Column("client_id"),
    Column("identity"),
    Column("outcome", "words"),
    Column("differs", "words"),
)


class _Compared(NamedTuple):
    """A client, and the rule of it that the token fits best."""

    registration: "ClientRegistration"
    comparison: "Comparison"


def explain_workload_token(token: str, settings: "Settings", output: Output) -> None:
    """Say which client a token of another issuer stands for; exit 0 if for one, else 1.

    Returns without a word if it is of this issuer or an access token, and if no client of a
    registry that can be read has a rule for tokens of others.
    """
    if not _may_be_workload(token, settings.issuer):
        return
    from issuer.registry.errors import RegistryError

    try:
        nearest = sorted(_compare(token, settings), key=lambda each: each.comparison.distance)
    except RegistryError as error:
        say(f"The clients of {settings.issuer} were not looked at: {error}")
        return
    if not nearest:
        return
    best = nearest[0]
    refusal = asyncio.run(_verify(token, best.registration, settings))
    # Rules for tokens of other issuers only where there is none for those of this one.
    kin = [each for each in nearest if each.comparison.distance[0] == best.comparison.distance[0]]
    shown = list(map(_describe, kin[:_MOST_SHOWN]))
    if output.is_document:
        verdict: Json = {"accepted": refusal is None, "client_id": best.registration.client_id}
        why = (None, None) if refusal is None else (refusal.reason, refusal.asked)
        told = dict(zip(("reason", "detail"), why, strict=True))
        output.document({**verdict, **told, "issuer": settings.issuer, "identities": shown})
    else:
        output.table(_COLUMNS, ({**each, "differs": "; ".join(each["differs"])} for each in shown))
        _say_verdict(refusal, best)
    raise typer.Exit(0 if refusal is None else 1)


def _may_be_workload(token: str, issuer: str) -> bool:
    from keys.encoding import parse_json_object
    from keys.errors import InvalidJws
    from keys.jws import parse_compact
    from keys.jwt import ACCESS_TOKEN_TYPE

    try:
        jws = parse_compact(token)
        claims = parse_json_object(jws.payload)
    except (InvalidJws, ValueError):
        return False
    kind = str(jws.header.get("typ", "")).lower().removeprefix("application/")
    return kind != ACCESS_TOKEN_TYPE and claims.get("iss") != issuer


def _compare(token: str, settings: "Settings") -> Iterator[_Compared]:
    """Compare a token with the rules of all clients that have any."""
    from issuer.administration.operations import pages
    from issuer.federation import compare
    from issuer.registry.client import ClientRegistration
    from issuer.registry.client_description import EVERY_CLIENT
    from issuer.registry.schema import members_of, read
    from watchword.cli.federation import read_claims
    from watchword.cli.registry import administration
    from watchword.registry import is_missing

    if is_missing(settings):
        return
    claims = read_claims(token)
    with administration(None, reading=True) as operations:
        for page in pages(
            lambda place, size: operations.list_clients(EVERY_CLIENT, after=place, limit=size)
        ):
            for client in page.items:
                members = {
                    name: client[name] for name in members_of(ClientRegistration) if name in client
                }
                registration = read(ClientRegistration, members)
                if rules := registration.federated_identities:
                    yield _Compared(registration, compare(rules, claims, settings.issuer))


async def _verify(
    token: str, registration: "ClientRegistration", settings: "Settings"
) -> "OAuthError | None":
    """Have the token judged as the token endpoint does; return its refusal, None if it has none."""
    from issuer.client_auth.assertion import JWT_BEARER, claim_assertion
    from issuer.client_auth.federated import FederatedVerifier
    from issuer.client_auth.trusted_issuers import TrustedIssuers
    from issuer.errors import InvalidClient, OAuthError, Reason
    from issuer.registry.client import Client
    from watchword.provider.authentication import open_trusted_issuer

    def tell(event: str, /, **fields: object) -> None:
        if reason := fields.get("reason"):
            say(f"watchword: {fields['issuer']} does not answer: {reason}")

    trusted = TrustedIssuers(partial(open_trusted_issuer, settings, tell))
    verifier, now = FederatedVerifier(settings.issuer, trusted), wall_clock()
    client = Client(
        registration=registration, policies={}, secrets=(), created_at=0, updated_at=0, revision=0
    )
    claimed = claim_assertion(JWT_BEARER, token, client.client_id)
    try:
        await verifier.verify(client, claimed, now, any_slow=False)
    except OAuthError as refusal:
        return refusal
    if client.is_active(now):
        return None
    expired = registration.is_expired(now)
    return InvalidClient(Reason.CLIENT_EXPIRED if expired else Reason.CLIENT_DISABLED)


def _describe(compared: _Compared) -> "Json":
    registration, (number, mismatches) = compared
    outcome = "nearly fits" if mismatches else "fits"
    if compared.comparison.distance[0]:
        outcome = "other issuer"
    return {
        "client_id": registration.client_id,
        "identity": f"federated_identities[{number}]",
        "outcome": outcome,
        "differs": list(map(str, mismatches)),
    }


def _say_verdict(refusal: "OAuthError | None", best: _Compared) -> None:
    from issuer.reasons import DIAGNOSES

    client_id = best.registration.client_id
    if refusal is None:
        say(f"Accepted as the client {client_id}: a rule fits, and the signature is right.")
        return
    diagnosis = DIAGNOSES[refusal.reason]
    detail = f" ({refusal.asked})" if refusal.asked and not best.comparison.mismatches else ""
    say(
        f"Refused as the client {client_id}: {refusal.reason}{detail}."
        f" {diagnosis.cause} {diagnosis.remedy}"
    )
