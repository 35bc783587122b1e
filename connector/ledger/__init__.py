"""The one durable ledger: SQLAlchemy Core on a SQLite file or PostgreSQL, one writer thread a process."""
