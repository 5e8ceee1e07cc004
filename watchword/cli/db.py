"""The `watchword db` commands: schema, issuer, backup and restore of the registry database."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints
from watchword.cli.progress import still_working
from watchword.cli.registry import ChangeLog, YesFlag, operator, require_registry, require_yes

if TYPE_CHECKING:
    from issuer.storage.database_url import DatabasePlace
    from watchword.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command()
@prints
def upgrade(output: Output = TABLE) -> None:
    """Make the database, or bring its schema up to date; several may do it at once.

    Example: watchword db upgrade
    """
    from issuer.storage.registry import MIGRATION_TIMEOUT, Registry
    from watchword.settings import load_settings

    place = load_settings().database
    with still_working(output):
        opened = Registry.open(place, now=wall_clock, upgrade=True, timeout=MIGRATION_TIMEOUT)
    with closing(opened) as registry:
        _print(place, registry.schema_revision(), output)


@app.command()
@prints
def status(output: Output = TABLE) -> None:
    """Show the schema revision that the database is at, changing nothing.

    Example: watchword db status --json
    """
    from issuer.storage.registry import inspect_schema
    from watchword.settings import load_settings

    place = load_settings().database
    _print(place, inspect_schema(place), output)


@app.command("set-issuer")
def set_issuer(
    issuer: Annotated[str, typer.Argument(metavar="URL", help="The new issuer identifier.")],
    yes: YesFlag = False,
) -> None:
    """Change the issuer that the registry belongs to; clients and resources stay as they are.

    Set WATCHWORD_ISSUER to the same, and restart the server.

    Example: watchword db set-issuer https://auth.example.com --yes
    """
    from issuer.storage.registry import Registry
    from keys.identifiers import check_issuer
    from watchword.setting_mistakes import name_settings
    from watchword.settings import load_settings

    settings = load_settings()
    try:
        check_issuer(issuer, allow_insecure_http=settings.allow_insecure_http)
    except ValueError as error:
        raise WrongUsage(f"URL: {name_settings(str(error))}") from None
    require_registry(settings)
    opened = Registry.open(settings.database, now=wall_clock, announce=ChangeLog(settings, True))
    with closing(opened) as registry:
        known = registry.read(lambda reading: reading.identity()).issuer
        if known not in (None, issuer):
            require_yes(f"Change the issuer of the registry from {known} to {issuer}?", yes=yes)
        registry.change(lambda edit: edit.change_issuer(issuer), by=operator())
    say(f"the registry belongs to {issuer}")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make, mode 0600.")],
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt it with WATCHWORD_KEY_PASSPHRASE.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write registry and signing keys to one file, consistent while the server runs.

    Example: watchword db backup /backup/watchword.backup --encrypt
    """
    from watchword.backup import write_backup
    from watchword.settings import load_settings

    settings = load_settings()
    with still_working(TABLE):
        write_backup(settings, file, now=wall_clock, encrypt=encrypt, replace=force)
    say(f"registry and keys are in {file}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that db backup wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the registry and the keys that exist.")
    ] = False,
) -> None:
    """Restore registry and signing keys from a backup, all of it or nothing.

    Example: watchword db restore /backup/watchword.backup
    """
    from watchword.backup import restore_backup
    from watchword.settings import load_settings

    settings = load_settings()
    with still_working(TABLE):
        restore_backup(settings, file, now=wall_clock, replace=force)
    say(f"registry and keys are those of {file}")
    _record_restore(settings)


def _record_restore(settings: "Settings") -> None:
    """Write to the log and the trail, which is the restored one, that it was restored."""
    from issuer.registry.errors import RegistryError
    from watchword.errors import DataFolderError
    from watchword.registry import open_registry

    log = ChangeLog(settings)
    try:
        with closing(open_registry(settings, now=wall_clock, announce=log)) as registry:
            log.opened = True
            registry.change(lambda edit: edit.record_restore(), by=operator())
    except (RegistryError, DataFolderError) as error:
        say(f"warning: the audit trail does not have what was done: {error}")


def _print(place: "DatabasePlace", current: str | None, output: Output) -> None:
    from issuer.storage.schema import HEAD

    facts: dict[str, Any] = {
        "database": place.shown,
        "current": current,
        "head": HEAD,
        "up_to_date": current == HEAD,
    }
    if output.is_document:
        output.document(facts)
        return
    shown = {
        "current": current or "none: the database is empty",
        "up_to_date": "yes" if current == HEAD else "no; run: watchword db upgrade",
    }
    output.fields(facts | shown)
