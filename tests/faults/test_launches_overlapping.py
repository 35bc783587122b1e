"""Twenty launches over the same people at once, through two connectors: everybody is started exactly once."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.app import create_app
from tests.support.fakes import Counted
from tests.support.harness import QUICK, TOKEN, World, open_world, until

pytestmark = pytest.mark.e2e

PEOPLE = 40
LAUNCHES = 14
COHORT = 20
PLANNED = 4
Row = dict[str, str]
Answer = dict[str, Any]


def email(number: int) -> str:
    return f"person-{number:03}@example.com"


def user(number: int) -> str:
    return f"user-{number:03}"


def written(chance: random.Random, number: int) -> str:
    """Return an address in one of the ways in which people write it."""
    plain = email(number)
    return chance.choice([plain, plain.upper(), plain.title(), f"  {plain} "])


def number_of(user_id: str | None, address: str | None) -> int:
    """Return whose row it is, by whichever id is there."""
    return int((address or user_id or "").lower().removesuffix("@example.com")[-3:])


class Doors:
    """Two connectors on one ledger; calls take turns."""

    def __init__(self, world: World, other: httpx.AsyncClient) -> None:
        self.world = world
        self._clients = [world.client, other]
        self._calls = 0

    async def call(self, operation: str, **fields: Any) -> Answer:
        self._calls += 1
        client = self._clients[self._calls % 2]
        answer = await client.post(f"/actions/{operation}", json=fields)
        assert answer.status_code in {200, 202}, answer.text
        body: Answer = answer.json()
        return body

    async def launch(self, members: Sequence[Row]) -> Answer:
        return await self.call("launch_cohort_interviews", members=members, mode="text", wait_seconds=0)

    async def finished(self, launches: Sequence[Answer]) -> list[Answer]:
        """Wait until every launch has ended."""
        ended = []
        for one in launches:

            async def over(launch_id: str = one["launch_id"]) -> Answer | None:
                found = await self.call("get_launch", launch_id=launch_id)
                return found if found["status"] == "finished" else None

            ended.append(await until(over))
        return [one for one in ended if one is not None]


@pytest.fixture
async def doors(tmp_path: Path, database_url: str) -> AsyncIterator[Doors]:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(
            open_world(
                tmp_path,
                options=QUICK,
                DATABASE_URL=database_url,
                CONNECTOR_ENCRYPTION_KEY=base64.b64encode(b"k" * 32).decode(),
                KOJI_PROJECT_ID=QUICK.koji_project_id,
                CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="1000",
                CONNECTOR_MAX_CREDITS_PER_DAY="10000",
            )
        )
        other = await stack.enter_async_context(second(world))
        yield Doors(world, other)


@asynccontextmanager
async def second(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.settings, clock=world.clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://other",
            verify=False,
            headers={"Authorization": f"Bearer {TOKEN}"},
        ) as client,
    ):
        yield client


async def everybody_was_started_once(doors: Doors, launches: Sequence[Answer]) -> None:
    invitations = doors.world.context.ledger.invitations
    interviews = list(doors.world.sandbox.koji.store.interviews.values())
    assert max(Counter(one.external_id for one in interviews).values()) == 1
    started: Counter[int] = Counter()
    for interview in interviews:
        found = await invitations.find(interview.external_id or "")
        assert found is not None
        assert found.interview_id == interview.interview_id
        started[number_of(found.user_id, found.email)] += 1
    assert started == Counter(range(PEOPLE))
    for one in launches:
        assert one["members_total"] == one["to_invite"] + sum(one["skipped"].values())
        assert (one["invited"], one["failed"], one["in_doubt"]) == (one["to_invite"], 0, 0)
        assert set(one["skipped"]) <= {"already_invited", "duplicate_in_cohort"}
    assert sum(one["to_invite"] for one in launches) == PEOPLE


def cohorts(chance: random.Random) -> list[list[int]]:
    """Return overlapping cohorts; the first ones together have everybody."""
    everybody = list(range(PEOPLE))
    found = [[n for n in everybody if n % PLANNED == part] for part in range(PLANNED)]
    found = [one + chance.sample(everybody, COHORT - len(one)) for one in found]
    return found + [chance.sample(everybody, COHORT) for _ in range(LAUNCHES - PLANNED)]


async def test_people_who_are_known_by_both_ids_are_started_once_by_whichever_id(
    doors: Doors, counted: Counted
) -> None:
    chance = random.Random(5)
    every = cohorts(chance)
    first, later = every[:PLANNED], every[PLANNED:]
    plans = await asyncio.gather(
        *(
            doors.call(
                "plan_cohort_launch",
                members=[{"user_id": user(n), "email": written(chance, n)} for n in cohort],
                mode="text",
            )
            for cohort in first
        )
    )
    assert doors.world.sandbox.koji.store.interviews == {}
    assert {plan["status"] for plan in plans} == {"planned"}
    assert sum(plan["to_invite"] for plan in plans) > PEOPLE, "plans overlap"

    def row(number: int) -> Row:
        return chance.choice(
            [
                {"email": written(chance, number)},
                {"user_id": user(number)},
                {"user_id": written(chance, number)},
                {"user_id": user(number), "email": written(chance, number)},
            ]
        )

    calls = [doors.call("launch_cohort_interviews", plan_token=plan["plan_token"]) for plan in plans]
    calls += [doors.launch([row(n) for n in cohort]) for cohort in later]
    chance.shuffle(calls)
    launched = await doors.finished(await asyncio.gather(*calls))
    assert len(launched) == LAUNCHES
    await everybody_was_started_once(doors, launched)
    again = await doors.launch([row(n) for n in range(PEOPLE)])
    assert (again["to_invite"], again["skipped"]) == (0, {"already_invited": PEOPLE})
    counted(f"{LAUNCHES} launches at once through two connectors: {PEOPLE} people started, none twice")


async def test_people_of_whom_nothing_was_known_are_started_once_by_any_form_of_their_address(
    doors: Doors,
) -> None:
    chance = random.Random(6)

    def row(number: int) -> Row:
        address = written(chance, number)
        return chance.choice(
            [{"email": address}, {"user_id": address}, {"email": address, "user_id": user(number)}]
        )

    launches = await asyncio.gather(*(doors.launch([row(n) for n in cohort]) for cohort in cohorts(chance)))
    await everybody_was_started_once(doors, await doors.finished(launches))
