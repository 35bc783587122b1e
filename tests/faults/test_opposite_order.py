"""Two servers on one PostgreSQL take the same webhooks in opposite order: neither waits for the other for ever."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import OPTIONS, REAL_LEASE, ground
from tests.support.cluster import PEERS, deadlocks
from tests.support.fakes import Counted
from tests.support.harness import message, sign
from tests.support.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
INTERVIEWS = 120
AT_ONCE = 60
ERASED = 49


def person(interview_id: str) -> int:
    return int(interview_id[-3:]) % 50


async def meet(folder: Path, url: str, rounds: int) -> str:
    """Send each server the same interviews, the second one backwards, and let callers ask for the same."""
    chance = random.Random(rounds)
    async with ground(folder) as here:
        more = {**PEERS, "DATABASE_URL": url, "KOJI_PROJECT_ID": OPTIONS.koji_project_id}
        servers = [Process(folder, here.url, lease_ms=REAL_LEASE, more=more) for _ in range(2)]
        try:
            for server in servers:
                await server.ready(here.client)
            for one in range(rounds):
                names = [f"int-{one:03}-{number:03}" for number in range(INTERVIEWS)]
                here.acknowledged.update(name for name in names if person(name) != ERASED)
                await asyncio.gather(
                    *(
                        tell(here.client, server, names[:: 1 - 2 * at], chance)
                        for at, server in enumerate(servers)
                    ),
                    *(
                        call(here.client, server, names[:: 2 * at - 1][:10])
                        for at, server in enumerate(servers)
                    ),
                )
            await here.everything_arrived(60)
            assert set(here.counted().values()) == {1}
            assert deadlocks(url) == 0
            return (
                f"{2 * rounds * INTERVIEWS:,} webhooks of {rounds * INTERVIEWS:,} interviews to two servers in opposite "
                "order, beside launches and erasures: none counted twice, 0 deadlocks"
            )
        finally:
            for server in servers:
                server.kill()


async def tell(client: Any, server: Process, names: list[str], chance: random.Random) -> None:
    """Send webhooks; a repetition has the id of the first one, and at times another body."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def send(name: str) -> None:
        body = json.dumps(message(name, person(name), attempt=chance.randrange(2))).encode()
        headers = sign(body, scheme="standard-webhooks", webhook_id=f"msg-{name}", at=time.time())
        async with gate:
            answer = await client.post(f"{server.url}/webhooks/koji", content=body, headers=headers)
        assert answer.json()["status"] == "accepted"

    await asyncio.gather(*(send(name) for name in names))


async def call(client: Any, server: Process, names: list[str]) -> None:
    """Ask for what webhooks bring at the same time, launch the same people, and erase one."""
    members = [{"user_id": f"user-{name}", "email": f"{name}@example.com"} for name in names]
    for operation, fields in (
        ("launch_cohort_interviews", {"members": members}),
        ("sync_interview_to_amplitude", {"interview_id": names[0]}),
        ("replay_syncs", {"status": "failed"}),
        ("forget_respondent", {"email": f"person-{ERASED:03}@example.com"}),
    ):
        answer = await client.post(f"{server.url}/actions/{operation}", json={**fields, "wait_seconds": 0})
        assert answer.status_code < 500, answer.text


async def test_the_same_webhooks_in_opposite_order_make_no_deadlock(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await meet(tmp_path, postgres_url, rounds=2))


@pytest.mark.proof
async def test_many_webhooks_in_opposite_order_make_no_deadlock(
    tmp_path: Path, postgres_url: str, counted: Counted
) -> None:
    counted(await meet(tmp_path, postgres_url, rounds=30))
