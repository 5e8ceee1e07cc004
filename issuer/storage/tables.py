"""The tables of the client registry, in types that SQLite and PostgreSQL share.

Times are integer seconds since the epoch. The migrations make these tables; a test compares.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
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

# Pages go by these in the order of their bytes, whatever the database's own order of letters.
_CLIENT_ID = String(255).with_variant(String(255, collation="C"), "postgresql")
_IDENTIFIER = Text().with_variant(Text(collation="C"), "postgresql")

_JSON = JSON(none_as_null=True)


def _registration() -> Column[Any]:
    """What is decided and has no column or table of its own, by the names of the schema."""
    return Column("registration", _JSON, nullable=False, server_default="{}")


resources = Table(
    "resources",
    metadata,
    Column("resource_id", _ROW_NUMBER, primary_key=True),
    Column("identifier", _IDENTIFIER, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # The number in the change feed of its latest change; never given twice, so a good ETag.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    _registration(),
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
    Column("client_id", _CLIENT_ID, primary_key=True),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    # RFC 7592 §3: the hash of the token that the client administers itself with.
    Column("registration_access_hash", Text),
    _registration(),
)

client_grants = Table(
    "client_grants",
    metadata,
    Column("client_id", ForeignKey("clients.client_id", ondelete="CASCADE"), primary_key=True),
    Column("resource_id", ForeignKey("resources.resource_id"), primary_key=True, index=True),
    Column("position", Integer, nullable=False),  # 0 is the client's default resource
    Column("authorization_details_types", _JSON),  # NULL for none
)

client_grant_scopes = Table(
    "client_grant_scopes",
    metadata,
    Column("client_id", _CLIENT_ID, primary_key=True),
    Column("resource_id", _ROW_NUMBER, primary_key=True),
    Column("scope", Text, primary_key=True),
    # Whether the scope is granted when a token request names none (RFC 6749 §3.3).
    Column("is_default", Boolean, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("last_used_at", BigInteger),
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
    Column("last_used_at", BigInteger),
    Column("expiry_announced_at", BigInteger),  # the last time
)

# Both are asked for again and again, and hold only what is asked for: the answer takes no longer
# with a million other secrets, whatever the planner believes of them. As text and not as `Index`,
# whose conditions would load the code of every engine that they name.
PARTIAL_INDEXES = {
    "sqlite": (
        "CREATE INDEX ix_client_secrets_slow ON client_secrets (client_id) WHERE slow = 1",
        "CREATE INDEX ix_client_secrets_expires_at ON client_secrets (expires_at)"
        " WHERE expires_at IS NOT NULL",
    ),
    "postgresql": (
        "CREATE INDEX ix_client_secrets_slow ON client_secrets (client_id) WHERE slow",
        "CREATE INDEX ix_client_secrets_expires_at ON client_secrets (expires_at)"
        " WHERE expires_at IS NOT NULL",
    ),
}

# What changed, in the order of the changes; no client_id means that any client may have.
registry_changes = Table(
    "registry_changes",
    metadata,
    Column("seq", _ROW_NUMBER, primary_key=True),
    Column("client_id", _CLIENT_ID),
    sqlite_autoincrement=True,  # a number is never given twice, so a cursor stays true
)

# Who changed what. Rows are only ever added.
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("number", _ROW_NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("target", _IDENTIFIER, nullable=False, index=True),
    Column("before", _JSON),
    Column("after", _JSON),
    sqlite_autoincrement=True,
)

# Initial access tokens (RFC 7591 §3), and what may be registered with each.
registration_tokens = Table(
    "registration_tokens",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("grants", _JSON, nullable=False),
    Column("token_ttl", Integer),
    Column("uses_left", Integer),  # NULL: without a limit
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

# Answers to requests that a retry must not carry out twice.
idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", _JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

# Which issuer the registry belongs to, and the epoch of the change feed; see `reading`.
registry_identity = Table(
    "registry_identity",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# What is claimed once, by the digest of scope and id; see `issuer.storage.hot`.
claims = Table(
    "claims",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# What all processes together have counted, by the digest of scope and id, within a minute.
limit_counts = Table(
    "limit_counts",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# The next number of each counter, from which blocks are reserved.
counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

# Signing keys, sealed; the revision of a row differs after each time that it was written.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("revision", Text, nullable=False),
)

# Who was given which indexes of status lists; see `issuer.status.positions`.
status_blocks = Table(
    "status_blocks",
    metadata,
    Column("bucket", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("client_id", _CLIENT_ID, nullable=False, index=True),
    Column("subject", Text),  # NULL: the client itself
    Column("resource", Text, nullable=False),
    Column("reserved_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What status which indexes were given, in the order of the changes. Rows are only ever added, until
# all tokens of the bucket have expired.
status_changes = Table(
    "status_changes",
    metadata,
    Column("change", _ROW_NUMBER, primary_key=True),
    Column("bucket", BigInteger, nullable=False, index=True),
    Column("first", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice, so a cursor stays true
)
