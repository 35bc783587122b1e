"""Two processes that answer HTTP and two that work, on one PostgreSQL: any of them may be killed, stopped or paused."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.faults.ground import OPTIONS, REAL_LEASE, SHORT_LEASE, Ground, ground
from tests.support.cluster import CUT, PEERS, deadlocks, owners
from tests.support.fakes import Counted
from tests.support.harness import until
from tests.support.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.slow]
ROLES = ("web", "web", "work", "work")


class Cluster:
    """Processes on one database; those that answer HTTP share the webhooks."""

    def __init__(self, here: Ground, url: str, lease_ms: int) -> None:
        self.here, self.url, self._lease_ms = here, url, lease_ms
        self.processes: list[Process] = []

    async def start(self, *roles: str) -> None:
        """Start a process for each role."""
        started = [self.process(role) for role in roles]
        self.processes += started
        await asyncio.gather(*(one.ready(self.here.client) for one in started if one.role != "work"))

    def process(self, role: str) -> Process:
        more = {**PEERS, "DATABASE_URL": self.url, "KOJI_PROJECT_ID": OPTIONS.koji_project_id}
        return Process(self.here.folder, self.here.url, lease_ms=self._lease_ms, more=more, role=role)

    async def replace(self, at: int) -> None:
        """Kill a process, and start another in its place."""
        self.processes[at].kill()
        self.processes[at] = self.process(ROLES[at])
        if self.processes[at].role == "web":
            await self.processes[at].ready(self.here.client)

    async def working(self) -> int:
        """Wait until a process has the intake; return its process id."""
        await until(self._worked)
        return owners(self.url)["intake"]

    async def _worked(self) -> bool:
        return "intake" in await asyncio.to_thread(owners, self.url)


@asynccontextmanager
async def cluster(folder: Path, url: str, lease_ms: int) -> AsyncIterator[Cluster]:
    async with ground(folder) as here:
        opened = Cluster(here, url, lease_ms)
        try:
            yield opened
        finally:
            for process in opened.processes:
                process.kill()


async def kill_any(folder: Path, url: str, rounds: int, seed: int) -> str:
    chance = random.Random(seed)
    async with cluster(folder, url, SHORT_LEASE) as all_:
        here = all_.here
        await all_.start(*ROLES)
        await all_.working()
        over = asyncio.Event()
        load = [asyncio.create_task(here.load(web, over, callers=4)) for web in all_.processes[:2]]
        for number in range(rounds):
            at = number % len(ROLES)
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            if ROLES[at] == "work":
                await all_.replace(at)
                continue
            over.set()  # callers of a web process end with it
            all_.processes[at].kill()
            await asyncio.gather(*load)
            all_.processes[at] = all_.process("web")
            await all_.processes[at].ready(here.client)
            over = asyncio.Event()
            load = [asyncio.create_task(here.load(web, over, callers=4)) for web in all_.processes[:2]]
        over.set()
        await asyncio.gather(*load)
        while len(here.acknowledged) <= 10 * rounds:  # as many as a quiet machine sends meanwhile
            await here.tell(all_.processes[0])
        await here.everything_arrived(120)
        assert len(here.acknowledged) > 10 * rounds
        assert set(here.counted().values()) == {1}
        assert max(here.sends.values()) <= 1 + rounds
        assert deadlocks(url) == 0
        return (
            f"{rounds} kills of 2 web and 2 worker processes in turn: {len(here.acknowledged):,} webhooks "
            f"acknowledged, {len(here.counted()):,} interviews counted, none twice"
        )


async def test_any_process_of_a_cluster_may_be_killed_under_load(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await kill_any(tmp_path, postgres_url, rounds=4, seed=1))


@pytest.mark.proof
async def test_many_kills_in_a_cluster_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await kill_any(tmp_path, postgres_url, rounds=60, seed=2))


async def cut_again_and_again(folder: Path, url: str, rounds: int, seed: int) -> str:
    chance = random.Random(seed)
    async with cluster(folder, url, SHORT_LEASE) as all_:
        here = all_.here
        await all_.start(*ROLES)
        await all_.working()
        over = asyncio.Event()
        load = [asyncio.create_task(here.load(web, over, callers=4)) for web in all_.processes[:2]]
        with psycopg.connect(url, autocommit=True) as cutting:
            for _ in range(rounds):
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                assert cutting.execute(CUT).fetchall()
        over.set()
        await asyncio.gather(*load)
        await here.everything_arrived(120)
        assert set(here.counted().values()) == {1}
        return (
            f"{rounds} times all connections to PostgreSQL cut: {len(here.acknowledged):,} webhooks "
            f"acknowledged, {len(here.counted()):,} interviews counted, none twice"
        )


async def test_cut_connections_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await cut_again_and_again(tmp_path, postgres_url, rounds=2, seed=3))


@pytest.mark.proof
async def test_many_cuts_of_connections_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await cut_again_and_again(tmp_path, postgres_url, rounds=60, seed=4))


@pytest.mark.proof
async def test_work_resumes_within_40_seconds_of_the_kill_of_a_worker(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    async with cluster(tmp_path, postgres_url, REAL_LEASE) as all_:
        await all_.start("web", "work")
        killed = await all_.working()
        await all_.start("work")
        await _delay(all_)
        all_.processes.pop(1).kill()
        seconds = await _delay(all_)
        counted(f"work went on {seconds:.1f} s after the kill of a worker (lease of 30 s)")
        assert owners(postgres_url)["intake"] != killed
        assert seconds < 40


async def test_a_plan_and_a_key_hold_at_every_process(tmp_path: Path, postgres_url: str) -> None:
    async with cluster(tmp_path, postgres_url, REAL_LEASE) as all_:
        await all_.start("web", "web", "work")
        first, second, _ = all_.processes
        members = [{"user_id": f"user-{n}", "email": f"person-{n}@example.com"} for n in range(3)]
        plan = await _call(all_.here, first, "plan_cohort_launch", members=members, wait_seconds=25)
        launch = {"plan_token": plan["plan_token"], "wait_seconds": 0}
        answers = await asyncio.gather(
            *(
                _call(all_.here, server, "launch_cohort_interviews", key="once", **launch)
                for server in (first, second) * 3
            )
        )
        assert {answer["launch_id"] for answer in answers} == {answers[0]["launch_id"]}

        async def started() -> bool:
            return len(all_.here.sandbox.koji.store.interviews) == 3

        await until(started)
        again = await _call(all_.here, second, "launch_cohort_interviews", key="once", **launch)
        assert again["launch_id"] == answers[0]["launch_id"]
        assert await started()


async def _call(
    here: Ground, server: Process, operation: str, key: str = "", **fields: Any
) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}

    async def answered() -> dict[str, Any] | None:
        answer = await here.client.post(f"{server.url}/actions/{operation}", json=fields, headers=headers)
        if answer.status_code == 409:  # the first call with this key is at work
            await asyncio.sleep(0.05)
            return None
        assert answer.status_code in {200, 202}, answer.text
        body: dict[str, Any] = answer.json()
        return body

    found = await until(answered)
    assert found is not None
    return found


async def test_a_worker_that_stops_in_good_order_hands_its_work_over_at_once(
    tmp_path: Path, postgres_url: str
) -> None:
    async with cluster(tmp_path, postgres_url, 600_000) as all_:  # no lease ends by time
        await all_.start("web", "work")
        before = await all_.working()
        await all_.start("work")
        await all_.here.tell(all_.processes[0])
        await all_.here.everything_arrived(120)
        assert all_.processes.pop(1).terminate() in {0, -15}
        await all_.here.tell(all_.processes[0])
        await all_.here.everything_arrived(120)
        assert owners(postgres_url)["intake"] != before


async def pause(process: int, url: str) -> None:
    """Stop a process outside of its transactions: no other gets past one on SQLite that never ends."""
    while True:
        os.kill(process, signal.SIGSTOP)
        if not url.startswith("sqlite"):
            return
        with closing(sqlite3.connect(make_url(url).database or "", timeout=0.2)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(process, signal.SIGCONT)
            else:
                return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_process_that_was_paused_past_its_lease_settles_nothing(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    async with cluster(tmp_path, url, SHORT_LEASE) as all_:
        here = all_.here
        await all_.start("both")
        paused = await all_.working()
        fault = {"kind": "slow", "seconds": 60, "times": 1}
        assert (await here.client.post(f"{here.url}/control/amplitude/faults", json=fault)).is_success
        await here.tell(all_.processes[0])
        await until(lambda: _held(here))
        await pause(paused, url)
        try:
            await all_.start("both")
            await here.everything_arrived(120)
            [name] = here.acknowledged
            heir = all_.processes[1]

            async def settled() -> dict[str, Any] | None:
                shown = await _call(here, heir, "get_sync", interview_id=name)
                return shown if shown["status"] == "synced" else None

            before = await until(settled)

            async def handed_over() -> bool:
                return owners(url)["intake"] != paused

            await until(handed_over)
            here.sandbox.amplitude.faults.clear()  # the answer is there when it wakes up
        finally:
            os.kill(paused, signal.SIGCONT)
        log = tmp_path / "server.log"

        async def refused() -> bool:
            lines = log.read_text().splitlines()
            return any("worker_interrupted" in line and "amplitude" in line for line in lines)

        await until(refused)
        assert await settled() == before
        assert here.counted() == {name: 1}


async def _held(here: Ground) -> bool:
    return bool(here.sandbox.amplitude.faults.held)


@pytest.mark.proof
async def test_an_idle_worker_of_another_process_wakes_within_half_a_second(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    async with cluster(tmp_path, postgres_url, REAL_LEASE) as all_:
        await all_.start("web", "work")
        await all_.working()
        await _delay(all_)
        usual = [await _delay(all_) for _ in range(30)]
        cut: list[float] = []
        for _ in range(10):
            with psycopg.connect(postgres_url, autocommit=True) as cutting:
                assert cutting.execute(CUT).fetchall()
            await asyncio.sleep(1.0)  # idle again
            cut.append(await _delay(all_))
        counted(
            f"from the answer to a webhook until Amplitude has it, in another process: median "
            f"{statistics.median(usual):.3f} s, slowest {max(usual):.3f} s of {len(usual)}; after its connections "
            f"were cut, median {statistics.median(cut):.3f} s, slowest {max(cut):.3f} s of {len(cut)}"
        )
        assert statistics.median(usual) < 0.5
        assert statistics.median(cut) < 0.5


async def _delay(all_: Cluster) -> float:
    """Return the seconds from the answer to a webhook until Amplitude has its interview."""
    here, before = all_.here, len(all_.here.acknowledged)
    while len(here.acknowledged) == before or int(max(here.acknowledged)[-5:]) % 3 == 0:  # no read of Koji
        await here.everything_arrived(120)
        await here.tell(all_.processes[0])
    answered = time.monotonic()
    await here.everything_arrived(120)
    return time.monotonic() - answered
