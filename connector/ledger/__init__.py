"""The one durable book: SQLAlchemy Core on a SQLite file or PostgreSQL, one writer thread a process."""
