"""Make the tables of the client registry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_client_id = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
_identifier = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make resources, clients, their grants and secrets, and the change feed."""
    _make_resources()
    _make_clients()
    _make_grants()
    _make_secrets()
    op.create_table(
        "registry_changes",
        sa.Column("seq", _row_number, nullable=False),
        sa.Column("client_id", _client_id),
        sa.PrimaryKeyConstraint("seq", name="pk_registry_changes"),
        sqlite_autoincrement=True,
    )


def _make_resources() -> None:
    op.create_table(
        "resources",
        sa.Column("resource_id", _row_number, nullable=False),
        sa.Column("identifier", _identifier, nullable=False),
        sa.Column("token_ttl", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("resource_id", name="pk_resources"),
        sa.UniqueConstraint("identifier", name="uq_resources_identifier"),
    )
    op.create_table(
        "resource_scopes",
        sa.Column("resource_id", _row_number, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "scope", name="pk_resource_scopes"),
        sa.ForeignKeyConstraint(
            ["resource_id"],
            ["resources.resource_id"],
            name="fk_resource_scopes_resources",
            ondelete="CASCADE",
        ),
    )


def _make_clients() -> None:
    op.create_table(
        "clients",
        sa.Column("client_id", _client_id, nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("auth_method", sa.Text, nullable=False),
        sa.Column("token_ttl", sa.Integer),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
    )


def _make_grants() -> None:
    op.create_table(
        "client_grants",
        sa.Column("client_id", _client_id, nullable=False),
        sa.Column("resource_id", _row_number, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "resource_id", name="pk_client_grants"),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["clients.client_id"],
            name="fk_client_grants_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resources.resource_id"], name="fk_client_grants_resources"
        ),
    )
    op.create_index("ix_client_grants_resource_id", "client_grants", ["resource_id"])
    op.create_table(
        "client_grant_scopes",
        sa.Column("client_id", _client_id, nullable=False),
        sa.Column("resource_id", _row_number, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "resource_id", "scope", name="pk_client_grant_scopes"),
        sa.ForeignKeyConstraint(
            ["client_id", "resource_id"],
            ["client_grants.client_id", "client_grants.resource_id"],
            name="fk_client_grant_scopes_client_grants",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["resource_id", "scope"],
            ["resource_scopes.resource_id", "resource_scopes.scope"],
            name="fk_client_grant_scopes_resource_scopes",
        ),
    )


def _make_secrets() -> None:
    op.create_table(
        "client_secrets",
        sa.Column("client_id", _client_id, nullable=False),
        sa.Column("secret_id", sa.String(32), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("slow", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("client_id", "secret_id", name="pk_client_secrets"),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["clients.client_id"],
            name="fk_client_secrets_clients",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_client_secrets_slow", "client_secrets", ["slow"])
