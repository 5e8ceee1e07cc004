"""Keep what is decided of a client or a resource in one column, by the names of the schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_PAGE = 1_000
_clients = sa.table(
    "clients",
    sa.column("client_id", sa.String),
    sa.column("registration", sa.JSON),
    sa.column("display_name", sa.Text),
    sa.column("auth_method", sa.Text),
    sa.column("material", sa.JSON),
    sa.column("grant_types", sa.Text),
    sa.column("token_ttl", sa.Integer),
    sa.column("dpop_bound", sa.Boolean),
    sa.column("certificate_bound", sa.Boolean),
    sa.column("notes", sa.JSON),
)
_resources = sa.table(
    "resources",
    sa.column("resource_id", sa.BigInteger),
    sa.column("registration", sa.JSON),
    sa.column("token_ttl", sa.Integer),
    sa.column("signing_alg", sa.Text),
    sa.column("dpop_required", sa.Boolean),
    sa.column("certificate_required", sa.Boolean),
)


def upgrade() -> None:
    """Fill the column from those that it replaces, and drop them."""
    for table, key, describe in (
        (_clients, _clients.c.client_id, _registration),
        (_resources, _resources.c.resource_id, _policy),
    ):
        added = sa.Column("registration", sa.JSON, nullable=False, server_default="{}")
        op.add_column(table.name, added)
        _fill(table, key, describe)
        for column in list(table.c)[2:]:
            op.drop_column(table.name, column.name)


def _fill(table: Any, key: Any, describe: Any) -> None:  # noqa: ANN401 - parts of statements
    connection = op.get_bind()
    page = sa.select(*[each for each in table.c if each.name != "registration"]).order_by(key)
    rows = connection.execute(page.limit(_PAGE)).all()
    while rows:
        connection.execute(
            sa.update(table).where(key == sa.bindparam("at")),
            [
                {
                    "at": row[0],
                    "registration": {
                        name: value for name, value in describe(row).items() if value is not None
                    },
                }
                for row in rows
            ],
        )
        rows = connection.execute(page.where(key > rows[-1][0]).limit(_PAGE)).all()


def _registration(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row has no type of its own
    return {
        "client_name": row.display_name,
        "token_endpoint_auth_method": row.auth_method,
        **(row.material or {}),
        "grant_types": row.grant_types.split(),
        "token_ttl": row.token_ttl,
        "dpop_bound_access_tokens": row.dpop_bound,
        "tls_client_certificate_bound_access_tokens": row.certificate_bound,
        "metadata": row.notes or {},
    }


def _policy(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row has no type of its own
    return {
        "token_ttl": row.token_ttl,
        "signing_alg": row.signing_alg,
        "dpop_bound_access_tokens_required": row.dpop_required,
        "tls_client_certificate_bound_access_tokens": row.certificate_required,
    }
