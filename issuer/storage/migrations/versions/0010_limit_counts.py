"""Add what all processes together have counted for the limits of clients."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "limit_counts",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_limit_counts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_limit_counts_expires_at", "limit_counts", ["expires_at"])
