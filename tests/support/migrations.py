"""Databases as older versions left them."""

from contextlib import closing

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from issuer.storage.database_url import open_database
from issuer.storage.schema import MIGRATIONS


def migrate(url: str, revision: str) -> None:
    """Run the migrations up to a revision, as the version of that revision did."""

    def work(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)

    with closing(open_database(url, timeout=30)) as database:
        database.change(work)
