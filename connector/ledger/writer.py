"""One thread that writes: everything that queued up during the last commit becomes the next transaction.

Group commit makes a durable acknowledgement cheap: one `fsync` answers all callers that were waiting for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from connector.errors import StoreUnavailable
from connector.ledger import inbox
from connector.ports import Delivery

T = TypeVar("T")
QUEUE_LIMIT = 10_000
GROUP_LIMIT = 1_000
_log = structlog.get_logger(__name__)


class Writer:
    """Runs writes of one process in groups; each caller is answered after the commit that holds its write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: deque[tuple[Delivery | Callable[[Connection], Any], asyncio.Future[Any]]] = deque()
        self._wake = threading.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Delivery | Callable[[Connection], Any]) -> asyncio.Future[Any]:
        """Queue one write. Raises `StoreUnavailable` when the queue is full or the writer is closed."""
        if self._closed or len(self._queue) >= QUEUE_LIMIT:
            raise StoreUnavailable("The store cannot keep up; call again in a few seconds.", retry_after=2)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append((work, future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Finish the group that is open, then end the thread."""
        self._closed = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
                results = self._commit([work for work, _ in group])
                self._loop.call_soon_threadsafe(_answer, [future for _, future in group], results)
            if self._closed:
                return

    def _commit(self, works: list[Delivery | Callable[[Connection], Any]]) -> list[Any]:
        """Return one result or exception for each piece of work, none before the commit."""
        try:
            with self._engine.begin() as connection:
                return self._perform(connection, works)
        except SQLAlchemyError as error:
            _log.error("store_write_failed", error=type(error).__name__, cause=type(error.__cause__).__name__)
            failure = StoreUnavailable("The store cannot be written now; call again in a few seconds.", retry_after=5)
            return [failure] * len(works)

    def _perform(self, connection: Connection, works: list[Delivery | Callable[[Connection], Any]]) -> list[Any]:
        results: list[Any] = [None] * len(works)
        deliveries = [(i, work) for i, work in enumerate(works) if isinstance(work, Delivery)]
        if deliveries:
            stored = inbox.accept(connection, [delivery for _, delivery in deliveries])
            for (i, _), fresh in zip(deliveries, stored, strict=True):
                results[i] = fresh
        for i, work in enumerate(works):
            if isinstance(work, Delivery):
                continue
            try:
                with connection.begin_nested():
                    results[i] = work(connection)
            except SQLAlchemyError:
                raise
            except Exception as error:  # noqa: BLE001 - one caller's refusal must not undo the others' writes
                results[i] = error
        return results


def _answer(futures: list[asyncio.Future[Any]], results: list[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
