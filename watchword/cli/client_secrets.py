"""The `watchword clients secrets` commands: let one secret replace another without a gap."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli.options import DURATION, check_short_id, later
from watchword.cli.output import Mistakes, say
from watchword.cli.printing import TABLE, Output, prints, prints_table
from watchword.cli.registry import ServerOption, administration, read_secret
from watchword.cli.tables import Column
from watchword.durations import parse_duration

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True, help="Secrets of a client: add, list, revoke.")

ClientId = Annotated[str, typer.Argument(metavar="ID", help="The client's id.")]
SecretFlag = Annotated[
    bool,
    typer.Option(
        "--secret-stdin",
        help="Read the secret from the first line of standard input instead of making one:"
        " 32 characters or more; down to 8 are accepted at the price of slow checks.",
    ),
]
_LABELS = {
    "client_secret": "--secret-stdin",
    "starts_at": "--starts-in",
    "expires_at": "--expires-in",
    "expires_in": "--expires-in",
}
_COLUMNS = (
    Column("secret_id"),
    Column("state"),
    Column("starts_at", "time"),
    Column("expires_at", "time"),
    Column("last_used_at", "time"),
)


@app.command()
@prints
def add(
    client_id: ClientId,
    expires_in: Annotated[
        str | None, typer.Option(metavar=DURATION, help="End it after this long.")
    ] = None,
    starts_in: Annotated[
        str | None,
        typer.Option(metavar=DURATION, help="Accept it only after this long."),
    ] = None,
    secret_stdin: SecretFlag = False,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Give a client one more secret, which is never shown again; the others stay as they are.

    Example: watchword clients secrets add orders-service --expires-in 90d
    """
    from issuer.administration.documents import NewSecretDocument

    mistakes, now = check_client(client_id, Mistakes(_LABELS)), wall_clock()
    document: Json = {}
    if expires_in is not None:
        with mistakes.of("--expires-in"):
            later(expires_in, now)
            document["expires_in"] = parse_duration(expires_in)
    if starts_in is not None:
        with mistakes.of("--starts-in"):
            document["starts_at"] = later(starts_in, now)
            if parse_duration(starts_in) >= document.get(
                "expires_in", parse_duration(starts_in) + 1
            ):
                raise ValueError("must be less than --expires-in")
    if secret_stdin:
        document["client_secret"] = read_secret()
    mistakes.check(NewSecretDocument, document)
    with administration(server, mistakes) as operations:
        added = operations.add_secret(client_id, document).document
    output.show(added)
    if "client_secret" in added and not output.is_document:
        say("Keep the secret now: it is not shown again.")


@app.command("list")
@prints_table
def list_secrets(client_id: ClientId, server: ServerOption = None, output: Output = TABLE) -> None:
    """Show when each secret of a client begins and ends, and when it last got a token.

    Example: watchword clients secrets list orders-service
    """
    with administration(server, check_client(client_id), reading=True) as operations:
        secrets = operations.list_secrets(client_id)
    if output.is_document:
        output.document({"secrets": secrets})
    elif secrets:
        print_secrets(output, secrets, wall_clock())
    else:
        say(f"{client_id} has no secret")


@app.command()
def revoke(
    client_id: ClientId,
    secret_id: Annotated[
        str, typer.Argument(metavar="SECRET_ID", help="The secret's id, as the list shows it.")
    ],
    server: ServerOption = None,
) -> None:
    """End a secret at once; tokens that were issued for it remain valid until they expire.

    Example: watchword clients secrets revoke orders-service 5d41402abc
    """
    mistakes = check_client(client_id)
    with mistakes.of("SECRET_ID"):
        check_short_id(secret_id)
    with administration(server, mistakes) as operations:
        operations.revoke_secret(client_id, secret_id)
        left = operations.list_secrets(client_id)
    say(f"the secret {secret_id} of {client_id} is revoked")
    if not has_live_secret(left, wall_clock()):
        say(f"warning: {client_id} has no live secret left and gets no more tokens")


def check_client(client_id: str, mistakes: Mistakes | None = None) -> Mistakes:
    """Add what is wrong with a client id to the mistakes of a command, and return them."""
    from issuer.registry.names import check_client_id

    mistakes = Mistakes() if mistakes is None else mistakes
    with mistakes.of("ID"):
        check_client_id(client_id)
    return mistakes


def has_live_secret(secrets: Iterable["Json"], now: int) -> bool:
    """Tell whether any of the secrets can be used at `now`."""
    return any(_state(each, now) == "live" for each in secrets)


def print_secrets(output: Output, secrets: Iterable["Json"], now: int) -> None:
    """Print the states and times of secrets."""
    rows = (
        each
        | {
            "state": _state(each, now),
            "expires_at": each["expires_at"] or "until revoked",
            "last_used_at": each["last_used_at"] or "never",
        }
        for each in secrets
    )
    output.table(_COLUMNS, rows)


def _state(secret: "Json", now: int) -> str:
    """Return `live`, `pending` (not yet) or `ended`, as the secret is at `now`."""
    from issuer.registry.schema import parse_time

    if parse_time(secret["starts_at"]) > now:
        return "pending"
    end = secret["expires_at"]
    return "ended" if end is not None and parse_time(end) <= now else "live"
