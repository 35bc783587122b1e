"""All SQL and driver set-up that differs between SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from connector.errors import SettingsError

BUSY_SECONDS = 30
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING, UPDATE … FROM and upserts over a SELECT
_MIGRATION_LOCK = 7_052_011  # any constant of ours


def is_sqlite(database_url: str) -> bool:
    """Tell which of the two databases a URL names."""
    return database_url.startswith("sqlite")


def sqlite_path(database_url: str) -> Path:
    """Return the file behind a `sqlite:///…` URL."""
    return Path(make_url(database_url).database or "")


def writer_engine(database_url: str) -> Engine:
    """Return an engine for the one writing connection of this process."""
    return _sqlite(database_url, begin="BEGIN IMMEDIATE") if is_sqlite(database_url) else _postgres(database_url, 1)


def reader_engine(database_url: str, connections: int) -> Engine:
    """Return an engine for reading beside the writer; a transaction sees one snapshot."""
    return _sqlite(database_url, begin="BEGIN", readers=connections) if is_sqlite(database_url) else _postgres(database_url, connections)


def _postgres(database_url: str, connections: int) -> Engine:
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        # one connection may be behind a pooler that knows nothing of prepared statements
        connect_args={"connect_timeout": 10, "application_name": "koji-amplitude"},
    )


def _sqlite(database_url: str, *, begin: str, readers: int = 0) -> Engine:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise SettingsError(
            f"DATABASE_URL: this Python is linked to SQLite {sqlite3.sqlite_version}, 3.35 or newer is needed; "
            "use a newer Python or postgresql://user@host/name"
        )
    path = sqlite_path(database_url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pool: dict[str, Any] = {"pool_size": readers or 1, "max_overflow": 0}
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, **pool
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        if readers:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def migration_engine(database_url: str) -> Engine:
    """Return an engine whose transactions are exclusive; every use opens and closes a connection."""
    if is_sqlite(database_url):
        engine = _sqlite(database_url, begin="BEGIN EXCLUSIVE")
        return engine
    return create_engine(make_url(database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


def lock_for_migration(connection: Connection) -> None:
    """Keep every other process out until the transaction ends (SQLite's BEGIN EXCLUSIVE already does)."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def back_up(database_url: str, version: int) -> Path | None:
    """Copy a SQLite file beside itself before its schema changes; PostgreSQL is backed up by its owner."""
    if not is_sqlite(database_url):
        return None
    path = sqlite_path(database_url)
    copy = path.with_name(f"{path.name}.before-version-{version}")
    shutil.copy2(path, copy)
    return copy


def rows(dialect: str, columns: Mapping[str, str]) -> str:
    """Return a derived table over the parameter `:rows`, a JSON array of arrays in the order of `columns`.

    One statement for many rows: the thread gives up the interpreter once instead of once a row. Types are
    `text`, `bigint`, `integer` and `boolean`; SQLite needs none.
    """
    if dialect == "sqlite":
        picked = ", ".join(f"json_extract(value, '$[{i}]') AS {name}" for i, name in enumerate(columns))
        return f"(SELECT {picked} FROM json_each(:rows))"
    picked = ", ".join(f"CAST(value ->> {i} AS {kind}) AS {name}" for i, (name, kind) in enumerate(columns.items()))
    return f"(SELECT {picked} FROM json_array_elements(CAST(:rows AS json)))"


def lock_rows(dialect: str, table: str) -> str:
    """Return the clause that keeps selected rows for this transaction (SQLite has one writer anyway)."""
    return f" FOR UPDATE OF {table}" if dialect == "postgresql" else ""
