"""The server is killed under load, again and again: what it acknowledged arrives, and counts once."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import REAL_LEASE, SHORT_LEASE, Ground, ground
from tests.support.fakes import Counted
from tests.support.harness import until
from tests.support.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def kill_again_and_again(folder: Path, rounds: int, seconds: float, seed: int) -> str:
    chance = random.Random(seed)
    ends_at = time.monotonic() + seconds
    async with ground(folder) as here:
        crashes = 0
        while crashes < rounds and (crashes < 3 or time.monotonic() < ends_at):
            server = Process(folder, here.url, lease_ms=SHORT_LEASE)
            try:
                await server.ready(here.client)
                over = asyncio.Event()
                load = asyncio.create_task(here.load(server, over))
                await asyncio.sleep(chance.uniform(0.05, 0.7))
            finally:
                server.kill()
                crashes += 1
            over.set()
            await load
        last = Process(folder, here.url, lease_ms=SHORT_LEASE)
        try:
            await last.ready(here.client)
            while len(here.acknowledged) <= 10 * crashes:  # as many as a quiet machine sends meanwhile
                await here.tell(last)
            await here.everything_arrived(120)
            answer = await here.client.post(
                f"{last.url}/actions/list_syncs", json={"status": "failed", "limit": 1}
            )
            assert answer.json()["items"] == []
        finally:
            assert last.terminate() in {0, -15}
        assert len(here.acknowledged) > 10 * crashes
        assert set(here.counted().values()) == {1}
        assert max(here.sends.values()) <= 1 + crashes
        assert max(here.sends.values()) > 1 or crashes < 10, "no kill ever hit a request"
        again = sum(number - 1 for number in here.sends.values())
        return (
            f"{crashes} kills: {len(here.acknowledged):,} webhooks acknowledged, {len(here.counted()):,} interviews "
            f"counted, none twice; {again:,} sends repeated"
        )


async def test_three_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path, counted: Counted) -> None:
    counted(await kill_again_and_again(tmp_path, rounds=3, seconds=25, seed=11))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3))
async def test_many_kills_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, seed: int, counted: Counted
) -> None:
    counted(await kill_again_and_again(tmp_path, rounds=60, seconds=600, seed=seed))


async def resumes(folder: Path, lease_ms: int, within: float) -> None:
    """Kill a server in the middle of a request and see how long its work lies still."""
    async with ground(folder) as here:
        await _fault(here, {"kind": "slow", "seconds": 60, "times": 1})
        first = Process(folder, here.url, lease_ms=lease_ms)
        try:
            await first.ready(here.client)
            for _ in range(5):
                await here.tell(first)

            async def struck() -> bool:
                return bool(here.sandbox.amplitude.faults.held)

            await until(struck)
        finally:
            first.kill()
        began = time.monotonic()
        second = Process(folder, here.url, lease_ms=lease_ms)
        try:
            await second.ready(here.client)
            await here.everything_arrived(within - (time.monotonic() - began))
            assert set(here.counted().values()) == {1}
        finally:
            second.kill()


async def _fault(here: Ground, fault: dict[str, Any]) -> None:
    answer = await here.client.post(f"{here.url}/control/amplitude/faults", json=fault)
    assert answer.status_code == 200


@pytest.mark.proof
async def test_work_resumes_soon_after_the_lease_of_a_dead_process(tmp_path: Path) -> None:
    await resumes(tmp_path, SHORT_LEASE, 12)


@pytest.mark.proof
async def test_work_resumes_within_40_seconds_of_a_kill(tmp_path: Path) -> None:
    await resumes(tmp_path, REAL_LEASE, 40)


async def test_two_processes_on_one_store_send_each_interview_once(tmp_path: Path) -> None:
    async with ground(tmp_path) as here:
        servers = [Process(tmp_path, here.url, lease_ms=REAL_LEASE) for _ in range(2)]
        try:
            for server in servers:
                await server.ready(here.client)
            await asyncio.gather(*(here.tell(servers[n % 2]) for n in range(200)))
            await here.everything_arrived(60)
            assert len(here.acknowledged) == 200
            assert set(here.counted().values()) == {1}
            assert max(here.sends.values()) == 1
        finally:
            for server in servers:
                server.kill()


async def test_what_one_process_acknowledged_the_other_sends_after_a_kill(tmp_path: Path) -> None:
    async with ground(tmp_path) as here:
        first, second = (Process(tmp_path, here.url, lease_ms=SHORT_LEASE) for _ in range(2))
        try:
            await first.ready(here.client)
            await second.ready(here.client)
            await asyncio.gather(*(here.tell((first, second)[n % 2]) for n in range(60)))
            first.kill()
            await asyncio.gather(*(here.tell(second) for _ in range(20)))
            await here.everything_arrived(60)
            assert set(here.counted().values()) == {1}
            assert max(here.sends.values()) <= 2
        finally:
            second.kill()
