"""The `watchword mock` command."""

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli.options import DURATION, read_duration_option
from watchword.cli.output import CommandFailed, Mistakes, WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints

if TYPE_CHECKING:
    from watchword.testing.issuer import Issuer
    from watchword.testing.server import IssuerServer

_WARNING = "This is a mock: it gives any token to anyone who asks. Trust it in tests alone."


@prints
def mock(
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than loopback lets others ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8080,
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="Issuer identifier; localhost if left out.")
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(
            metavar="API", help="Whom tokens are for that are asked for no other; https://api.test."
        ),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="The secret of all clients; any will do if left out.")
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Whose tokens: rfc9068, keycloak, auth0, entra, cognito or okta.")
    ] = "rfc9068",
    token_ttl: Annotated[str, typer.Option(metavar=DURATION, help="Life of a token.")] = "1h",  # noqa: S107
    alg: Annotated[str, typer.Option(help="What tokens are signed with.")] = "RS256",
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A claim of all tokens; JSON or text."),
    ] = None,
    output: Output = TABLE,
) -> None:
    """Serve a mock issuer, for tests in any language: it gives any token to anyone.

    Example: watchword mock --audience https://orders.example.com
    """
    settings = {
        "secret": secret,
        "profile": profile,
        "lifetime": read_duration_option("--token-ttl", token_ttl),
        "alg": alg,
        "claims": _read_claims(claim or []),
        **({} if audience is None else {"audience": audience}),
    }
    with _bind(host, port) as server:
        server.issuer = _make_issuer(issuer or f"http://localhost:{server.server_port}", settings)
        _announce(server, output=output)
        signal.signal(signal.SIGTERM, _stop)
        server.serve_forever()


def _read_claims(given: list[str]) -> dict[str, object]:
    from keys.encoding import parse_json_array

    mistakes, claims = Mistakes(), dict[str, object]()
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            mistakes.add("--claim: must be NAME=VALUE")
            continue
        try:
            (claims[name],) = parse_json_array(f"[{value}]".encode())
        except ValueError:
            claims[name] = value
    mistakes.refuse()
    return claims


def _bind(host: str, port: int) -> "IssuerServer":
    from watchword.testing.server import IssuerServer

    try:
        return IssuerServer(host, port)
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise CommandFailed(f"cannot listen on {host} port {port}: {why}") from None


def _make_issuer(url: str, settings: dict[str, Any]) -> "Issuer":
    from keys.errors import UnknownAlgorithm
    from watchword.testing.clock import RunningClock
    from watchword.testing.issuer import Issuer
    from watchword.testing.shapes import shape_of

    mistakes = Mistakes()
    with mistakes.of("--profile"):
        shape_of(settings["profile"])
    mistakes.refuse()
    try:
        return Issuer(url, clock=RunningClock(), **settings)
    except UnknownAlgorithm as error:
        raise WrongUsage(f"--alg: {error}") from None
    except ValueError as error:
        raise WrongUsage(f"--issuer: {error}") from None


def _announce(server: "IssuerServer", *, output: Output) -> None:
    issuer = server.issuer
    base = issuer.url.rstrip("/")
    told = {
        "issuer": issuer.url,
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}/jwks",
        "audience": issuer.audience,
        "port": server.server_port,
    }
    if output.is_document:
        output.document(told)
    else:
        output.fields(told)
    sys.stdout.flush()
    say(_WARNING)


def _stop(number: int, frame: object) -> None:
    raise SystemExit(0)
