"""The version of the database schema: read it, move it to the one that this code works with.

Alembic is imported only when there is something to do; it costs more than opening the database.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from issuer.registry.errors import SchemaMismatch

HEAD = "0002"
"""The newest revision in `migrations/versions`."""

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """The revision that a database is at (None: empty) and the one that this version wants."""

    current: str | None
    head: str

    @property
    def up_to_date(self) -> bool:
        """Whether nothing needs to be done."""
        return self.current == self.head


def read_status(connection: Connection) -> SchemaStatus:
    """Read the schema revision of a database."""
    current = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return SchemaStatus(current=current, head=HEAD)


def upgrade_schema(connection: Connection) -> None:
    """Run the migrations that are missing, all in the transaction of `connection`.

    Whoever comes second finds the work done: nobody else is in such a transaction meanwhile.

    Raises:
        SchemaMismatch: the database is from a newer version, or is not a registry.
    """
    status = read_status(connection)
    if status.up_to_date:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    _require_upgradable(connection, status, known)
    config = Config(attributes={"connection": connection})
    # Config reads values with %-interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, HEAD)


def _require_upgradable(connection: Connection, status: SchemaStatus, known: set[str]) -> None:
    if status.current is None:
        if set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise SchemaMismatch("the database holds tables of something else; name another one")
    elif status.current not in known:
        raise SchemaMismatch(
            f"the database is from a newer version (schema {status.current}, this version works"
            f" with {HEAD}); install that version"
        )
