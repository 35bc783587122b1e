"""Wake the workers of other processes on PostgreSQL, with NOTIFY and LISTEN.

A notice only shortens a wait: a worker asks for work every 2 s anyway, and nothing depends on a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from connector.ledger.db.dialect import is_sqlite

ALL: Final = "all"
"""The kind that stands for workers of every kind."""
FREE: Final = "free"
"""The kind that stands for workers whose lane another process had: it may be free now."""
_CHANNEL = "koji_amplitude"
_SEPARATOR = ","
_RETRY_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
_OPTIONS = {
    "application_name": "koji-amplitude",
    "connect_timeout": "10",
    # a connection that a network dropped without a word is noticed after about 10 s
    "keepalives_idle": "4",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
_log = structlog.get_logger(__name__)


def notify(c: Connection, kinds: Collection[str]) -> None:
    """Tell the listeners of all processes, once the transaction is committed."""
    # PostgreSQL commits one notifying transaction at a time: this one, which may be lost, waits for no disk
    c.exec_driver_sql("SET LOCAL synchronous_commit = off")
    told = {"channel": _CHANNEL, "kinds": _SEPARATOR.join(sorted(kinds))}
    c.execute(text("SELECT pg_notify(:channel, :kinds)"), told)


@asynccontextmanager
async def listening(database_url: str, heard: Callable[[Collection[str]], None]) -> AsyncIterator[None]:
    """Call `heard` with the kinds of each notice. On SQLite there are no notices."""
    if is_sqlite(database_url):
        yield
        return
    task = asyncio.create_task(_listen(database_url, heard), name="listen for notices")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(database_url: str, heard: Callable[[Collection[str]], None]) -> None:
    """Listen, and connect again as long as it takes. An event loop that psycopg cannot use hears nothing."""
    import psycopg  # noqa: PLC0415 - SQLite does without

    url = make_url(database_url).set(drivername="postgresql").update_query_dict(_OPTIONS)
    dsn = url.render_as_string(hide_password=False)
    failures = 0
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                await connection.execute(f"LISTEN {_CHANNEL}")
                failures = 0
                heard([ALL])  # what was told before is unknown
                async for notice in connection.notifies():
                    heard(notice.payload.split(_SEPARATOR))
        except psycopg.Error as error:
            if not failures:
                _log.warning("notices_interrupted", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1
