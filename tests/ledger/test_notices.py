"""A process wakes an idle worker of another one over PostgreSQL, also after its connections were cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import psycopg
import pytest

from connector.clock import SystemClock
from connector.errors import LedgerUnavailable
from connector.ledger.db.notices import listening
from connector.ledger.ledger import Ledger
from connector.workers import runner as module
from connector.workers.base import Worker
from connector.workers.runner import Runner
from tests.support.cluster import CUT

pytestmark = [
    pytest.mark.contract,
    pytest.mark.postgres,
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]


class Counting:
    """A worker without work, which counts how often it looks for some."""

    name = "koji:1"

    def __init__(self) -> None:
        self.looked = asyncio.Semaphore(0)

    async def recall(self) -> None:
        """Nothing failed."""

    async def recover(self, _lease: object) -> None:
        """Nothing is left of another owner."""

    async def succeeded(self, _job: str) -> None:
        """Nothing is to be forgotten."""

    async def drain(self, _lease: object) -> None:
        self.looked.release()

    async def looks(self) -> None:
        """Wait until it looked once more, much less long than it would by itself."""
        async with asyncio.timeout(60):
            await self.looked.acquire()


@dataclass
class Process:
    """The runner of one process, with what it heard."""

    runner: Runner
    heard: asyncio.Queue[list[str]]

    async def hears(self, *kinds: str) -> None:
        """Wait for a notice of these kinds; earlier ones count as heard."""
        async with asyncio.timeout(60):
            while await self.heard.get() != list(kinds):
                pass


@asynccontextmanager
async def working(ledger: Ledger, url: str, worker: Counting) -> AsyncIterator[Process]:
    runner = Runner(ledger.leases, SystemClock(), asyncio.Event())
    process = Process(runner, asyncio.Queue())

    def heard(kinds: Collection[str]) -> None:
        process.heard.put_nowait([*kinds])
        runner.heard(kinds)

    runner.start([cast("Worker", worker)])
    async with listening(url, heard):
        try:
            await process.hears("all")
            yield process
        finally:
            await runner.stop()


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker look for work by itself once an hour."""
    monkeypatch.setattr(module, "_POLL", 3600.0)


async def test_a_wake_reaches_the_worker_of_another_process(
    ledger: Ledger, other_ledger: Ledger, postgres_url: str
) -> None:
    worker = Counting()
    web = Runner(other_ledger.leases, SystemClock(), asyncio.Event())

    async def wakes() -> None:
        # it looked for itself as it began to listen: more often than it may have done so
        for _ in range(5):
            web.wake("koji", "intake")
            await process.hears("intake", "koji")
            await worker.looks()

    async with working(ledger, postgres_url, worker) as process:
        await worker.looks()
        await wakes()
        with psycopg.connect(postgres_url, autocommit=True) as cutting:
            assert cutting.execute(CUT).fetchall()
        await process.hears("all")
        await wakes()


async def test_a_lane_that_is_released_is_taken_over_at_once(
    ledger: Ledger, other_ledger: Ledger, postgres_url: str
) -> None:
    owner, heir = Counting(), Counting()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(working(ledger, postgres_url, owner))
        await owner.looks()
        second = await stack.enter_async_context(working(other_ledger, postgres_url, heir))
        second.runner.wake("koji")  # the lane is elsewhere
        await first.hears("koji")
        assert heir.looked.locked()
        await first.runner.stop()
        await heir.looks()


class Interrupted(Counting):
    """A worker whose connection is cut the first time."""

    cut = False

    async def drain(self, lease: object) -> None:
        if not self.cut:
            self.cut = True
            raise LedgerUnavailable("cut", retry_after=5)
        await super().drain(lease)

    def later(self, _tries: int) -> int:
        return 0

    async def failed(self, _job: str, _connection: str, error: Exception, _later: object) -> None:
        raise error


async def test_a_worker_that_was_interrupted_goes_on_once_the_database_is_back(
    ledger: Ledger, postgres_url: str
) -> None:
    worker = Interrupted()
    async with working(ledger, postgres_url, worker) as process:
        async with asyncio.timeout(60):
            while worker.looked.locked():
                process.runner.wake("koji")
                await asyncio.sleep(0.01)


async def test_what_is_announced_during_a_commit_is_one_notice(ledger: Ledger, postgres_url: str) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        begun.set()
        assert go.wait(60)

    with psycopg.connect(postgres_url, autocommit=True) as listener:
        listener.execute("LISTEN koji_amplitude")
        writing = asyncio.create_task(ledger.db.write(slow))
        await asyncio.to_thread(begun.wait, 60)
        for kind in ("koji", "intake", "koji") * 20:
            ledger.leases.announce([kind])
        go.set()
        await writing
        ledger.leases.announce(["end"])
        payloads: list[str] = []
        for notice in listener.notifies(timeout=60):
            payloads.append(notice.payload)
            if "end" in notice.payload:
                break
    assert payloads in (["intake,koji", "end"], ["end,intake,koji"])
