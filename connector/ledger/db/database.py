"""The database of one process: the writer's transactions, queries beside it, and emptying SQLite's log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

from sqlalchemy import Connection

from connector.domain.results.sync import InboundWebhook
from connector.ledger.db.dialect import empty_log, writer_engine
from connector.ledger.db.reader import Reader
from connector.ledger.db.writer import Accept, Writer

T = TypeVar("T")
_LOG_KEPT = 1.0  # seconds


class Database:
    """Access to the database. Every method but `close` raises `LedgerUnavailable` when it cannot be used."""

    def __init__(self, url: str, accept: Accept) -> None:
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._write_engine = writer_engine(url)
        self._writer = Writer(self._write_engine, accept)
        self.announce = self._writer.announce
        self._reader = Reader(url)
        self.read = self._reader.run
        self.glance = self._reader.glance
        self._emptying: asyncio.Task[None] | None = None
        self._is_log_stale = False

    async def close(self) -> None:
        """Commit the queued writes, then close the connections."""
        await self._writer.close()
        if self._emptying is not None:
            self._emptying.cancel()  # closing the last connection empties the log
        self._write_engine.dispose()
        await asyncio.to_thread(self._reader.close)

    async def accept(self, webhook: InboundWebhook) -> bool:
        """Store a webhook, many in one transaction; return after the commit whether it was new."""
        return cast("bool", await self._writer.submit(webhook))

    async def write(self, work: Callable[[Connection], T], *, patient: bool = False) -> T:
        """Run work in a transaction of the writer's thread; return after its commit.

        Work may run more than once; the transactions before the last one are rolled back. `patient` work is
        never given up.
        """
        return cast("T", await self._writer.submit(work, patient=patient))

    async def empty_log_now(self) -> bool:
        """Remove erased values from SQLite's log now; False when the log is in use."""
        return await asyncio.to_thread(empty_log, self._url)

    def empty_log(self) -> None:
        """Remove erased values from SQLite's log soon, so that the files do not hold them.

        The transaction that erases may call this: the log is emptied after its end.
        """
        self._loop.call_soon_threadsafe(self._empty_soon)

    def _empty_soon(self) -> None:
        self._is_log_stale = True
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._empty_log(), name="empty log")

    async def _empty_log(self) -> None:
        while self._is_log_stale:
            await asyncio.sleep(_LOG_KEPT)  # erasures of this time need no run of their own
            self._is_log_stale = False
            self._is_log_stale = not await self.empty_log_now() or self._is_log_stale
