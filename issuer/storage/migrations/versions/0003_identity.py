"""Let a registry tell which issuer it belongs to, and its feed from every other feed."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of what identifies the registry; no issuer is named yet."""
    made = op.create_table(
        "registry_identity",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_registry_identity"),
    )
    op.bulk_insert(made, [{"name": "epoch", "value": secrets.token_hex(16)}])
