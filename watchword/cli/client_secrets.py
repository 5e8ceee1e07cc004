"""The `watchword clients secrets` commands: let one secret replace another without a gap."""

from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.client_document import checked_client_id
from watchword.cli.client_options import ClientId, SecretFlag
from watchword.cli.client_tables import print_secrets, secret_state
from watchword.cli.option_values import check_short_id, later, parse_seconds
from watchword.cli.output import JsonFlag, print_fields, print_json, say
from watchword.cli.registry import ServerOption, administration, labelled, read_secret
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True, help="Secrets of a client: add, list, revoke.")

_LABELS = {
    "client_secret": "--secret-stdin",
    "starts_at": "--starts-in",
    "expires_at": "--expires-in",
    "expires_in": "--expires-in",
}


@app.command()
def add(
    client_id: ClientId,
    expires_in: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="End it so many seconds from now.")
    ] = None,
    starts_in: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Let it count only from so many seconds on."),
    ] = None,
    secret_stdin: SecretFlag = False,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give a client one more secret, which is never shown again; the others stay as they are.

    Example: watchword clients secrets add orders-service --expires-in 7776000
    """
    mistakes, now = checked_client_id(client_id), wall_clock()
    document: Json = {}
    if expires_in is not None:
        with mistakes.of("--expires-in"):
            later(expires_in, now)
            document["expires_in"] = parse_seconds(expires_in)
    if starts_in is not None:
        with mistakes.of("--starts-in"):
            document["starts_at"] = later(starts_in, now)
            if parse_seconds(starts_in) >= document.get("expires_in", parse_seconds(starts_in) + 1):
                raise ValueError("must be less than --expires-in")
    if secret_stdin:
        with mistakes.of("--secret-stdin"):
            document["client_secret"] = read_secret()
    with administration(server, mistakes) as operations, labelled(_LABELS):
        added = operations.add_secret(client_id, document).document
    print_json(added) if as_json else print_fields(added)
    if "client_secret" in added and not as_json:
        say("Keep the secret now: it is not shown again.")


@app.command("list")
def list_secrets(
    client_id: ClientId, server: ServerOption = None, as_json: JsonFlag = False
) -> None:
    """Show when each secret of a client begins and ends, and when it last got a token.

    Example: watchword clients secrets list orders-service
    """
    with administration(server, checked_client_id(client_id), reading=True) as operations:
        secrets = operations.list_secrets(client_id)
    if as_json:
        print_json({"secrets": secrets})
    elif secrets:
        print_secrets(secrets, wall_clock())
    else:
        say(f"{client_id} has no secret")


@app.command()
def revoke(
    client_id: ClientId,
    secret_id: Annotated[
        str, typer.Argument(metavar="SECRET_ID", help="Which; the list has the ids.")
    ],
    server: ServerOption = None,
) -> None:
    """End a secret at once; tokens that it got live on until they expire.

    Example: watchword clients secrets revoke orders-service 5d41402abc
    """
    mistakes = checked_client_id(client_id)
    with mistakes.of("SECRET_ID"):
        check_short_id(secret_id)
    with administration(server, mistakes) as operations:
        operations.revoke_secret(client_id, secret_id)
        left = operations.list_secrets(client_id)
    say(f"the secret {secret_id} of {client_id} is revoked")
    if not any(secret_state(each, wall_clock()) == "live" for each in left):
        say(f"warning: {client_id} has no live secret left and gets no more tokens")
