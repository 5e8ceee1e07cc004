"""Run by Alembic: migrate over the caller's connection, in its transaction."""

from alembic import context

from issuer.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, once the driver leaves BEGIN to us
)
with context.begin_transaction():
    context.run_migrations()
