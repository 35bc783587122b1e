"""Threads that read beside the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import LedgerUnavailable
from connector.ledger.db import writer
from connector.ledger.db.dialect import glance_engine, reader_engine

T = TypeVar("T")
_THREADS = 4
_UNREADABLE = "The ledger cannot be read now; call again in a few seconds."
_log = structlog.get_logger(__name__)


class Reader:
    """The readers of one process, each query on a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self._engine = reader_engine(database_url, _THREADS)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger-reader")
        self._glances = glance_engine(database_url)
        self._glancing: Connection | None = None
        self._closed = False

    async def run(self, query: Callable[[Connection], T]) -> T:
        """Run a query and return its result.

        Raises `LedgerUnavailable` when the database cannot be read, or gives no answer in time.
        """
        if self._closed:
            raise LedgerUnavailable(_UNREADABLE, retry_after=5)
        try:
            async with asyncio.timeout(writer.ACCEPT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._connected, query)
        except (SQLAlchemyError, TimeoutError) as error:
            # not the error's message: it quotes data
            _log.error("ledger_read_failed", error=type(error).__name__)
            raise LedgerUnavailable(_UNREADABLE, retry_after=5) from None

    async def glance(self, query: Callable[[Connection], T]) -> T:
        """Run a query of a few rows by key, on SQLite without a thread.

        On SQLite such a query takes a tenth of the time that a thread costs. Its connection holds no
        transaction and never waits: when the file is in use, a thread reads. Raises as `run`.
        """
        if self._glances is not None and not self._closed:
            with suppress(SQLAlchemyError):
                if self._glancing is None:
                    self._glancing = self._glances.connect()
                return query(self._glancing)
        return await self.run(query)

    def _connected(self, query: Callable[[Connection], T]) -> T:
        with self._engine.connect() as c:
            return query(c)

    def close(self) -> None:
        """Finish the running queries, then close the connections."""
        self._closed = True
        self._threads.shutdown(wait=True)
        self._engine.dispose()
        if self._glancing is not None:
            self._glancing.close()
        if self._glances is not None:
            self._glances.dispose()
