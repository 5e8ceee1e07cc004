"""The `watchword audit` commands: who changed what in the registry."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import parse_count
from watchword.cli.output import JsonFlag, Mistakes, print_json, printable, say
from watchword.cli.registry import ServerOption, administration

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_entries(
    target: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only changes of this client, resource or token."),
    ] = None,
    limit: Annotated[
        str, typer.Option(metavar="N", help="Maximum number of entries, newest first.")
    ] = "100",
    before: Annotated[
        str | None, typer.Option(metavar="N", help="Only entries before this number.")
    ] = None,
    server: ServerOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show who changed what, when and how, newest first, with each value before and after.

    Example: watchword audit list --target orders-service
    """
    from issuer.administration.operations import pages

    mistakes, most = Mistakes(), None
    with mistakes.of("--limit"):
        most = parse_count(limit)
    if before is not None:
        with mistakes.of("--before"):
            before = str(parse_count(before))
    with administration(server, mistakes, reading=True) as operations:
        list_audit = partial(operations.list_audit, target=target)
        *_, last = found = list(
            pages(
                lambda place, size: list_audit(before=place, limit=size), after=before, limit=most
            )
        )
    entries, older = [each for page in found for each in page.items], last.next
    if as_json:
        print_json({"entries": entries} | ({} if older is None else {"next": older}))
        return
    for entry in entries:
        _print(entry)
    if not entries:
        say("There is no entry.")
    if older is not None:
        say(f"There are older ones: --before {older}")


def _print(entry: "Json") -> None:
    request = f", request {entry['request_id']}" if entry["request_id"] else ""
    head = (
        f"{entry['at']}  #{entry['number']}  {entry['action']}  {entry['target']}"
        f"  by {entry['actor']} ({entry['via']}{request})"
    )
    from issuer.administration.difference import difference

    lines = [head, *("    " + line for line in difference(entry["before"], entry["after"]))]
    sys.stdout.write("".join(printable(line) + "\n" for line in lines))
