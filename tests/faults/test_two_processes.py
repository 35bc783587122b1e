"""Two processes on one ledger: both work, one is killed, nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import Sync
from connector.ledger.ledger import Book, open_book
from connector.security.sealing import Sealer
from tests.fakes import NOW, a_delivery, a_settlement, a_sync

ROOT = Path(__file__).resolve().parents[2]
SEALER = Sealer([b"k" * 32])
LANE = "amplitude:1"
SHARED = [f"shared_{number}" for number in range(20)]
WORKERS = 8


async def work(database_url: str, name: str) -> None:
    """Accept, count up shared syncs and tell on standard output what was acknowledged, until killed."""
    book = await open_book(database_url, SEALER.seal, SEALER.open)
    print("key", book.hash_user("ada@example.com"), flush=True)
    lease = await book.acquire(LANE, name, NOW, 30_000)
    print("lane", "taken" if lease else "held", flush=True)
    await asyncio.gather(*(_accept(book, f"{name}_{number}") for number in range(WORKERS)), _count_up(book))


async def _accept(book: Book, name: str) -> None:
    number = 0
    while True:
        number += 1
        await book.accept(a_delivery(f"{name}_{number}", digest=f"{name}_{number}"))
        print("accepted", f"{name}_{number}", flush=True)


async def _count_up(book: Book) -> None:
    """Change the same syncs as the other process, each time in another order."""
    order = list(SHARED)

    def revise(found: Mapping[tuple[str, str], Sync]) -> Sequence[Sync]:
        present = [found.get(("default", one), a_sync(one, stage=None)) for one in order]
        return [one._replace(reads=one.reads + 1) for one in present]

    while True:
        order.append(order.pop(0))
        await book.revise([("default", one) for one in order], revise)
        print("counted", "all", flush=True)


async def start(database_url: str, name: str) -> Process:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, database_url, name, stdout=PIPE, env=environment, cwd=ROOT
    )


async def listen(process: Process, accepted: int, counted: int) -> list[tuple[str, str]]:
    """Read what a process tells until it told enough, kill it, and read what it had told by then."""
    assert process.stdout is not None
    told: list[tuple[str, str]] = []
    heard: Counter[str] = Counter()
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            if not line.endswith(b"\n"):
                break
            kind, _, what = line.decode().strip().partition(" ")
            told.append((kind, what))
            heard[kind] += 1
            if process.returncode is None and heard["accepted"] >= accepted and heard["counted"] >= counted:
                accepted = sys.maxsize
                process.send_signal(signal.SIGKILL)
    await process.wait()
    return told


async def test_nothing_acknowledged_is_lost_by_a_kill(database_url: str) -> None:
    processes = [await start(database_url, name) for name in ("one", "two")]
    first, second = await asyncio.gather(listen(processes[0], 300, 10), listen(processes[1], 900, 30))
    book = await open_book(database_url, SEALER.seal, SEALER.open)
    try:
        assert first[0] == second[0] == ("key", book.hash_user("ada@example.com"))
        assert sorted([first[1][1], second[1][1]]) == ["held", "taken"]
        for kind, what in first + second:
            if kind == "accepted":
                assert await book.received("default", what), what
        counted = sum(kind == "counted" for kind, _ in first + second)
        reads = {one.reads for name in SHARED if (one := await book.find("default", name))}
        # all or nothing: every sync was counted up alike, at least as often as anybody was told
        assert len(reads) == 1
        assert reads.pop() >= counted
        assert await book.totals("default") == {("pending", ""): len(SHARED)}
    finally:
        await book.close()


async def test_the_lane_of_a_killed_owner_is_taken_over(book: Book, database_url: str) -> None:
    await book.revise([("default", "int_1")], lambda _: [a_sync()])
    dead = await book.acquire(LANE, "me", NOW, 30_000)
    assert dead is not None
    [sent] = await book.begin_send(dead, ["default"], NOW, 10)
    process = await start(database_url, "heir")
    told = await listen(process, 1, 0)
    assert ("lane", "held") in told
    heir = await book.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    assert await book.recover_sends(heir, ["default"], NOW + 30_001) == 1
    [again] = await book.begin_send(heir, ["default"], NOW + 30_001, 10)
    assert (again.sync.unknown_since, again.sync.event) == (NOW, sent.sync.event)
    await book.settle(heir, [a_settlement(again.sync)], NOW, 0)
    stored = await book.find("default", "int_1")
    assert stored is not None
    assert stored.status is SyncStatus.SYNCED


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:3]))
