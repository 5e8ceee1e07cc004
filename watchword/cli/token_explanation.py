"""The `watchword token explain` command: why an API accepts or refuses a token."""

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.proof_explanation import explain_assertion, explain_proof
from watchword.cli.registry import read_token
from watchword.cli.tables import Column
from watchword.cli.workload_explanation import explain_workload_token

if TYPE_CHECKING:
    from resource_api.config import ResourcePolicy
    from resource_api.explanation import Explanation
    from resource_api.profiles import TokenProfile
    from resource_api.status_list import Statuses
    from watchword.settings import Settings

_OWN_PROFILE = "rfc9068"
_COLUMNS = (
    Column("check"),
    Column("outcome"),
    Column("found", "words"),
    Column("expected", "words"),
    Column("clause", "words"),
)

TokenArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TOKEN", help="A token, also after `Bearer`; - or nothing for standard input."
    ),
]


@prints
def explain(
    token: TokenArgument = None,
    resource: Annotated[
        str | None,
        typer.Option(help="The API that is to accept it; the token's audience if left out."),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="What the route needs that refused it, with spaces between; not checked otherwise."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(help="What tokens of the issuer look like: rfc9068, keycloak, auth0, …"),
    ] = _OWN_PROFILE,
    output: Output = TABLE,
) -> None:
    """Say check by check why an API accepts or refuses a token; exit 0 if it is accepted, else 1.

    Of a token of another issuer, such as Kubernetes, it says which client it stands for; of an
    assertion that a client made itself, whether the issuer accepts it; of a DPoP proof, what it is.

    Example: watchword token get | watchword token explain
    """
    from watchword.settings import load_settings

    settings = load_settings()
    text = given_token(token)
    explain_proof(text, settings, output)
    if resource is None and scope is None and profile == _OWN_PROFILE:
        explain_assertion(text, settings, output)
        explain_workload_token(text, settings, output)
    policy = _policy(settings, text, resource, profile)
    scopes = _needed(scope)
    explanation = asyncio.run(_explain(text.encode("utf-8", "replace"), policy, scopes))
    if output.is_document:
        checks = [each._asdict() for each in explanation.findings]
        verdict = {"accepted": explanation.accepted, "reason": explanation.reason}
        output.document(
            {**verdict, "issuer": policy.issuer, "resource": policy.resource, "checks": checks}
        )
    else:
        _print_explanation(output, explanation, policy.resource, scopes)
    raise typer.Exit(0 if explanation.accepted else 1)


def _needed(scope: str | None) -> tuple[str, ...]:
    from resource_api.scope import check_scope_names

    if scope is None:
        return ()
    try:
        return check_scope_names(scope.split(" "))
    except ValueError as error:
        raise WrongUsage(f"--scope: {error}") from None


def given_token(argument: str | None) -> str:
    """Return the token of the argument, or of standard input if there is none.

    Raises:
        WrongUsage: there is no token.
    """
    if argument is None and sys.stdin.isatty():
        raise WrongUsage("TOKEN: give a token, or send one through a pipe")
    token = read_token("-" if argument is None else argument, whole=True)
    if not token:
        raise WrongUsage("TOKEN: there is none")
    return token


def _audience_of(token: str, profile: "TokenProfile") -> str | None:
    """Return the API that a token is for, the first of several; None if it names none."""
    from keys.errors import InvalidJwt
    from keys.jwt import read_jwt
    from resource_api.config import check_audience

    try:
        audience = read_jwt(token).claims.get("aud")
        first = next(iter(audience), None) if isinstance(audience, list) else audience
        return check_audience(first, profile) if isinstance(first, str) else None
    except (InvalidJwt, ValueError):
        return None


def _policy(
    settings: "Settings", token: str, resource: str | None, profile: str
) -> "ResourcePolicy":
    from resource_api.profiles import find_profile
    from watchword.setting_mistakes import name_settings
    from watchword.token_policy import make_token_policy

    try:
        named = find_profile(profile)
    except ValueError as error:
        raise WrongUsage(f"--profile: {error}") from None
    if resource is None:
        resource = _audience_of(token, named)
    try:
        return make_token_policy(settings, resource=resource, profile=named)
    except ValueError as error:
        raise WrongUsage(f"--resource: {name_settings(str(error))}") from None


async def _explain(
    token: bytes, policy: "ResourcePolicy", scopes: tuple[str, ...]
) -> "Explanation":
    """Explain a token by what its issuer publishes, as far as that can be had."""
    from keys.remote.http_jwks import HttpJwks
    from keys.remote.jwks_client import JwksClient
    from resource_api.errors import ResourceError
    from resource_api.explanation import explain
    from resource_api.status_lists import StatusListClient

    def tell(event: str, /, **fields: object) -> None:
        if reason := fields.get("reason"):
            say(f"watchword: {fields.get('uri', policy.issuer)} does not answer: {reason}")

    fetch = HttpJwks(policy.issuer, allow_insecure_http=policy.allow_insecure_http)
    keys = JwksClient(fetch, on_event=tell)
    lists = StatusListClient(keys, on_event=tell)
    try:
        await keys.warm()
        judge = partial(explain, token, keys.current(), policy, now=wall_clock(), scopes=scopes)
        explanation = judge()
        uri = explanation.status_list
        if uri is None:
            return explanation
        try:
            statuses: Statuses | ResourceError = await lists.get(uri)
        except ResourceError as error:
            statuses = error
        return judge(status_lists={uri: statuses})
    finally:
        await lists.aclose()
        await keys.aclose()


def _print_explanation(
    output: Output, explanation: "Explanation", resource: str, scopes: tuple[str, ...]
) -> None:
    from resource_api.errors import Reason
    from resource_api.explanation import Outcome
    from resource_api.reasons import DIAGNOSES

    output.table(_COLUMNS, (each._asdict() for each in explanation.findings))
    reason = explanation.reason
    if reason is None:
        say(f"Accepted for {resource}: every check passed.")
        if not scopes:
            say("A route may need scopes that it lacks; name them with --scope.")
        return
    verdict = "Refused" if explanation.refused else "Not decided"
    diagnosis = DIAGNOSES[reason]
    say(f"{verdict} for {resource}: {reason}. {diagnosis.cause} {diagnosis.remedy}")
    issuer = next(each for each in explanation.findings if each.check == "issuer")
    if reason is Reason.UNKNOWN_KEY and issuer.outcome is Outcome.FAILED:
        say(f"It names another issuer, whose keys these are not: {issuer.found}.")
