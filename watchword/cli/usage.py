"""The `watchword usage` command: which client uses which scope of which resource."""

from functools import partial
from typing import Annotated

import typer

from watchword.cli.options import UnusedFor, parse_count, read_lately
from watchword.cli.output import Mistakes, say
from watchword.cli.printing import TABLE, Output, prints_table
from watchword.cli.progress import watched
from watchword.cli.registry import ServerOption, administration, why_nothing
from watchword.cli.tables import Column

_COLUMNS = (
    Column("client_id"),
    Column("resource", "words"),
    Column("scope", "words"),
    Column("last_used_at", "time"),
)


@prints_table
def usage(
    client: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what this client may use.")
    ] = None,
    resource: Annotated[
        str | None, typer.Option(metavar="URI", help="Only scopes of this resource.")
    ] = None,
    scope: Annotated[str | None, typer.Option(metavar="SCOPE", help="Only this scope.")] = None,
    unused_for: UnusedFor = None,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on where a cut list said.")
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="Maximum number of lines.")] = "1000",
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Show which client may use which scope of which resource, and when it last got a token for it.

    Example: watchword usage --resource https://orders.example.com --unused-for 90d
    """
    from issuer.administration.operations import pages

    mistakes, most = Mistakes(), None
    with mistakes.of("--limit"):
        most = parse_count(limit)
    with mistakes.gathered():
        seconds = read_lately("--unused-for", unused_for)
    with administration(server, mistakes, reading=True) as operations:
        find = partial(
            operations.list_usage,
            client_id=client,
            resource=resource,
            scope=scope,
            unused_for=seconds,
        )
        fetched = pages(lambda place, size: find(after=place, limit=size), after=after, limit=most)
        *_, last = found = list(watched(fetched, output))
        uses = [each for page in found for each in page.items]
        why = "" if uses else why_nothing(operations, resource=resource, scope=scope)
    if output.is_document:
        output.document({"uses": uses} | ({} if last.next is None else {"next": last.next}))
        return
    if uses:
        never = {"last_used_at": "never"}
        output.table(_COLUMNS, (each if each["last_used_at"] else each | never for each in uses))
    else:
        say(f"There is nothing to list{why}")
    if last.next is not None:
        say(f"There are more: --after '{last.next}'")
