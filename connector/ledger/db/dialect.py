"""Set up SQLite and PostgreSQL: engines, locks, logs, and the errors of both drivers."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
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
_MIGRATION_LOCK, _PEOPLE_LOCK, _SUPPRESSION_LOCK, _HOOK_LOCK = range(7_052_011, 7_052_015)  # any will do
# a process that stops in the middle of a transaction must not keep its rows locked for ever
_POSTGRES_LIMITS = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'"
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock timeout


class TryAgainError(Exception):
    """Another process changed the rows that this transaction had read."""


def is_sqlite(database_url: str) -> bool:
    """Tell whether a URL names a SQLite file."""
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
    """Return an engine for one connection that reads without waiting, or None on PostgreSQL."""
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
    """Switch to a write-ahead log. When several processes open a new file at once, all but one wait.

    While another connection is switching, SQLite refuses at once, whatever its timeout. Raises
    `sqlite3.OperationalError` after 30 s.
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
    """Create the file for its owner alone, unless it exists. Raises `SettingsError` for an old SQLite."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise SettingsError(
            f"DATABASE_URL: this Python is linked to SQLite {sqlite3.sqlite_version}, 3.35 is the oldest; "
            "use a newer Python or postgresql://user@host/name"
        )
    path = sqlite_path(database_url)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def lock_for_migration(c: Connection) -> None:
    """Lock the database against other processes' migrations until the transaction ends."""
    if c.dialect.name == "postgresql":
        c.exec_driver_sql("SET LOCAL lock_timeout = 0")  # an upgrade may take long
    _lock(c, _MIGRATION_LOCK)


# On PostgreSQL several processes write at once. So that no two wait for each other, every transaction locks
# in one order: its lane; the people; the suppressions; launches, then invitations, by id; or syncs by key,
# their counters, webhooks by id; at last hook deliveries by number. A revision of syncs, which locks launches
# last, shares the suppressions; an erasure, which locks launches first, has the suppressions alone. Pruning
# skips locked rows.


def lock_people(c: Connection) -> None:
    """Lock the aliases of all persons until the transaction ends."""
    _lock(c, _PEOPLE_LOCK)


def lock_suppressions(c: Connection) -> None:
    """Let no decision over an interview be stored until this transaction, which erases a person, ends."""
    _lock(c, _SUPPRESSION_LOCK)


def share_suppressions(c: Connection) -> None:
    """Let no erasure begin until this transaction ends."""
    _lock(c, _SUPPRESSION_LOCK, "_shared")


def lock_hooks(c: Connection) -> None:
    """Let no other subscription be made until the transaction ends: they are counted."""
    _lock(c, _HOOK_LOCK)


def _lock(c: Connection, number: int, how: str = "") -> None:
    if c.dialect.name == "postgresql":  # SQLite has one writer
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock{how}({number})")


def touch(c: Connection) -> None:
    """Wait for locks that would keep a transaction from writing to any table."""
    if c.dialect.name == "postgresql":  # SQLite has taken its one lock at the beginning
        tables = inspect(c).get_table_names()
        c.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ROW EXCLUSIVE MODE")


def back_up(database_url: str, version: str) -> None:
    """Copy a SQLite file beside itself before its schema changes; PostgreSQL is left to its owner."""
    if not is_sqlite(database_url):
        return
    path = sqlite_path(database_url)
    copy = path.with_name(f"{path.name}.before-version-{version}")
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def empty_log(database_url: str) -> bool:
    """Move SQLite's log into the file, so that it keeps no erased values; False when it is in use."""
    if not is_sqlite(database_url):
        return True
    try:
        with closing(sqlite3.connect(sqlite_path(database_url), timeout=1)) as c:
            busy: int = c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return not busy
    except sqlite3.OperationalError:
        return False


def may_try_again(error: Exception) -> bool:
    """Tell whether a transaction failed because of another one (on PostgreSQL; SQLite waits)."""
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in _TRY_AGAIN
    return isinstance(error, TryAgainError)


def is_database_failure(error: Exception) -> bool:
    """Tell whether the database cannot be used; False when the statement itself is wrong."""
    if not isinstance(error, SQLAlchemyError) or may_try_again(error):
        return False
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return False
    return not isinstance(error, DataError | IntegrityError | ProgrammingError)
