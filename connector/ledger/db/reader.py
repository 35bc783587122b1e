"""A few threads that read beside the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import StoreUnavailable
from connector.ledger.db.dialect import glance_engine, reader_engine

T = TypeVar("T")
_THREADS = 4
_UNREADABLE = "The store cannot be read now; call again in a few seconds."
_log = structlog.get_logger(__name__)


class Reader:
    """Runs queries of one process, each on a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self._engine = reader_engine(database_url, _THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger-reader")
        self._glances = glance_engine(database_url)
        self._at_hand: Connection | None = None
        self._closed = False

    async def run(self, query: Callable[[Connection], T]) -> T:
        """Return what a query finds. Raises `StoreUnavailable` when the database cannot be read."""
        if self._closed:
            raise StoreUnavailable(_UNREADABLE, retry_after=5)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._connected, query)
        except SQLAlchemyError as error:
            # not the cause itself: a database's words quote data
            _log.error("store_read_failed", error=type(error).__name__)
            raise StoreUnavailable(_UNREADABLE, retry_after=5) from None

    async def glance(self, query: Callable[[Connection], T]) -> T:
        """Return what a query of a few rows by key finds, without a thread where that is possible.

        Such a query on SQLite takes a tenth of the way to a thread and back. The connection holds no
        transaction and never waits: when the file is not free at once, a thread reads. Raises as `run`.
        """
        if self._glances is not None and not self._closed:
            with suppress(SQLAlchemyError):
                if self._at_hand is None:
                    self._at_hand = self._glances.connect()
                return query(self._at_hand)
        return await self.run(query)

    def _connected(self, query: Callable[[Connection], T]) -> T:
        with self._engine.connect() as c:
            return query(c)

    def close(self) -> None:
        """Finish what is being read, then let go of the database."""
        self._closed = True
        self._threads.shutdown(wait=True)
        self._engine.dispose()
        if self._at_hand is not None:
            self._at_hand.close()
        if self._glances is not None:
            self._glances.dispose()
