"""Webhooks, plans, launches, hooks and erasures at once, while servers are killed, replaced, paused and cut off."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.faults.ground import OPTIONS, SHORT_LEASE, Ground, ground
from tests.support import truth
from tests.support.cluster import CUT, PEERS, deadlocks
from tests.support.fakes import Counted
from tests.support.harness import message, sign
from tests.support.processes import Process
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e

SETTINGS = {
    **PEERS,
    "KOJI_PROJECT_ID": OPTIONS.koji_project_id,
    "CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "10000",
    "CONNECTOR_MAX_CREDITS_PER_DAY": "100000",
    "CONNECTOR_ALLOW_PRIVATE_TARGETS": "true",
}
TOLD = ("invitation_created", "launch_finished", "interview_skipped")
NEW_PEOPLE, KNOWN_PEOPLE = 4, 2
PACE = 0.05  # seconds: something is always on its way, and the machine is not full
Answer = dict[str, Any]


class Everything:
    """Two servers on one ledger, and callers who repeat each call until some server answers it."""

    def __init__(self, here: Ground, receiver: Receiver, url: str, seed: int) -> None:
        self.here = here
        self.receiver = receiver
        self.url = url
        self.truth = truth.Truth(url)
        self.chance = random.Random(seed)
        self.servers: list[Process] = []
        self.people = self.erased = 0
        self.over = asyncio.Event()
        self.faults: Counter[str] = Counter()

    async def start(self) -> None:
        """Start whichever of the two servers does not run."""
        settings = {**SETTINGS, "DATABASE_URL": self.url}
        started = [
            Process(self.here.folder, self.here.url, lease_ms=SHORT_LEASE, more=settings)
            for _ in range(2 - len(self.servers))
        ]
        try:
            for one in started:
                await one.ready(self.here.client)
        finally:
            self.servers += started

    async def post(self, path: str, **sent: Any) -> httpx.Response | None:
        """Send one request to any server; None if it has no answer, or is to be sent again."""
        if not self.servers:
            await asyncio.sleep(0.02)
            return None
        url = self.chance.choice(self.servers).url
        try:
            answer = await self.here.client.post(f"{url}{path}", **sent)
        except httpx.TransportError:
            await asyncio.sleep(0.02)
            return None
        if answer.status_code == 503:
            await asyncio.sleep(0.02)
            return None
        assert answer.status_code < 300, answer.text
        return answer

    async def call(self, path: str, **fields: Any) -> Answer:
        while (answer := await self.post(path, json=fields)) is None:
            pass
        body: Answer = answer.json()
        return body

    async def tell(self, interview_id: str, number: int = 1, **fields: Any) -> None:
        """Send one webhook until it is acknowledged, each time with the same body."""
        body, told = message(interview_id, number, **fields), None
        raw = httpx.Request("POST", "http://koji", json=body).content
        while told is None:
            told = await self.post("/webhooks/koji", content=raw, headers=sign(raw))
        assert told.json()["status"] == "accepted"
        self.here.acknowledged.add(interview_id)

    async def webhooks(self) -> None:
        """Send webhooks that say all, and some for which Koji must be read."""
        while not self.over.is_set():
            await asyncio.sleep(PACE)
            if self.servers:
                await self.here.tell(self.chance.choice(self.servers))

    async def launches(self) -> None:
        """Launch new people among known ones, half of them over a plan; some of them come back."""
        while not self.over.is_set():
            await asyncio.sleep(3 * PACE)
            before = self.chance.sample(range(self.people), min(KNOWN_PEOPLE, self.people))
            numbers = [*before, *range(self.people, self.people + NEW_PEOPLE)]
            self.people += NEW_PEOPLE
            given: Answer = {
                "members": [
                    {"user_id": f"user-{n:05}", "email": f"member-{n:05}@example.com"} for n in numbers
                ],
                "wait_seconds": 0,
            }
            if self.chance.random() < 0.5:
                plan = await self.call("/actions/plan_cohort_launch", **{**given, "wait_seconds": 20})
                given = {"plan_token": plan["plan_token"], "wait_seconds": 0}
            await self.call("/actions/launch_cohort_interviews", **given)
            started = [one for one in self.here.sandbox.koji.store.interviews.values() if one.external_id]
            for one in self.chance.sample(started, min(2, len(started))):
                await self.tell(one.interview_id, external_id=one.external_id, respondent_email=one.email)

    async def erasures(self) -> None:
        """Let people come back who are erased then; other webhooks about them may still be on their way."""
        while not self.over.is_set():
            await asyncio.sleep(3 * PACE)
            number = self.erased
            self.erased += 1
            email = f"person-{number:04}@gone.example.com"
            await self.tell(f"int-gone-{number:04}", respondent_email=email)
            late = asyncio.create_task(self.tell(f"int-late-{number:04}", respondent_email=email))
            await self.call("/actions/forget_respondent", email=email, wait_seconds=0)
            await late

    async def kill(self) -> None:
        """Kill one server, or both."""
        for one in self.chance.sample(self.servers, self.chance.choice([1, 2])):
            self.servers.remove(one)
            one.kill()
            self.faults["kills"] += 1

    async def deploy(self) -> None:
        """End the older server in good order, beside the other."""
        ended = self.servers.pop(0)
        self.faults["deploys"] += 1
        assert await asyncio.to_thread(ended.terminate) in {0, -signal.SIGTERM}

    async def pause(self) -> None:
        """Pause one server past its leases."""
        pid = self.chance.choice(self.servers).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1.2 * SHORT_LEASE / 1000)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.faults["pauses"] += 1

    async def cut_off(self) -> None:
        """Take the database away: SQLite's file has a full disk, PostgreSQL is gone as while it restarts."""
        seconds = self.chance.uniform(0.0, 0.4)
        if self.url.startswith("postgresql"):
            await self.restart_postgres(seconds)
            return
        for one in self.servers:
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        await asyncio.sleep(seconds)
        for one in self.servers:
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.faults["full disks"] += 1

    async def restart_postgres(self, seconds: float) -> None:
        """Cut every connection, and let PostgreSQL take no new one for a while."""
        parts = urlsplit(self.url)
        switch = f"ALTER DATABASE {parts.path[1:]} ALLOW_CONNECTIONS "
        with (
            psycopg.connect(self.url, autocommit=True) as cutting,
            psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as owner,
        ):
            owner.execute(switch + "false")
            try:
                assert cutting.execute(CUT).fetchall()
                await asyncio.sleep(seconds)
            finally:
                owner.execute(switch + "true")
        self.faults["restarts of PostgreSQL"] += 1

    async def all_is_done(self, seconds: float) -> None:
        """Wait until nothing is open. Raises AssertionError after so long without any progress."""
        last, before = time.monotonic(), None
        while now := await asyncio.to_thread(self.truth.ask, truth.open_work):
            if now != before:
                last, before = time.monotonic(), now
            assert time.monotonic() < last + seconds, f"still open: {now}"
            await asyncio.sleep(0.05)

    def close(self) -> None:
        for one in self.servers:
            one.kill()
        self.truth.close()


