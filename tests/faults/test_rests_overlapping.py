"""Launches of two connections over the same people at once, through two servers: nobody is asked above a rest."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import REAL_LEASE, Ground, ground
from tests.support.fakes import Counted
from tests.support.harness import until
from tests.support.processes import Process

pytestmark = pytest.mark.e2e

CONNECTIONS = ("default", "pricing")
TOML = """
koji_project_id = "first"
[connections.pricing]
koji_api_key = "sandbox-koji-key"
koji_base_url = "{sandbox}/koji"
koji_project_id = "pricing"
amplitude_api_key = "sandbox-amplitude-key"
"""
RULES: dict[str, tuple[int, dict[str, str], dict[str, Any]]] = {
    "rest": (1, {"CONNECTOR_REST_DAYS_AFTER_INVITATION": "30"}, {}),
    # asked again at once, were it not for the window
    "window": (2, {"CONNECTOR_MAX_INVITATIONS": "2/365"}, {"reinvite_after_days": 0}),
}
EACH = 4
CALLERS = 16


async def overlapping(folder: Path, url: str, rule: str, launches: int, seed: int) -> str:
    """Launch so often over few people; return what was counted."""
    most, settings, fields = RULES[rule]
    chance = random.Random(seed)
    people = range(max(2 * EACH, launches // 12))
    cohorts = [
        (chance.choice(CONNECTIONS), [person(chance, n) for n in chance.sample(people, EACH)])
        for _ in range(launches)
    ]
    async with ground(folder) as here:
        servers = await two_servers(folder, here, url, settings)
        try:
            answers: list[dict[str, Any]] = []

            async def call(at: int) -> None:
                for connection, members in cohorts[at::CALLERS]:
                    answers.append(
                        await ask(
                            here,
                            servers[at % 2],
                            "launch_cohort_interviews",
                            connection=connection,
                            members=members,
                            mode="text",
                            wait_seconds=0,
                            **fields,
                        )
                    )

            await asyncio.gather(*(call(at) for at in range(CALLERS)))
            for connection in CONNECTIONS:
                await nothing_runs(here, servers[0], connection)
            return judge(here, answers, people, most)
        finally:
            for server in servers:
                server.kill()


def person(chance: random.Random, number: int) -> dict[str, str]:
    """Return someone as a caller may write them: the address decides over all connections."""
    email = f"person-{number:05}@example.com"
    return {"email": chance.choice([email, email.upper(), f" {email}"])} | (
        {"user_id": f"user-{number:05}"} if chance.random() < 0.5 else {}
    )


async def two_servers(folder: Path, here: Ground, url: str, settings: dict[str, str]) -> list[Process]:
    config = folder / "two.toml"
    config.write_text(TOML.format(sandbox=here.url))
    more = {
        "DATABASE_URL": url,
        "CONNECTOR_CONFIG": str(config),
        "CONNECTOR_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        "CONNECTOR_MAX_CREDITS_PER_DAY": "1000000",
        **settings,
    }
    servers = [Process(folder, here.url, lease_ms=REAL_LEASE, more=more) for _ in range(2)]
    for server in servers:
        await server.ready(here.client)
    return servers


async def ask(here: Ground, server: Process, operation: str, **fields: Any) -> dict[str, Any]:
    """Call an operation; a store that is busy is asked again, as its answer says."""
    while True:
        answer = await here.client.post(f"{server.url}/actions/{operation}", json=fields, timeout=120)
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.1)
    assert answer.status_code in {200, 202}, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def nothing_runs(here: Ground, server: Process, connection: str) -> None:
    """Wait until every launch has ended; the time begins anew with each start."""

    async def over() -> bool:
        before = len(here.sandbox.koji.store.interviews)
        for status in ("planning", "running"):
            listed = await ask(here, server, "list_launches", connection=connection, status=status, limit=1)
            if listed["items"]:
                await asyncio.sleep(0.1)
                return len(here.sandbox.koji.store.interviews) > before
        return True

    while True:
        await until(over, 60)
        left = [
            await ask(here, server, "list_launches", connection=connection, status=status, limit=1)
            for status in ("planning", "running")
        ]
        if not any(each["items"] for each in left):
            return


def judge(here: Ground, answers: list[dict[str, Any]], people: range, most: int) -> str:
    interviews = list(here.sandbox.koji.store.interviews.values())
    started = Counter(str(one.metadata["email"]).strip().lower() for one in interviews)
    assert max(started.values()) <= most
    assert len(started) == len(people)
    assert max(Counter(one.external_id for one in interviews).values()) == 1
    rests = 0
    for answer in answers:
        assert answer["members_total"] == EACH == answer["to_invite"] + sum(answer["skipped"].values())
        for example in answer["skipped_examples"]:
            rests += example["reason"] == "resting"
            assert (example["reason"] == "resting") == (None not in (example["rule"], example["until"]))
    assert rests
    return (
        f"{len(answers):,} launches of {len(CONNECTIONS)} connections through 2 servers over {len(people):,} people: "
        f"{len(interviews):,} started, nobody more than {counted_times(most)}; {rests:,} exclusions looked at, each "
        "with rule and date"
    )


def counted_times(most: int) -> str:
    return "once" if most == 1 else "twice"


@pytest.mark.parametrize("rule", RULES)
async def test_launches_at_once_keep_rests_and_windows(
    tmp_path: Path, database_url: str, rule: str, counted: Counted
) -> None:
    counted(await overlapping(tmp_path, database_url, rule, launches=30, seed=1))


@pytest.mark.proof
@pytest.mark.parametrize("rule", RULES)
async def test_ten_thousand_launches_at_once_keep_rests_and_windows(
    tmp_path: Path, database_url: str, rule: str, counted: Counted
) -> None:
    counted(await overlapping(tmp_path, database_url, rule, launches=10_000, seed=2))
