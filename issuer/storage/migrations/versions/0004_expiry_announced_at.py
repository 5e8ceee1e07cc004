"""Remember when the end of a secret was last announced, instead of whether it was."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Replace the flag by a time; what was announced before is announced again."""
    op.drop_index("ix_client_secrets_expires_at", "client_secrets")
    op.drop_column("client_secrets", "expiry_announced")
    op.add_column("client_secrets", sa.Column("expiry_announced_at", sa.BigInteger))
    op.create_index(
        "ix_client_secrets_expires_at",
        "client_secrets",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
