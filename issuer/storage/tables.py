"""The tables of the client registry, in types that SQLite and PostgreSQL share.

Times are integer seconds since the epoch. The migrations make these tables; a test compares.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite counts rows by itself only in a column of type INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

resources = Table(
    "resources",
    metadata,
    Column("resource_id", _ROW_NUMBER, primary_key=True),
    Column("identifier", Text, nullable=False, unique=True),
    Column("token_ttl", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

resource_scopes = Table(
    "resource_scopes",
    metadata,
    Column(
        "resource_id", ForeignKey("resources.resource_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("scope", Text, primary_key=True),
    Column("position", Integer, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("display_name", Text),
    Column("auth_method", Text, nullable=False),
    Column("token_ttl", Integer),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

client_grants = Table(
    "client_grants",
    metadata,
    Column("client_id", ForeignKey("clients.client_id", ondelete="CASCADE"), primary_key=True),
    Column("resource_id", ForeignKey("resources.resource_id"), primary_key=True, index=True),
    Column("position", Integer, nullable=False),  # 0 is the client's default resource
)

client_grant_scopes = Table(
    "client_grant_scopes",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("resource_id", _ROW_NUMBER, primary_key=True),
    Column("scope", Text, primary_key=True),
    # Whether the scope is granted when a token request names none (RFC 6749 §3.3).
    Column("is_default", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["client_id", "resource_id"],
        ["client_grants.client_id", "client_grants.resource_id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["resource_id", "scope"], ["resource_scopes.resource_id", "resource_scopes.scope"]
    ),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("client_id", ForeignKey("clients.client_id", ondelete="CASCADE"), primary_key=True),
    Column("secret_id", String(32), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("slow", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # Answers "is there any?" without reading a million secrets.
    Index("ix_client_secrets_slow", "slow"),
)

# What changed, in the order of the changes; no client_id means that any client may have.
registry_changes = Table(
    "registry_changes",
    metadata,
    Column("seq", _ROW_NUMBER, primary_key=True),
    Column("client_id", String(255)),
    sqlite_autoincrement=True,  # a number is never given twice, so a cursor stays true
)
