"""The version of the database schema: read it, move it to the one that this code works with.

An empty database gets its tables at once. SQLAlchemy is imported only for one that is not up to
date, and Alembic only for one that has older tables.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from issuer.registry.errors import SchemaMismatch

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0010"
"""The newest revision in `migrations/versions`."""

MIGRATIONS = Path(__file__).parent / "migrations"


def read_revision(connection: "Connection") -> str | None:
    """Read the schema revision of a database, within the transaction that will upgrade it."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def mismatch(current: str | None) -> SchemaMismatch:
    """Say what to do about a schema that is not the one of this version."""
    if current is not None and current > HEAD:  # both are of four digits
        return SchemaMismatch(
            f"the database is from a newer version (schema {current}, this version works"
            f" with {HEAD}); install that version"
        )
    return SchemaMismatch(
        f"the database schema is {current or 'empty'}, this version works with"
        f" {HEAD}; run: watchword db upgrade"
    )


def upgrade_schema(connection: "Connection", before: str | None) -> None:
    """Make the tables, or run the migrations that are missing, in the transaction of `connection`.

    Args:
        connection: the transaction; a second one waits for it, and finds the work done.
        before: the revision that it is at.

    Raises:
        SchemaMismatch: the database is from a newer version, or is not a registry.
    """
    if before == HEAD:
        return
    if before is None:
        _make_tables(connection)
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if before not in known:
        raise mismatch(before)
    config = Config(attributes={"connection": connection})
    # Config reads values with %-interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, HEAD)


def _make_tables(connection: "Connection") -> None:
    """Make what all the migrations together would make; a test compares."""
    from sqlalchemy import inspect, text

    from issuer.storage.rows import begin_epoch
    from issuer.storage.tables import PARTIAL_INDEXES, metadata

    if set(inspect(connection).get_table_names()) - {"alembic_version"}:
        raise SchemaMismatch("the database holds tables of something else; name another one")
    metadata.create_all(connection, checkfirst=False)
    for statement in PARTIAL_INDEXES[connection.dialect.name]:
        connection.execute(text(statement))
    begin_epoch(connection)
    # As Alembic makes it: https://alembic.sqlalchemy.org/en/latest/tutorial.html
    connection.execute(
        text(
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
