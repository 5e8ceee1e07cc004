"""The `watchword audit` commands: who changed what in the registry."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.ambient import wall_clock
from watchword.cli.options import parse_count, with_options
from watchword.cli.output import Mistakes, printable, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.progress import watched
from watchword.cli.registry import ServerOption, administration
from watchword.durations import parse_duration

if TYPE_CHECKING:
    from issuer.administration.operations import Page
    from issuer.registry.schema import Json

app = typer.Typer(no_args_is_help=True)

_LOOK_SECONDS = 1.0
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class EntryFilters:
    """Options that say which entries are listed, as typed."""

    target: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only changes of this client, resource or token."),
    ] = None
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only changes that this one made.")
    ] = None
    action: Annotated[
        str | None,
        typer.Option(
            metavar="ACTION", help="Only such as client.created, or client for all of clients."
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only later ones: 2h, or such as 2027-01-31T12:00:00Z."),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only earlier ones, written likewise.")
    ] = None


@app.command("list")
@prints
@with_options(EntryFilters)
def list_entries(
    options: EntryFilters,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is changed from now on.")
    ] = False,
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

    Example: watchword audit list --action client --since 24h
    """
    from issuer.administration.operations import pages

    mistakes, most = Mistakes(), None
    if follow:
        mistakes.exclude("--follow", [("--before", before), ("--until", options.until)])
    with mistakes.of("--limit"):
        most = parse_count(limit)
    if before is not None:
        with mistakes.of("--before"):
            before = str(parse_count(before))
    wanted = _read_filter(options, mistakes)
    with administration(server, mistakes, reading=True) as operations:
        list_audit = partial(operations.list_audit, **wanted)
        if follow:
            _follow(list_audit, output, most or 1)
            return
        fetched = pages(
            lambda place, size: list_audit(before=place, limit=size), after=before, limit=most
        )
        *_, last = found = list(watched(fetched, output))
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


def _read_filter(options: EntryFilters, mistakes: Mistakes) -> dict[str, Any]:
    wanted = asdict(options)
    for name in ("since", "until"):
        if wanted[name] is not None:
            with mistakes.of(f"--{name}"):
                wanted[name] = _read_moment(wanted[name])
    return wanted


def _read_moment(text: str) -> str:
    """Return a time as RFC 3339; a duration is so long ago.

    Raises:
        ValueError: it is neither.
    """
    from issuer.registry.schema import parse_time, write_time

    if "T" in text.upper():
        return write_time(parse_time(text))
    return write_time(max(wall_clock() - parse_duration(text), 0))


def _follow(list_audit: "Callable[..., Page]", output: Output, most: int) -> None:
    """Print the latest entries, the oldest first, and then each new one, until interrupted."""
    fresh = list_audit(limit=min(most, _AT_ONCE)).items
    seen = 0
    while True:
        for entry in reversed(fresh):
            output.entry(entry) if output.is_document else _print(entry)
            seen = entry["number"]
        sys.stdout.flush()
        time.sleep(_LOOK_SECONDS)
        fresh = list(_entries_after(seen, list_audit))


def _entries_after(seen: int, list_audit: "Callable[..., Page]") -> "Iterator[Json]":
    from issuer.administration.operations import pages

    for page in pages(lambda place, size: list_audit(before=place, limit=size)):
        for entry in page.items:
            if entry["number"] <= seen:
                return
            yield entry


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
