"""Add who owns which indexes of status lists, and the changes of their status."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_client_id = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "status_blocks",
        sa.Column("bucket", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("client_id", _client_id, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("reserved_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("bucket", "first", name="pk_status_blocks"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_status_blocks_client_id", "status_blocks", ["client_id"])
    op.create_table(
        "status_changes",
        sa.Column("change", _row_number, nullable=False),
        sa.Column("bucket", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("change", name="pk_status_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_status_changes_bucket", "status_changes", ["bucket"])
