"""The `watchword token` and `scenario` commands: act as a client, and read a token."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import CommandFailed, WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints, rfc3339
from watchword.cli.token_explanation import TokenArgument, explain, given_token
from watchword.cli.token_revocation import revoke

if TYPE_CHECKING:
    from collections.abc import Generator

    from consumer.client_auth import ClientAuth
    from consumer.federated_token import FederatedToken
    from consumer.fetch import FetchAnswer
    from consumer.steps import Step
    from consumer.token_endpoint import TokenPlan
    from watchword.settings import Settings

app = typer.Typer(no_args_is_help=True)

TIMEOUT = 10.0
"""Seconds for each request, from connecting to the last byte."""
_TIMES = frozenset({"iat", "exp", "nbf"})


@app.command()
@prints
def get(
    scope: Annotated[
        str | None,
        typer.Option(help="Scopes with spaces between; the client's default if left out."),
    ] = None,
    resource: Annotated[
        str | None, typer.Option(help="The API that it is for; the client's default if left out.")
    ] = None,
    authorization_details: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE",
            help="Rights in detail (RFC 9396): a JSON array of objects, or the file that holds it.",
        ),
    ] = None,
    output: Output = TABLE,
) -> None:
    """Get a token as a client would: prints the token, or with --json the whole response.

    Example: watchword token get --scope read
    """
    from watchword.settings import load_settings

    details = _read_details(authorization_details)
    asked = {"scope": scope, "resource": resource, "authorization_details": details}
    response = _request_token(load_settings(), asked)
    if output.is_document:
        output.document(response)
    else:
        sys.stdout.write(response["access_token"] + "\n")


@app.command()
@prints
def inspect(token: TokenArgument = None, output: Output = TABLE) -> None:
    """Decode a token without verifying it: header, claims, times.

    Example: watchword token get | watchword token inspect
    """
    from keys.errors import InvalidJwt
    from keys.jwt import read_jwt
    from resource_api.check_descriptions import describe_age

    try:
        header, claims, *_ = read_jwt(given_token(token))
    except InvalidJwt:
        raise CommandFailed("that is not a signed token in compact form") from None
    age = describe_age(claims, wall_clock())
    if output.is_document:
        output.document({"header": header, "claims": claims, "age": age, "verified": False})
        return
    shown = {name: _readable(name, value) for name, value in {**header, **claims}.items()}
    if age is not None:
        shown["exp"] = f"{shown['exp']}  {age}"
    output.fields(shown)
    say("Decoded only: the signature was not checked.")


app.command()(explain)
app.command()(revoke)


def scenario(
    api: Annotated[
        str | None, typer.Option(help="Where the API is; WATCHWORD_API or the issuer if left out.")
    ] = None,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate",
            help="Rotate the signing key as `keys rotate` does, and go on until it signs.",
        ),
    ] = False,
) -> None:
    """Run the consumer's scenario against a running provider; exit 0 if all went as it should.

    Example: WATCHWORD_CLIENT_ID=demo WATCHWORD_CLIENT_SECRET=... watchword scenario
    """
    from consumer.demo.scenario import run
    from consumer.federated_token import FederatedToken
    from watchword.settings import load_settings

    settings = load_settings(api=api)
    auth = _client_auth(settings)
    if isinstance(auth, FederatedToken) or settings.client_cert is not None or settings.dpop:
        raise WrongUsage(
            "the scenario is for a client with a secret or a key, without a certificate"
        )
    raise typer.Exit(
        run(
            issuer=settings.issuer,
            api=settings.api_url,
            auth=auth,
            allow_insecure_http=settings.allow_insecure_http,
            out=typer.echo,
            rotate=partial(_rotate, settings) if rotate else None,
        )
    )


def _rotate(settings: "Settings") -> tuple[str, float]:
    """Rotate the signing key; return which one will sign, and in how many seconds."""
    from watchword.cli.keys import rotate_key

    now = wall_clock()
    successor = rotate_key(settings, settings.signing_alg, now=now)[0].key
    return successor.kid, max(0, (successor.signs_from or now) - now)


def _readable(name: str, value: object) -> object:
    # Twelve digits reach the year 33658; what lies beyond is shown as it is.
    if name in _TIMES and isinstance(value, int) and 0 <= value < 10**11:
        return f"{value}  {rfc3339(value)}"
    return value if isinstance(value, str) else json.dumps(value)


def _read_details(text: str | None) -> str | None:
    from consumer.token_request import write_details
    from keys.encoding import parse_json_array

    if text is None:
        return None
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return write_details(parse_json_array(raw))
    except OSError as error:
        why = f"{text[1:]} cannot be read: {(error.strerror or 'no file').lower()}"
    except ValueError:  # not UTF-8 or JSON, or no objects in it
        why = "must be a JSON array of objects, each with a type"
    raise WrongUsage(f"--authorization-details: {why}")


def _request_token(settings: "Settings", asked: dict[str, str | None]) -> dict[str, Any]:
    from consumer.dpop import DpopKey
    from consumer.fetch import parse_json_object
    from consumer.token_endpoint import TokenEndpoint, TokenPlan
    from consumer.token_request import parse_token_response

    plan = TokenPlan(
        issuer=settings.issuer,
        auth=_client_auth(settings),
        dpop=DpopKey() if settings.dpop else None,
        has_certificate=settings.client_cert is not None,
        allow_insecure_http=settings.allow_insecure_http,
        scope=asked["scope"],
        resource=asked["resource"],
        authorization_details=asked["authorization_details"],
    )
    endpoint = TokenEndpoint(plan.dpop, clock=wall_clock, wall_clock=wall_clock)
    answer = _carry_out(endpoint.ask(plan), plan, _certificate(settings))
    parse_token_response(answer, plan, now=0.0, scheme=plan.scheme)
    if plan.dpop is not None:
        say("The token is bound to a key that ends with this command: no API takes it.")
    return parse_json_object(answer)


def _client_auth(settings: "Settings") -> "ClientAuth | FederatedToken":
    """Return what the client of the settings authenticates with.

    Raises:
        WrongUsage: nothing is set, or too much, or what cannot be.
    """
    from consumer.client_assertion import PrivateKeyJwt
    from consumer.client_auth import ClientSecretBasic, TlsClientAuth
    from consumer.federated_token import FederatedToken

    key = settings.client_key if settings.client_cert is None else None
    ways = {
        "WATCHWORD_CLIENT_SECRET": settings.client_secret,
        "WATCHWORD_CLIENT_KEY": key,
        "WATCHWORD_CLIENT_ASSERTION_FILE": settings.client_assertion_file,
    }
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise WrongUsage(f"set only one of {', '.join(given)}: a client authenticates in one way")
    client_id = (settings.client_id or "").strip()
    try:
        if key is not None:
            return PrivateKeyJwt(client_id, key)
        if settings.client_assertion_file is not None:
            return FederatedToken(client_id, settings.client_assertion_file)
        if settings.client_cert is not None and not given:
            return TlsClientAuth(client_id)
    except OSError as error:
        why = (error.strerror or "no file").lower()
        raise WrongUsage(f"WATCHWORD_CLIENT_KEY: {key} cannot be read: {why}") from None
    except ValueError as error:
        raise WrongUsage(
            f"{given[0] if client_id and given else 'WATCHWORD_CLIENT_ID'}: {error}"
        ) from None
    if client_id and not given:
        raise WrongUsage(
            "set WATCHWORD_CLIENT_SECRET in the environment, or instead of it WATCHWORD_CLIENT_KEY,"
            " WATCHWORD_CLIENT_ASSERTION_FILE or WATCHWORD_CLIENT_CERT"
        )
    return ClientSecretBasic(*client_credentials(settings))


def _certificate(settings: "Settings") -> str | tuple[str, str] | None:
    if settings.client_cert is None:
        return None
    if settings.client_key is None:
        return str(settings.client_cert)
    return str(settings.client_cert), str(settings.client_key)


def client_credentials(settings: "Settings") -> tuple[str, str]:
    """Return the client's id and secret from the settings, less white space around them.

    Raises:
        WrongUsage: one of them, or both, is not set or cannot be; the text names what is missing.
    """
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    wanted = {
        "WATCHWORD_CLIENT_ID": (settings.client_id or "").strip(),
        "WATCHWORD_CLIENT_SECRET": secret.strip(),
    }
    if missing := [name for name, value in wanted.items() if not value]:
        raise WrongUsage(f"set {' and '.join(missing)} in the environment")
    for name, value in wanted.items():
        if not (value.isascii() and value.isprintable()):  # RFC 6749 appendix A
            raise WrongUsage(f"{name}: must be printable ASCII characters on one line")
    return wanted["WATCHWORD_CLIENT_ID"], wanted["WATCHWORD_CLIENT_SECRET"]


def _carry_out(
    steps: "Generator[Step, None, FetchAnswer]",
    plan: "TokenPlan",
    certificate: str | tuple[str, str] | None,
) -> "FetchAnswer":
    import httpx

    from consumer.http_library import HttpLibrary
    from consumer.issuer_http import IssuerHttp
    from consumer.steps import Call, Fetch
    from consumer.token_source import boot_time

    tls = {"verify": True, "cert": certificate, "trust_env": True}
    http = IssuerHttp(HttpLibrary.of(httpx), None, tls, timeout=TIMEOUT, clock=boot_time)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            answer: FetchAnswer = end.value
            return answer
        if isinstance(step, Fetch):
            http.fetch(step, plan.redact)
        elif isinstance(step, Call):
            step.run()
