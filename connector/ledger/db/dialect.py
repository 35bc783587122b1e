"""All set-up of drivers that differs between SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from connector.errors import SettingsError

BUSY_SECONDS: Final = 30
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING, UPDATE … FROM and upserts over a SELECT
_PRAGMAS = (
    "page_size=8192",  # of a new file: three webhooks to a page where 4096 bytes hold one
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",
)
# keep what every transaction changes in memory, and copy the log into the file every 16 MB
_WRITER_PRAGMAS = ("cache_size=-16000", "wal_autocheckpoint=2000")
_MIGRATION_LOCK, _PEOPLE_LOCK, _SUPPRESSION_LOCK = 7_052_011, 7_052_012, 7_052_013  # any constants of ours
# a process that was stopped in the middle of a transaction must not keep its rows locked for ever
_POSTGRES_LIMITS = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'"
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock timeout


class TryAgainError(Exception):
    """Another process changed what this transaction was made from."""


def is_sqlite(database_url: str) -> bool:
    """Tell which of the two databases a URL names."""
    return database_url.startswith("sqlite")


def sqlite_path(database_url: str) -> Path:
    """Return the file behind a `sqlite:///…` URL."""
    return Path(make_url(database_url).database or "")


def writer_engine(database_url: str) -> Engine:
    """Return an engine for one writing connection."""
    if is_sqlite(database_url):
        return _sqlite(database_url, begin="BEGIN IMMEDIATE", connections=1)
    return _postgres(database_url, connections=1)


def reader_engine(database_url: str, connections: int) -> Engine:
    """Return an engine for reading beside the writer."""
    if is_sqlite(database_url):
        return _sqlite(database_url, begin="BEGIN", connections=connections, read_only=True)
    return _postgres(database_url, connections=connections)


def glance_engine(database_url: str) -> Engine | None:
    """Return an engine for one connection that reads without ever waiting, None when there is none such."""
    if is_sqlite(database_url):
        return _sqlite(database_url, begin=None, connections=1, read_only=True, busy_seconds=0)
    return None


def _postgres(database_url: str, *, connections: int) -> Engine:
    engine = create_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 10, "application_name": "koji-amplitude"},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute(_POSTGRES_LIMITS)
        connection.commit()

    return engine


def _sqlite(
    database_url: str,
    *,
    begin: str | None,
    connections: int,
    read_only: bool = False,
    busy_seconds: int = BUSY_SECONDS,
) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(sqlite_path(database_url))),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        _keep_log(connection)
        for pragma in ("query_only=ON",) if read_only else _WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(c: Connection) -> None:
        if begin is not None:
            c.exec_driver_sql(begin)

    return engine


def _keep_log(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; of several processes that open a new file at once, all but one must wait.

    SQLite refuses that switch at once while another connection is open in the middle of it, whatever the
    timeout. Raises `sqlite3.OperationalError` after 30 s.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def create_sqlite_file(database_url: str) -> None:
    """Make the file for its owner alone, unless it is there. Raises `SettingsError` for an old SQLite."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise SettingsError(
            f"DATABASE_URL: this Python is linked to SQLite {sqlite3.sqlite_version}, 3.35 is the oldest; "
            "use a newer Python or postgresql://user@host/name"
        )
    path = sqlite_path(database_url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def lock_for_migration(c: Connection) -> None:
    """Keep every other process out until the transaction ends (SQLite has one writer anyway)."""
    if c.dialect.name == "postgresql":
        # others may wait for as long as the upgrade takes
        c.exec_driver_sql("SET LOCAL lock_timeout = 0")
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


# On PostgreSQL several processes write at once. So that no two wait for each other, every transaction locks
# in one order: its lane; the people; the suppressions; launches, then invitations, by id; or syncs by key,
# their counters, what came in by id; at last deliveries of hooks by number. A revision of syncs, which locks
# launches last, shares the suppressions, and an erasure, which locks them first, has those alone. Pruning
# waits for no row.


def lock_people(c: Connection) -> None:
    """Keep who is who from changing elsewhere until the transaction ends (SQLite has one writer anyway)."""
    if c.dialect.name == "postgresql":
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PEOPLE_LOCK})")


def lock_suppressions(c: Connection) -> None:
    """Keep decisions over interviews out until this transaction, in which a person is erased, ends."""
    if c.dialect.name == "postgresql":
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SUPPRESSION_LOCK})")


def share_suppressions(c: Connection) -> None:
    """Keep erasures out until this transaction ends (SQLite has one writer anyway)."""
    if c.dialect.name == "postgresql":
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_SUPPRESSION_LOCK})")


def back_up(database_url: str, version: str) -> None:
    """Copy a SQLite file beside itself before its schema changes; PostgreSQL is backed up by its owner."""
    if not is_sqlite(database_url):
        return
    path = sqlite_path(database_url)
    copy = path.with_name(f"{path.name}.before-version-{version}")
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def empty_log(database_url: str) -> bool:
    """Move SQLite's log into the file, so that what was erased is not left there; False when it is busy."""
    if not is_sqlite(database_url):
        return True
    try:
        with closing(sqlite3.connect(sqlite_path(database_url), timeout=1)) as c:
            busy: int = c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return not busy
    except sqlite3.OperationalError:
        return False


def may_try_again(error: Exception) -> bool:
    """Tell whether a transaction failed because of another one (PostgreSQL; SQLite waits instead)."""
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in _TRY_AGAIN
    return isinstance(error, TryAgainError)


def is_database_failure(error: Exception) -> bool:
    """Tell a database that cannot be used from work that is wrong by itself."""
    if not isinstance(error, SQLAlchemyError) or may_try_again(error):
        return False
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return False
    return not isinstance(error, DataError | IntegrityError | ProgrammingError)