@asynccontextmanager
async def everything(folder: Path, url: str, seed: int) -> AsyncIterator[Everything]:
    async with ground(folder) as here, receiving() as receiver:
        opened = Everything(here, receiver, url, seed)
        try:
            yield opened
        finally:
            opened.close()


async def suffer(folder: Path, url: str, faults: Sequence[str], seed: int) -> str:
    """Let one fault after the other strike all the work, then check what is left of it."""
    async with everything(folder, url, seed) as every:
        await every.start()
        for kind in TOLD:
            await every.call("/hooks", targetUrl=every.receiver.url, event=kind)
        load = [every.webhooks() for _ in range(4)]
        working = [asyncio.create_task(one) for one in (*load, every.launches(), every.erasures())]
        try:
            for fault in faults:
                await asyncio.sleep(every.chance.uniform(0.1, 0.6))
                await getattr(every, fault)()
                await every.start()
                for one in working:
                    assert not one.done(), one.exception()
            every.over.set()
            await asyncio.gather(*working)
        finally:
            for one in working:
                one.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        await every.all_is_done(60)
        return told(every)


def told(every: Everything) -> str:
    """Check the ledger against both services and the subscriber; tell what was counted."""
    ask, here = every.truth.ask, every.here
    ask(truth.counters_are_true)
    parked = ask(truth.each_counts_once_or_is_parked, here.counted(), here.acknowledged)
    charged = ask(truth.credits_are_true, 3)
    started = Counter(one.email for one in here.sandbox.koji.store.interviews.values() if one.external_id)
    assert set(started.values()) == {1}, "a person was started twice"
    doubtful = ask(truth.in_doubt)
    everybody = {f"member-{n:05}@example.com" for n in range(every.people)}
    assert started.keys() <= everybody
    assert everybody <= started.keys() | set(doubtful)
    assert len(started) <= charged <= len(started) + len(doubtful)
    ids = ask(truth.every_event_is_delivered)
    assert ids <= {headers["webhook-id"] for headers, _ in every.receiver.got}
    ask(truth.nothing_names, "@gone.example.com")
    if every.url.startswith("postgresql"):
        assert deadlocks(every.url) == 0
    faults = ", ".join(f"{n} {kind}" for kind, n in sorted(every.faults.items()))
    return (
        f"{faults}: {len(here.acknowledged):,} interviews acknowledged, each once in Amplitude or parked ({parked:,}); "
        f"{every.people:,} people launched, none started twice, {len(doubtful):,} in doubt; {charged:,} starts paid; "
        f"{len(ids):,} events delivered; {every.erased:,} people erased; every counter true"
    )


async def test_everything_goes_on_through_one_fault_of_each_kind(
    tmp_path: Path, sqlite_url: str, counted: Counted
) -> None:
    counted(await suffer(tmp_path, sqlite_url, ["kill", "deploy", "cut_off", "pause"], seed=1))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2))
async def test_everything_goes_on_through_many_faults(
    tmp_path: Path, database_url: str, seed: int, counted: Counted
) -> None:
    faults = random.Random(seed).choices(["kill", "deploy", "cut_off", "pause"], [6, 2, 3, 1], k=60)
    counted(await suffer(tmp_path, database_url, faults, seed))
