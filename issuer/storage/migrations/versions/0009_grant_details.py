"""Let a grant list the types of authorization details that its client may ask for (RFC 9396)."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.add_column("client_grants", sa.Column("authorization_details_types", sa.JSON))
