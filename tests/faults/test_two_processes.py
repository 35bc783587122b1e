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

import pytest

from connector.domain.results.interview import SyncStatus
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from tests.support.fakes import NOW, Counted, a_settlement, a_sync, a_webhook

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SEALER = Sealer([b"k" * 32])
LANE = "amplitude:1"
SHARED = [f"shared_{number}" for number in range(20)]
WORKERS = 8


async def work(database_url: str, name: str) -> None:
    """Accept, count up shared syncs and tell on standard output what was acknowledged, until killed."""
    ledger = await open_ledger(database_url, SEALER)
    print("key", ledger.keyed_hash("ada@example.com"), flush=True)
    lease = await ledger.leases.acquire(LANE, name, NOW, 30_000)
    print("lane", "taken" if lease else "held", flush=True)
    await asyncio.gather(
        *(_accept(ledger, f"{name}_{number}") for number in range(WORKERS)), _count_up(ledger)
    )


async def _accept(ledger: Ledger, name: str) -> None:
    number = 0
    while True:
        number += 1
        await ledger.inbox.accept(a_webhook(f"{name}_{number}", digest=f"{name}_{number}"))
        print("accepted", f"{name}_{number}", flush=True)


async def _count_up(ledger: Ledger) -> None:
    """Change the same syncs as the other process, each time in another order."""
    order = list(SHARED)

    def revise(found: Mapping[tuple[str, str], Sync], _: People) -> Sequence[Sync]:
        present = [found.get(("default", one), a_sync(one, stage=None)) for one in order]
        return [one._replace(reads=one.reads + 1) for one in present]

    while True:
        order.append(order.pop(0))
        await ledger.syncs.revise([("default", one) for one in order], revise)
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


async def test_nothing_acknowledged_is_lost_by_a_kill(database_url: str, counted: Counted) -> None:
    processes = [await start(database_url, name) for name in ("one", "two")]
    first, second = await asyncio.gather(listen(processes[0], 300, 10), listen(processes[1], 900, 30))
    ledger = await open_ledger(database_url, SEALER)
    try:
        assert first[0] == second[0] == ("key", ledger.keyed_hash("ada@example.com"))
        assert sorted([first[1][1], second[1][1]]) == ["held", "taken"]
        for kind, what in first + second:
            if kind == "accepted":
                assert await ledger.inbox.received("default", what), what
        changes = sum(kind == "counted" for kind, _ in first + second)
        reads = {one.reads for name in SHARED if (one := await ledger.syncs.find("default", name))}
        # all or nothing: every sync was counted up alike, at least as often as anybody was told
        assert len(reads) == 1
        assert reads.pop() >= changes
        assert await ledger.counters.totals("default") == {("pending", ""): len(SHARED)}
        accepted = sum(kind == "accepted" for kind, _ in first + second)
        counted(
            f"2 kills: {accepted:,} webhooks told as stored, all found; {changes:,} changes of 20 shared syncs"
        )
    finally:
        await ledger.close()


async def test_the_lane_of_a_killed_owner_is_taken_over(ledger: Ledger, database_url: str) -> None:
    await ledger.syncs.revise([("default", "int_1")], lambda *_: [a_sync()])
    dead = await ledger.leases.acquire(LANE, "me", NOW, 30_000)
    assert dead is not None
    [sent] = await ledger.sending.begin(dead, ["default"], NOW, 10)
    process = await start(database_url, "heir")
    told = await listen(process, 1, 0)
    assert ("lane", "held") in told
    heir = await ledger.leases.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    assert await ledger.sending.recover(heir, ["default"], NOW + 30_001) == 1
    [again] = await ledger.sending.begin(heir, ["default"], NOW + 30_001, 10)
    assert (again.sync.unknown_since, again.sync.event) == (NOW, sent.sync.event)
    await ledger.sending.settle(heir, [a_settlement(again.sync)], NOW, 0)
    stored = await ledger.syncs.find("default", "int_1")
    assert stored is not None
    assert stored.status is SyncStatus.SYNCED


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:3]))
