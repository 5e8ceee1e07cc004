"""Keep the registry in a database: SQLAlchemy Core tables, queries and Alembic migrations."""
