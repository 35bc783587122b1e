"""The server is killed under load, again and again: what it acknowledged arrives, and counts once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.sandbox import Sandbox, SandboxOptions, create_sandbox
from tests.support.harness import message, serving, sign, until
from tests.support.processes import HEADERS, Process

pytestmark = pytest.mark.e2e

SHORT_LEASE = 1_000
REAL_LEASE = 30_000
OPTIONS = SandboxOptions(
    koji_rate_limit_per_minute=None,
    throttle_events_per_second=None,
    analysis_seconds=0.0,
    latency_seconds=0.01,
    webhook=None,
)


class Ground:
    """The stand-ins, what was acknowledged, and how often each event reached Amplitude."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str, client: httpx.AsyncClient) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.url = url
        self.client = client
        self.acknowledged: set[str] = set()
        self.sends: Counter[str] = Counter()
        self._waiting: list[str] = []
        self._made = 0
        accept = sandbox.amplitude.store.accept

        def counted(events: Sequence[Mapping[str, Any]], now: float) -> None:
            self.sends.update(str(event["insert_id"]) for event in events)
            accept(events, now)

        sandbox.amplitude.store.accept = counted  # type: ignore[method-assign]  # to count what deduplication hides

    def _next(self) -> str:
        """Return the interview of the next webhook: one that was not acknowledged, as Koji would, or a new one."""
        if self._waiting:
            return self._waiting.pop()
        self._made += 1
        interview_id = f"int-{self._made:05}"
        if self._made % 3 == 0:
            interview = self.sandbox.koji.store.add(
                interview_id=interview_id, email=f"person-{self._made % 50:03}@example.com"
            )
            self.sandbox.koji.finish(interview, analysis_seconds=0.0)
        return interview_id

    async def tell(self, server: Process) -> None:
        """Send one webhook; one in three says nothing but the id."""
        interview_id = self._next()
        number = int(interview_id[-5:])
        body = json.dumps(
            {"interview_id": interview_id} if number % 3 == 0 else message(interview_id, number % 50)
        ).encode()
        try:
            answer = await self.client.post(f"{server.url}/webhooks/koji", content=body, headers=sign(body))
        except httpx.TransportError:
            self._waiting.append(interview_id)
            await asyncio.sleep(0.01)
            return
        assert answer.json()["status"] == "accepted"
        self.acknowledged.add(interview_id)

    async def load(self, server: Process, over: asyncio.Event, callers: int = 8) -> None:
        async def call() -> None:
            while not over.is_set():
                await self.tell(server)

        await asyncio.gather(*(call() for _ in range(callers)))

    def counted(self) -> Counter[str]:
        """Return how often each interview counts in Amplitude."""
        events = self.sandbox.amplitude.store.find(event_type="koji.interview_completed")
        return Counter(str(event.body["event_properties"]["interview_id"]) for event in events)

    async def everything_arrived(self, seconds: float) -> None:
        """Wait for all that was acknowledged. Raises AssertionError after so long without anything new."""
        counted, last = self.counted().keys(), time.monotonic()
        while missing := len(self.acknowledged - counted):
            assert time.monotonic() < last + seconds, f"{missing} did not arrive in {seconds} s"
            await asyncio.sleep(0.02)
            before, counted = len(counted), self.counted().keys()
            if len(counted) > before:
                last = time.monotonic()


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    app = create_sandbox(OPTIONS)
    limits = httpx.Limits(max_connections=50)
    async with (
        app.router.lifespan_context(app),
        serving(app) as url,
        httpx.AsyncClient(
            headers=HEADERS, verify=False, trust_env=False, limits=limits, timeout=20
        ) as client,
    ):
        yield Ground(folder, app.state.sandbox, url, client)


async def kill_again_and_again(folder: Path, rounds: int, seconds: float, seed: int) -> None:
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
            await here.everything_arrived(40)
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


async def test_three_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    await kill_again_and_again(tmp_path, rounds=3, seconds=25, seed=11)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3))
async def test_many_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path, seed: int) -> None:
    await kill_again_and_again(tmp_path, rounds=60, seconds=600, seed=seed)


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
