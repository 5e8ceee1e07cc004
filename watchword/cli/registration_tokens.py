"""The `watchword registration-tokens` commands: who may register clients (RFC 7591 §3)."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli.grant_options import (
    GRANT_LABELS,
    AllScopesFlag,
    GrantOptions,
    check_new_grants,
    spread,
    with_types,
    write_grants_line,
    written_out,
)
from watchword.cli.options import (
    DURATION,
    check_short_id,
    later,
    read_duration,
    read_number,
    with_options,
)
from watchword.cli.output import Mistakes, say
from watchword.cli.printing import TABLE, Output, prints, prints_table
from watchword.cli.registry import ServerOption, administration, resource_finder
from watchword.cli.tables import Column
from watchword.durations import parse_duration

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    Column("token_id"),
    Column("grants", "words"),
    Column("token_ttl", wide=True),
    Column("uses_left"),
    Column("expires_at", "time"),
)
_LABELS = {
    **GRANT_LABELS,
    "token_ttl": "--token-ttl",
    "uses": "--uses",
    "expires_at": "--expires-at",
    "expires_in": "--expires-in",
}


@app.command()
@prints
@with_options(GrantOptions)
def create(
    options: GrantOptions,
    all_scopes: AllScopesFlag = False,
    token_ttl: Annotated[
        str | None,
        typer.Option(metavar=DURATION, help="Lifetime of its clients' tokens, up to 24h."),
    ] = None,
    uses: Annotated[
        str | None,
        typer.Option(metavar="N", help="Clients that may register; no limit if left out."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar=DURATION, help="End it after this long.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="End it then, such as 2027-01-31T12:00:00Z.")
    ] = None,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Make a token for registering clients; it is never shown again.

    Example: watchword registration-tokens create --grant 'https://orders.example.com read' --uses 1
    """
    from issuer.registry.initial_access_token import RegistrationTokenDocument

    mistakes, now = Mistakes(_LABELS), wall_clock()
    typed = {"uses": uses, "expires_at": expires_at}
    document: Json = {name: read_number(text) for name, text in typed.items() if text is not None}
    if token_ttl is not None:
        with mistakes.of("--token-ttl"):
            document["token_ttl"] = read_duration(token_ttl)
    if expires_in is not None:
        mistakes.exclude("--expires-in", [("--expires-at", expires_at)])
        with mistakes.of("--expires-in"):
            later(expires_in, now)
            document["expires_in"] = parse_duration(expires_in)
    check_new_grants(options, mistakes, all_scopes=all_scopes)
    if not (options.grant or options.resource):
        mistakes.add("--grant: say what its clients may have, by --grant or by --resource")
    elif options.resource and not (options.scope or all_scopes):
        mistakes.add("--resource: say what its clients may have there, by --scope or --all-scopes")
    with mistakes.gathered():
        document |= written_out(options)
    mistakes.check(RegistrationTokenDocument, document, part=True)
    with administration(server, mistakes) as operations:
        find = resource_finder(operations)
        if options.resource:
            document |= spread(options, find, all_scopes=all_scopes)
        document = with_types(options, document, find)
        created = operations.create_registration_token(document).document
    output.show(created, _for_people(created))
    if not output.is_document:
        say("Keep the token now: it is not shown again.")


@app.command("list")
@prints_table
def list_tokens(server: ServerOption = None, output: Output = TABLE) -> None:
    """List the tokens and what may still be registered with each, never a token itself.

    Example: watchword registration-tokens list --json
    """
    with administration(server, reading=True) as operations:
        tokens = operations.list_registration_tokens()
    if output.is_document:
        output.document({"registration_tokens": tokens})
    elif tokens:
        output.table(_COLUMNS, map(_for_people, tokens))
    else:
        say("There is no token yet; run: watchword registration-tokens create")


@app.command()
def revoke(
    token_id: Annotated[
        str, typer.Argument(metavar="TOKEN_ID", help="The token's id, as the list shows it.")
    ],
    server: ServerOption = None,
) -> None:
    """End a token at once; clients that registered with it stay.

    Example: watchword registration-tokens revoke 5d41402abc4b2a76
    """
    mistakes = Mistakes()
    with mistakes.of("TOKEN_ID"):
        check_short_id(token_id)
    with administration(server, mistakes) as operations:
        operations.revoke_registration_token(token_id)
    say(f"the registration token {token_id} is revoked")


def _for_people(token: "Json") -> "Json":
    uses = "any number" if token["uses_left"] is None else token["uses_left"]
    return token | {"grants": write_grants_line(token["grants"]), "uses_left": uses}
