"""The server is killed in the middle of launches, again and again: nobody is started twice, nobody is lost."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.sandbox import Sandbox, SandboxOptions, create_sandbox
from tests.support.cluster import PEERS
from tests.support.fakes import Counted
from tests.support.harness import message, serving, sign, until
from tests.support.processes import HEADERS, Process

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LEASE = 500
OPTIONS = SandboxOptions(
    koji_rate_limit_per_minute=None,
    throttle_events_per_second=None,
    analysis_seconds=0.0,
    latency_seconds=0.02,
    webhook=None,
)
ENVIRONMENT = f"""\
KOJI_PROJECT_ID={OPTIONS.koji_project_id}
CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH=10000
CONNECTOR_MAX_CREDITS_PER_DAY=100000
"""
NEW_PEOPLE = 12
KNOWN_PEOPLE = 4
LAUNCHES = 3
Answer = dict[str, Any]


class Ground:
    """The stand-ins, who is to be started, and who was."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        sandbox: Sandbox,
        url: str,
        client: httpx.AsyncClient,
        seed: int,
    ) -> None:
        (folder / ".env").write_text(ENVIRONMENT)
        self.folder = folder
        self.settings = {**PEERS, "DATABASE_URL": database_url}
        self.sandbox = sandbox
        self.url = url
        self.client = client
        self.chance = random.Random(seed)
        self.people = 0
        self.refused: set[int] = set()

    def server(self) -> Process:
        return Process(self.folder, self.url, lease_ms=LEASE, more=self.settings)

    async def launch(self, server: Process, numbers: list[int]) -> None:
        """Launch people; whoever was in a call that had no answer is launched again later."""
        members = [{"user_id": f"user-{n:05}", "email": f"person-{n:05}@example.com"} for n in numbers]
        try:
            answer = await self.client.post(
                f"{server.url}/actions/launch_cohort_interviews",
                json={"members": members, "mode": "text", "wait_seconds": 0},
            )
        except httpx.TransportError:
            self.refused.update(numbers)
            return
        assert answer.status_code in {200, 202}, answer.text
        self.refused.difference_update(numbers)

    async def load(self, server: Process) -> None:
        """Launch new people, people who were launched before, and those whose call had no answer."""
        cohorts = []
        for _ in range(LAUNCHES):
            new = range(self.people, self.people + NEW_PEOPLE)
            before = self.chance.sample(range(self.people), min(KNOWN_PEOPLE, self.people))
            cohorts.append([*before, *new])
            self.people += NEW_PEOPLE
        cohorts[0] += sorted(self.refused)
        await asyncio.gather(*(self.launch(server, cohort) for cohort in cohorts))

    @property
    def started(self) -> list[str]:
        """Return who was started at Koji, in order."""
        return [str(one.email) for one in self.sandbox.koji.store.interviews.values()]

    async def call(self, server: Process, operation: str, **fields: Any) -> Answer:
        answer = await self.client.post(f"{server.url}/actions/{operation}", json=fields)
        assert answer.status_code in {200, 202}, answer.text
        body: Answer = answer.json()
        return body

    async def launches(self, server: Process) -> list[Answer]:
        listed = await self.call(server, "list_launches", limit=500)
        assert not listed["has_more"]
        items: list[Answer] = listed["items"]
        return items

    async def in_doubt(self, server: Process) -> list[str]:
        found = []
        for one in await self.launches(server):
            if one["in_doubt"]:
                shown = await self.call(
                    server, "get_launch", launch_id=one["launch_id"], state="in_doubt", limit=500
                )
                found += [invitation["email"] for invitation in shown["invitations"]]
        return found

    async def everybody_is_started_or_in_doubt(self, server: Process, seconds: float) -> list[str]:
        everybody = {f"person-{n:05}@example.com" for n in range(self.people)}

        async def settled() -> bool:
            await asyncio.sleep(0.02)
            launches = await self.launches(server)
            assert sum(one["failed"] + one["cancelled"] for one in launches) == 0
            if any(one["waiting"] for one in launches):
                return False
            return everybody == {*self.started, *await self.in_doubt(server)}

        last, before = time.monotonic(), 0
        while not await settled():  # for as long as people are started
            if (now := len(self.started)) != before:
                last, before = time.monotonic(), now
            assert time.monotonic() < last + seconds, f"{now} of {self.people} are started"
        return await self.in_doubt(server)

    async def come_back(self, server: Process, who: list[str]) -> int:
        """Let Koji tell of the interviews that were started with these people; return how many."""
        found = [one for one in self.sandbox.koji.store.interviews.values() if one.email in who]
        for one in found:
            told = message(one.interview_id, external_id=one.external_id, respondent_email=one.email)
            body = json.dumps(told).encode()
            answer = await self.client.post(f"{server.url}/webhooks/koji", content=body, headers=sign(body))
            assert answer.json()["status"] == "accepted"
        return len(found)


@asynccontextmanager
async def ground(folder: Path, database_url: str, seed: int) -> AsyncIterator[Ground]:
    app = create_sandbox(OPTIONS)
    async with (
        app.router.lifespan_context(app),
        serving(app) as url,
        httpx.AsyncClient(headers=HEADERS, verify=False, trust_env=False, timeout=20) as client,
    ):
        yield Ground(folder, database_url, app.state.sandbox, url, client, seed)


async def kill_in_the_middle(folder: Path, database_url: str, rounds: int, seed: int) -> str:
    async with ground(folder, database_url, seed) as here:
        for _ in range(rounds):
            server = here.server()
            try:
                await server.ready(here.client)
                before = len(here.started)
                load = asyncio.create_task(here.load(server))

                async def begun(before: int = before) -> bool:
                    return len(here.started) > before

                await until(begun)
                await asyncio.sleep(here.chance.uniform(0.0, 0.4))
            finally:
                server.kill()
            await load
        last = here.server()
        try:
            await last.ready(here.client)
            await here.load(last)
            assert here.refused == set()
            doubtful = await here.everybody_is_started_or_in_doubt(last, 120)
            assert set(Counter(here.started).values()) == {1}, "somebody was started twice"
            assert len(doubtful) == len(set(doubtful)) <= rounds, "one crash leaves one start in doubt"
            assert doubtful or rounds < 10, "no kill ever hit a start"
            returned = await here.come_back(last, doubtful)

            async def recognised() -> bool:
                return len(await here.in_doubt(last)) == len(doubtful) - returned

            await until(recognised)
            return (
                f"{rounds} kills: {here.people:,} people launched, {len(here.started):,} started at Koji, none twice; "
                f"{len(doubtful):,} in doubt until they were asked for"
            )
        finally:
            assert last.terminate() in {0, -15}


async def test_three_kills_in_the_middle_of_launches_start_nobody_twice_and_lose_nobody(
    tmp_path: Path, sqlite_url: str, counted: Counted
) -> None:
    counted(await kill_in_the_middle(tmp_path, sqlite_url, rounds=3, seed=1))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2))
async def test_fifty_kills_in_the_middle_of_launches_start_nobody_twice_and_lose_nobody(
    tmp_path: Path, database_url: str, seed: int, counted: Counted
) -> None:
    counted(await kill_in_the_middle(tmp_path, database_url, rounds=50, seed=seed))
