"""The `watchword audit` commands: who changed what in the registry."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import parse_count
from watchword.cli.output import Mistakes, printable, say
from watchword.cli.printing import TABLE, Output, prints_table
from watchword.cli.registry import ServerOption, administration

if TYPE_CHECKING:
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@prints_table
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
    output: Output = TABLE,
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
    if output.is_document:
        output.document({"entries": entries} | ({} if older is None else {"next": older}))
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
    lines = [head, *("    " + line for line in difference(entry["before"], entry["after"]))]
    sys.stdout.write("".join(printable(line) + "\n" for line in lines))


def difference(before: "Json | None", after: "Json | None") -> list[str]:
    """Compare two descriptions of one thing, as an audit entry has them: a line for each value.

    Args:
        before: the description; None if there was no such thing.
        after: the same, None if there is no such thing any more.
    """
    old, new = dict(_flat(before or {})), dict(_flat(after or {}))
    lines = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            lines.append(f"+ {name}: {new[name]}")
        elif name not in new:
            lines.append(f"- {name}: {old[name]}")
        elif old[name] != new[name]:
            lines.append(f"~ {name}: {old[name]} -> {new[name]}")
    return lines


def _flat(document: "Json") -> Iterator[tuple[str, str]]:
    """Yield the values that are set, each as one text; what lies deeper by a longer name."""
    for name, value in document.items():
        if name == "grants":
            for grant in value:
                yield f"scope on {grant['resource']}", grant["scope"]
                if "default_scope" in grant:
                    yield f"default scope on {grant['resource']}", grant["default_scope"]
        elif name == "metadata":
            yield from ((f"metadata.{key}", _text(each)) for key, each in value.items())
        elif value is not False and value not in (None, "", [], {}):
            yield name, _text(value)


def _text(value: object) -> str:
    if value is True:
        return "yes"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
