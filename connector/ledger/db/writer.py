"""One thread that writes: whatever is queued during a commit becomes the next transaction.

Group commit makes a durable acknowledgement cheap: one `fsync` serves all callers that wait for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from connector.domain.results.sync import InboundWebhook
from connector.errors import LedgerUnavailable
from connector.ledger.db.dialect import TryAgainError, is_database_failure, may_try_again
from connector.ledger.db.notices import notify

ACCEPT_SECONDS = 8.0
_SWEEP_SECONDS = 0.5
_LATE = "The ledger did not take it in time; send it again in a few seconds."
QUEUE_LIMIT: Final = 10_000  # webhooks that wait
QUEUE_SIZE: Final = 64 * 1024 * 1024  # characters of their bodies
_GROUP_LIMIT = 1_000  # webhooks in one transaction
_OTHERS_LIMIT = 4  # other writes in one transaction
_GROUP_SIZE = 8 * 1024 * 1024  # characters
_PAUSES = (0.02, 0.1, 0.5)  # seconds before work that another transaction stopped is tried again
_log = structlog.get_logger(__name__)

Work = InboundWebhook | Callable[[Connection], Any]
Accept = Callable[[Connection, Sequence[InboundWebhook]], Sequence[bool]]
_Queue = deque[tuple[Work, asyncio.Future[Any]]]


class Writer:
    """The writer of one process: runs writes in groups, and answers each caller after the commit.

    Webhooks and other work take turns, in transactions of their own, so that a webhook's sender waits for
    little of a worker's work. Work may run more than once; transactions before the last are rolled back.

    Work that waited for `ACCEPT_SECONDS` is given up, and does not happen unless its transaction had begun.
    From then on, while the database lets no transaction end, further work is refused at once: callers make
    several writes, and wait for all of them no longer than for one.

    On PostgreSQL, where other processes write too, each piece of other work is a transaction of its own: all
    transactions lock rows in one order, which two pieces in one transaction would break.
    """

    def __init__(self, engine: Engine, accept: Accept) -> None:
        """Start the thread. `accept` stores webhooks and returns for each whether it was new."""
        self._engine = engine
        self._others_limit = _OTHERS_LIMIT if engine.dialect.name == "sqlite" else 1
        self._accept = accept
        self._webhooks: _Queue = deque()
        self._others: _Queue = deque()
        self._notices: deque[str] = deque()
        self._waiting = 0
        self._size = 0
        self._wake = threading.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._promised: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._working = self._late = False
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._give_up_late)
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work, *, patient: bool = False) -> asyncio.Future[Any]:
        """Queue a write; `patient` work, that of a lane's owner, waits as long as it takes.

        A worker that cannot settle its sends would have to take them for lost. Raises `LedgerUnavailable`
        after `close`, while the database is stuck, and for a webhook when the queue is full. Other work has
        no such limit: there is no more of it than callers wait for.
        """
        if self._closed:
            raise LedgerUnavailable(
                "The ledger is closed; call again when the connector is up.", retry_after=5
            )
        if self._late and self._working and not patient:
            raise LedgerUnavailable(_LATE, retry_after=5)
        if isinstance(work, InboundWebhook):
            if self._waiting >= QUEUE_LIMIT or self._size >= QUEUE_SIZE:
                raise LedgerUnavailable(
                    "The ledger cannot keep up; call again in a few seconds.", retry_after=2
                )
            self._waiting += 1
            self._size += _size(work)
        future: asyncio.Future[Any] = self._loop.create_future()
        if not patient:
            self._promised.append((self._loop.time() + ACCEPT_SECONDS, future))
        if isinstance(work, InboundWebhook):
            self._webhooks.append((work, future))
        else:
            self._others.append((lambda c: None if _is_given_up(future) else work(c), future))
        self._wake.set()
        return future

    def announce(self, kinds: Iterable[str]) -> None:
        """Tell workers of these kinds in other processes that there may be work; on PostgreSQL, soon.

        All that is announced during a commit is one notice.
        """
        if self._engine.dialect.name != "sqlite":
            self._notices.extend(kinds)
            self._wake.set()

    async def close(self) -> None:
        """Commit the queued writes, then end the thread."""
        self._closed = True
        self._sweep.cancel()
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    def _give_up_late(self) -> None:
        """Give up work that waited too long. A webhook may still be stored; a repetition is recognised."""
        now = self._loop.time()
        while self._promised and (self._promised[0][0] <= now or self._promised[0][1].done()):
            _, future = self._promised.popleft()
            if not future.done():
                self._late = True
                future.set_exception(LedgerUnavailable(_LATE, retry_after=5))
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._give_up_late)

    def _run(self) -> None:
        closed = False
        while not closed:
            self._wake.wait()
            self._wake.clear()
            closed = self._closed  # read first: nothing is queued after it is set
            self._working = True
            while self._webhooks or self._others or self._notices:
                self._commit_some(self._webhooks, _GROUP_LIMIT)
                self._commit_some(self._others, self._others_limit)
                self._notify()
            self._working = False

    def _commit_some(self, queue: _Queue, limit: int) -> None:
        works: list[Work] = []
        futures: list[asyncio.Future[Any]] = []
        size = 0
        while queue and len(works) < limit and size < _GROUP_SIZE:
            work, future = queue.popleft()
            works.append(work)
            futures.append(future)
            size += _size(work)
        if works:
            results = self._commit(works)
            self._loop.call_soon_threadsafe(self._answer, works, futures, results)

    def _notify(self) -> None:
        kinds: set[str] = set()
        while self._notices:
            kinds.add(self._notices.popleft())
        if kinds:
            with suppress(SQLAlchemyError), self._engine.begin() as c:  # a lost notice only delays work
                notify(c, kinds)

    def _commit(self, works: list[Work]) -> list[Any]:
        """Return one result or exception for each write, after its commit.

        When one write fails, its group is committed in halves, so that the others do not fail with it.
        """
        try:
            return self._transaction(works)
        except Exception as error:  # noqa: BLE001 - any exception is for the caller, not for this thread
            if is_database_failure(error):
                return [_for_caller(error)] * len(works)
            if len(works) == 1:
                return [self._again(works[0], error)]
        middle = len(works) // 2
        return self._commit(works[:middle]) + self._commit(works[middle:])

    def _again(self, work: Work, error: Exception) -> Any:
        """Try work again that another transaction stopped; return its result, or the exception."""
        for pause in _PAUSES:
            if not may_try_again(error):
                break
            time.sleep(pause)
            try:
                return self._transaction([work])[0]
            except Exception as another:  # noqa: BLE001 - the same
                error = another
        return _for_caller(error)

    def _transaction(self, works: list[Work]) -> list[Any]:
        with self._engine.begin() as c:
            webhooks = [work for work in works if isinstance(work, InboundWebhook)]
            stored = iter(self._accept(c, webhooks) if webhooks else ())
            results = [next(stored) if isinstance(work, InboundWebhook) else work(c) for work in works]
        self._late = False
        return results

    def _answer(self, works: list[Work], futures: list[asyncio.Future[Any]], results: list[Any]) -> None:
        for work, future, result in zip(works, futures, results, strict=True):
            if isinstance(work, InboundWebhook):
                self._waiting -= 1
                self._size -= _size(work)
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _is_given_up(future: asyncio.Future[Any]) -> bool:
    """Tell whether a caller was told that its write does not happen; one that hung up was told nothing."""
    return future.done() and not future.cancelled()


def _size(work: Work) -> int:
    return len(work.body or "") if isinstance(work, InboundWebhook) else 0


def _for_caller(error: Exception) -> Exception:
    """Return the exception for the caller: never the database's own, whose message quotes data."""
    if not isinstance(error, SQLAlchemyError | TryAgainError):
        return error
    cause = getattr(error, "orig", None)
    _log.error(
        "ledger_write_failed",
        error=type(error).__name__,
        cause=type(cause).__name__,
        sqlstate=getattr(cause, "sqlstate", None),
    )
    return LedgerUnavailable("The ledger cannot be written now; call again in a few seconds.", retry_after=5)
