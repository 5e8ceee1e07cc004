"""What serving tokens needs of the database, without SQLAlchemy."""
