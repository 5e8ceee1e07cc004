"""Make room for all that administers the registry: policies, usage, audit trail, registration."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_identifier = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Widen the tables of 0001 and add those of the trail, of registration and of retries."""
    _widen_resources()
    _widen_clients()
    _widen_secrets()
    _make_audit_trail()
    _make_registration()
    op.create_table(
        "idempotent_answers",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_idempotent_answers"),
    )
    op.create_index("ix_idempotent_answers_created_at", "idempotent_answers", ["created_at"])


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _widen_resources() -> None:
    op.add_column("resources", sa.Column("signing_alg", sa.Text))
    op.add_column("resources", _flag("dpop_required"))
    op.add_column("resources", _flag("certificate_required"))
    op.add_column("resources", _revision())


def _revision() -> sa.Column[int]:
    return sa.Column("revision", sa.BigInteger, nullable=False, server_default="0")


def _widen_clients() -> None:
    op.add_column("clients", sa.Column("material", sa.JSON))
    op.add_column(
        "clients",
        sa.Column("grant_types", sa.Text, nullable=False, server_default="client_credentials"),
    )
    op.add_column("clients", _flag("dpop_bound"))
    op.add_column("clients", _flag("certificate_bound"))
    op.add_column("clients", sa.Column("expires_at", sa.BigInteger))
    op.add_column("clients", sa.Column("notes", sa.JSON))
    op.add_column("clients", _revision())
    op.add_column("clients", sa.Column("registration_access_hash", sa.Text))
    op.add_column(
        "client_grant_scopes",
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
    )
    op.add_column("client_grant_scopes", sa.Column("last_used_at", sa.BigInteger))


def _widen_secrets() -> None:
    op.add_column("client_secrets", sa.Column("last_used_at", sa.BigInteger))
    op.add_column("client_secrets", _flag("expiry_announced"))
    op.drop_index("ix_client_secrets_slow", "client_secrets")
    op.create_index(
        "ix_client_secrets_slow",
        "client_secrets",
        ["client_id"],
        sqlite_where=sa.text("slow = 1"),
        postgresql_where=sa.text("slow"),
    )
    op.create_index(
        "ix_client_secrets_expires_at",
        "client_secrets",
        ["expires_at"],
        sqlite_where=sa.text("expiry_announced IS 0"),
        postgresql_where=sa.text("expiry_announced IS false"),
    )


def _make_audit_trail() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("number", _row_number, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", _identifier, nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.PrimaryKeyConstraint("number", name="pk_audit_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entries_target", "audit_entries", ["target"])


def _make_registration() -> None:
    op.create_table(
        "registration_tokens",
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("grants", sa.JSON, nullable=False),
        sa.Column("token_ttl", sa.Integer),
        sa.Column("uses_left", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("token_id", name="pk_registration_tokens"),
    )
