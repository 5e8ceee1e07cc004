"""The `watchword registration-tokens` commands: whom clients may register by (RFC 7591 §3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli import option_values as values
from watchword.cli.client_document import read_choice
from watchword.cli.client_grants import GrantChoice, described, first_grants
from watchword.cli.client_options import AllScopesFlag, ClientOptions
from watchword.cli.client_tables import write_grants
from watchword.cli.mistakes import Mistakes
from watchword.cli.option_groups import with_options
from watchword.cli.output import JsonFlag, print_fields, print_json, print_table, say
from watchword.cli.registry import ServerOption, administration, labelled, resource_finder
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("token_id", "grants", "token_ttl", "uses_left", "expires_at")
_READERS: dict[str, Callable[[str], object]] = {
    "token_ttl": values.parse_token_ttl,
    "uses": values.parse_count,
    "expires_in": values.parse_seconds,
    "expires_at": values.parse_time,
}
_LABELS = {"grants": "--grant"} | {name: "--" + name.replace("_", "-") for name in _READERS}


@dataclass(frozen=True, kw_only=True)
class TokenOptions:
    """What can be said of a token; read later, with all that is wrong."""

    grant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'URI SCOPE...'",
            help="What its clients may ask for on a resource; repeat it for more resources.",
        ),
    ] = None
    resource: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Instead of --grant: a resource, the default one first."),
    ] = None
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="With --resource: a scope; repeat it for more."),
    ] = None
    token_ttl: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Lifetime of its clients' tokens, up to 86400."),
    ] = None
    uses: Annotated[
        str | None,
        typer.Option(metavar="N", help="Clients that may register; no limit if left out."),
    ] = None
    expires_in: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="End it so many seconds from now.")
    ] = None
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="End it then, such as 2027-01-31T12:00:00Z.")
    ] = None


@app.command()
@with_options(TokenOptions)
def create(
    options: TokenOptions,
    all_scopes: AllScopesFlag = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a token with which somebody can register clients; it is never shown again.

    Example: watchword registration-tokens create --grant 'https://orders.example.com read' --uses 1
    """
    mistakes = Mistakes()
    choice = _read_choice(options, mistakes, all_scopes)
    document = _read_limits(options, mistakes)
    with administration(server, mistakes) as operations, labelled(_LABELS):
        grants = described(first_grants(choice, resource_finder(operations)))
        created = operations.create_registration_token(document | grants).document
    print_json(created) if as_json else print_fields(_for_people(created))
    if not as_json:
        say("Keep the token now: it is not shown again.")


@app.command("list")
def list_tokens(server: ServerOption = None, as_json: JsonFlag = False) -> None:
    """Show what may still be registered with which token, never a token itself.

    Example: watchword registration-tokens list --json
    """
    with administration(server, reading=True) as operations:
        tokens = operations.list_registration_tokens()
    if as_json:
        print_json({"registration_tokens": tokens})
    elif tokens:
        rows = (_for_people(each) for each in tokens)
        print_table(_COLUMNS, ([row[column] for column in _COLUMNS] for row in rows))
    else:
        say("There is no token yet; run: watchword registration-tokens create")


@app.command()
def revoke(
    token_id: Annotated[
        str, typer.Argument(metavar="TOKEN_ID", help="Which; the list has the ids.")
    ],
    server: ServerOption = None,
) -> None:
    """End a token at once; clients that registered with it stay.

    Example: watchword registration-tokens revoke 5d41402abc4b2a76
    """
    mistakes = Mistakes()
    with mistakes.of("TOKEN_ID"):
        values.check_short_id(token_id)
    with administration(server, mistakes) as operations:
        operations.revoke_registration_token(token_id)
    say(f"the registration token {token_id} is revoked")


def _read_choice(options: TokenOptions, mistakes: Mistakes, all_scopes: bool) -> GrantChoice:
    if not (options.grant or options.resource):
        mistakes.add("--grant: say what its clients may have, by --grant or by --resource")
    of_client = ClientOptions(grant=options.grant, resource=options.resource, scope=options.scope)
    if options.resource and not (options.scope or options.grant or all_scopes):
        mistakes.add("--resource: say what its clients may have there, by --scope or --all-scopes")
    return read_choice(of_client, mistakes, all_scopes=all_scopes)


def _read_limits(options: TokenOptions, mistakes: Mistakes) -> "Json":
    limits: Json = {}
    for option, read in _READERS.items():
        if (typed := getattr(options, option)) is not None:
            with mistakes.of("--" + option.replace("_", "-")):
                limits[option] = read(typed)
    if options.expires_in is not None:
        mistakes.exclude("--expires-in", [("--expires-at", options.expires_at)])
        with mistakes.of("--expires-in"):
            values.later(options.expires_in, wall_clock())
    return limits


def _for_people(token: "Json") -> "Json":
    uses = "any number" if token["uses_left"] is None else token["uses_left"]
    return token | {"grants": write_grants(token["grants"]), "uses_left": uses}
