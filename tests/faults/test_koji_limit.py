"""Koji's calls a minute are never exceeded: one launch, two connectors on one ledger, and people who poll.

Time is the test's own and stands still while anybody works: it goes on to the next hour that somebody waits
for once the lane and all who poll are waiting. So a call arrives at Koji when the rate limit granted it, however
slow this machine is, and whole minutes are checked in seconds.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from heapq import heappop, heappush
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.app import create_app
from connector.sandbox import Sandbox, create_sandbox
from tests.support.fakes import NOW, Counted
from tests.support.harness import QUICK, TOKEN, serving, settings_of, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A_LEASE_THAT_OUTLASTS_THE_TEST = 10 * 3_600_000
POLLED = 12


class SharedClock:
    """Time that goes on only when so many wait: to the hour of the first of them."""

    def __init__(self, waiting: int) -> None:
        self.time = NOW
        self._waiting = waiting
        self._number = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self.time

    def elapsed(self) -> int:
        return self.time - NOW

    def seconds(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        self._number += 1
        woken = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self.time + math.ceil(seconds * 1000), self._number, woken))
        self._go_on()
        await woken

    def _go_on(self) -> None:
        self._sleepers = sorted(one for one in self._sleepers if not one[2].done())
        if len(self._sleepers) >= self._waiting:
            self.time, _, first = heappop(self._sleepers)
            first.set_result(None)


class Ground:
    """Two connectors and the stand-ins on one clock."""

    def __init__(self, clock: SharedClock, sandbox: Sandbox, clients: list[httpx.AsyncClient]) -> None:
        self.clock = clock
        self.sandbox = sandbox
        self.clients = clients
        self.polled: Counter[int] = Counter()

    async def call(self, client: httpx.AsyncClient, operation: str, **fields: Any) -> httpx.Response:
        return await client.post(f"/actions/{operation}", json=fields)

    async def poll(self, client: httpx.AsyncClient, seconds: float) -> None:
        """Ask for one analysis after the other, for ever."""
        for number in cycle(range(POLLED)):
            answer = await self.call(client, "get_interview_analysis", interview_id=f"int-{number}")
            assert answer.status_code == 200 or answer.json()["code"] == "koji_budget", answer.text
            self.polled[answer.status_code] += 1
            await self.clock.sleep(seconds)

    async def launch(self, people: int) -> dict[str, Any]:
        members = [{"email": f"person-{n:03}@example.com"} for n in range(people)]
        fields = {"members": members, "mode": "text", "wait_seconds": 0}
        launched = await self.call(self.clients[0], "launch_cohort_interviews", **fields)
        assert launched.status_code == 202, launched.text
        launch_id = launched.json()["launch_id"]

        async def over() -> dict[str, Any] | None:
            assert all(call.status != 429 for call in self.sandbox.koji.calls), "a call is refused"
            found = await self.call(self.clients[1], "get_launch", launch_id=launch_id)
            body: dict[str, Any] = found.json()
            return body if body["status"] == "finished" else None

        ended = await until(over, 600)
        assert ended is not None
        return ended


@asynccontextmanager
async def ground(folder: Path, limit: int, pollers: int) -> AsyncIterator[Ground]:
    clock = SharedClock(1 + pollers)
    sandbox_app = create_sandbox(replace(QUICK, koji_rate_limit_per_minute=limit), now=clock.seconds)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sandbox_app.router.lifespan_context(sandbox_app))
        url = await stack.enter_async_context(serving(sandbox_app))
        environment = {
            "KOJI_RATE_LIMIT_PER_MINUTE": str(limit),
            "KOJI_PROJECT_ID": QUICK.koji_project_id,
            "CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "1000",
            "CONNECTOR_MAX_CREDITS_PER_DAY": "10000",
        }
        settings = settings_of(folder, url, "", environment)
        sandbox: Sandbox = sandbox_app.state.sandbox
        for number in range(POLLED):
            interview = sandbox.koji.store.add(interview_id=f"int-{number}", email="grace@example.com")
            sandbox.koji.finish(interview, analysis_seconds=0.0)
        clients = []
        for _ in range(2):
            app = create_app(settings, clock=clock, lease_ms=A_LEASE_THAT_OUTLASTS_THE_TEST)
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                base_url="http://connector",
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            clients.append(await stack.enter_async_context(client))
        yield Ground(clock, sandbox, clients)


@pytest.mark.parametrize(
    ("limit", "people", "every"),
    [
        pytest.param(60, 90, 3.0, id="the limit of Koji's documentation", marks=pytest.mark.proof),
        pytest.param(600, 50, 0.25, id="ten times as much"),
    ],
)
async def test_no_minute_of_a_launch_exceeds_the_limit_of_the_key(
    tmp_path: Path, limit: int, people: int, every: float, counted: Counted
) -> None:
    async with ground(tmp_path, limit, pollers=2) as here:
        koji = here.sandbox.koji
        polling = [asyncio.create_task(here.poll(client, every)) for client in here.clients]
        try:
            launched = await here.launch(people)
        finally:
            for task in polling:
                task.cancel()
            ended = await asyncio.gather(*polling, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
        assert (launched["invited"], launched["in_doubt"]) == (people, 0)
        assert len({one.external_id for one in koji.store.interviews.values() if one.external_id}) == people
        assert here.polled[200] > 20
        assert Counter(call.status for call in koji.calls).keys() == {200, 201}
        minute, second = koji.max_calls_in_any_window(60), koji.max_calls_in_any_window(1)
        assert minute <= limit
        assert second <= -(-limit // 60), "nor do they come in bursts"
        apart = min(after.at - before.at for before, after in pairwise(koji.calls))
        assert apart >= 60 / limit
        if len(koji.calls) > limit:
            assert minute >= limit - 2, "and what is allowed is used"
        assert koji.max_calls_in_any_window(60, route="read") <= limit // 2, "half is kept from who polls"
        counted(
            f"{len(koji.calls)} calls by two connectors: at most {minute} in a minute and {second} in a second, of {limit} "
            "a minute allowed"
        )


async def test_a_launch_alone_uses_what_is_allowed(tmp_path: Path) -> None:
    async with ground(tmp_path, 60, pollers=0) as here:
        began = here.clock.seconds()
        launched = await here.launch(80)
        assert launched["invited"] == 80
        assert Counter(call.status for call in here.sandbox.koji.calls) == {201: 80}
        assert 58 <= here.sandbox.koji.max_calls_in_any_window(60) <= 60
        assert here.clock.seconds() - began == pytest.approx(79 * 61 / 60, abs=1)


async def test_a_read_beside_a_launch_gets_the_next_call(tmp_path: Path) -> None:
    async with ground(tmp_path, 60, pollers=1) as here:
        koji = here.sandbox.koji
        beside: list[int] = []

        async def read() -> None:
            await here.clock.sleep(3)
            for number in range(POLLED):
                before = len(koji.calls)
                fields = {"interview_id": f"int-{number}"}
                answer = await here.call(here.clients[number % 2], "get_interview_analysis", **fields)
                assert answer.status_code == 200, answer.text
                routes = [call.route for call in koji.calls[before:]]
                beside.append(routes.index("read"))
                await here.clock.sleep(3)
            while True:  # the clock goes on when all wait
                await here.clock.sleep(1)

        reading, launching = asyncio.create_task(read()), asyncio.create_task(here.launch(60))
        done, _ = await asyncio.wait({reading, launching}, return_when=asyncio.FIRST_COMPLETED)
        assert reading not in done, reading.exception()
        reading.cancel()
        launched = launching.result()
        assert launched["invited"] == 60
        assert len(beside) == POLLED
        assert max(beside) <= 1, "starts that came before a read that waited"
        routes = [call.route for call in koji.calls]
        last = len(routes) - 1 - routes[::-1].index("read")
        assert "start" in routes[last:], "the launch ran beside all of them"
