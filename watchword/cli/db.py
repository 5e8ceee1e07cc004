"""The `watchword db` commands: the schema of the registry database."""

from typing import TYPE_CHECKING, Any

import typer

from watchword.cli.output import JsonFlag, print_fields, print_json

if TYPE_CHECKING:
    from issuer.storage.database_url import DatabasePlace
    from issuer.storage.schema import SchemaStatus

app = typer.Typer(no_args_is_help=True)


@app.command()
def upgrade(as_json: JsonFlag = False) -> None:
    """Make the database, or bring its schema up to date; several may do it at once.

    Example: watchword db upgrade
    """
    from contextlib import closing

    from issuer.storage.registry import MIGRATION_PATIENCE, Registry
    from watchword.clock import wall_clock
    from watchword.settings import load_settings

    place = load_settings().database
    opened = Registry.open(place, now=wall_clock, upgrade=True, patience=MIGRATION_PATIENCE)
    with closing(opened) as registry:
        _print(place, registry.schema_status(), as_json)


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Show the schema revision that the database is at, changing nothing.

    Example: watchword db status --json
    """
    from issuer.storage.registry import inspect_schema
    from watchword.settings import load_settings

    place = load_settings().database
    _print(place, inspect_schema(place), as_json)


def _print(place: "DatabasePlace", schema: "SchemaStatus", as_json: bool) -> None:
    facts: dict[str, Any] = {
        "database": place.shown,
        "current": schema.current,
        "head": schema.head,
        "up_to_date": schema.up_to_date,
    }
    if as_json:
        print_json(facts)
        return
    shown = {
        "current": schema.current or "none: the database is empty",
        "up_to_date": "yes" if schema.up_to_date else "no; run: watchword db upgrade",
    }
    print_fields(facts | shown)
