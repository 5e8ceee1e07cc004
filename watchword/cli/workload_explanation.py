"""What the issuer makes of a token of another issuer: which rule of which client it fits."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import say
from watchword.cli.printing import Output
from watchword.cli.proof_explanation import judge_assertion, say_refusal
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
        if not nearest:
            return
        best = nearest[0]
        refusal = _judge(token, best.registration.client_id, settings)
    except RegistryError as error:
        say(f"The clients of {settings.issuer} were not looked at: {error}")
        return
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
    from keys.errors import InvalidJwt
    from keys.jwt import ACCESS_TOKEN_TYPE, read_jwt

    try:
        jwt = read_jwt(token)
    except InvalidJwt:
        return False
    return jwt.type != ACCESS_TOKEN_TYPE and jwt.claims.get("iss") != issuer


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


def _judge(token: str, client_id: str, settings: "Settings") -> "OAuthError | None":
    from issuer.client_auth.assertion import JWT_ASSERTION, claim_assertion
    from watchword.registry import read_registry

    claimed = claim_assertion(JWT_ASSERTION, token, client_id)
    with closing(read_registry(settings, now=wall_clock)) as registry:
        return asyncio.run(judge_assertion(claimed, registry, settings))


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
    client_id = best.registration.client_id
    if refusal is None:
        say(f"Accepted as the client {client_id}: a rule fits, and the signature is right.")
        return
    detail = f" ({refusal.asked})" if refusal.asked and not best.comparison.mismatches else ""
    say_refusal(client_id, refusal, detail)
