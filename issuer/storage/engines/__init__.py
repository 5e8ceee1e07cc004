"""Database engines: SQLite and PostgreSQL."""
