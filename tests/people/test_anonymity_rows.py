"""What a database keeps by itself of rows that changed together joins no interview to its invitation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.harness import QUICK, World, message, open_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

PEOPLE = 12


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query)).fetchall()


async def answer(world: World, numbers: range) -> dict[str, str]:
    """Let people of a launch answer anonymously; return their interviews by external id."""
    koji = list(world.sandbox.koji.store.interviews.values())
    said = {}
    for n in numbers:
        said[koji[n].external_id or ""] = koji[n].interview_id
        known = {"interview_id": koji[n].interview_id, "external_id": koji[n].external_id}
        await world.deliver(message("x", n, **known, respondent_email=None, anonymous=True))
    for interview_id in said.values():
        await world.ended(interview_id)
    return said


async def scattered(world: World, url: str) -> None:
    """Wait until no row is left to be rewritten."""

    async def done() -> bool:
        world.move(21)
        left = "SELECT (SELECT count(*) FROM sync WHERE scatter = 1) + (SELECT count(*) FROM invitation WHERE scatter = 1)"
        return bool((await rows(url, left))[0][0] == 0)

    await until(done)


@pytest.mark.parametrize("batch", [1, 4, PEOPLE])
async def test_neither_transactions_nor_places_join_them(
    tmp_path: Path, postgres_url: str, batch: int
) -> None:
    async with open_world(
        tmp_path,
        DATABASE_URL=postgres_url,
        CONNECTOR_ENCRYPTION_KEY="YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="100",
    ) as world:
        members = [{"email": f"person-{n}@example.com", "user_id": f"user-{n}"} for n in range(PEOPLE - 1)]
        await world.get("launch_cohort_interviews", members=members, wait_seconds=20)
        await world.get("start_interview", email="alone@example.com", wait_seconds=20)
        said: dict[str, str] = {}
        for start in range(0, PEOPLE, batch):
            said |= await answer(world, range(start, min(start + batch, PEOPLE)))
            await scattered(world, postgres_url)

        joined = await rows(
            postgres_url,
            "SELECT DISTINCT i.id, s.interview_id FROM invitation i JOIN launch l ON l.id = i.launch_id, sync s "
            "JOIN inbox b USING (interview_id) WHERE i.xmin IN (s.xmin, b.xmin) OR l.xmin IN (s.xmin, b.xmin)",
        )
        # transactions one after the other, as the two of one rewriting are, join all of it to all of it
        by_rounds = await rows(
            postgres_url,
            "SELECT i.id, s.interview_id FROM invitation i, sync s "
            "WHERE abs(i.xmin::text::bigint - s.xmin::text::bigint) <= 2",
        )
        places = [
            [row[0] for row in await rows(postgres_url, f"SELECT {key} FROM {table} ORDER BY ctid")]
            for table, key in (("invitation", "id"), ("sync", "interview_id"))
        ]
    assert joined == []
    assert len(by_rounds) in {0, PEOPLE * PEOPLE}
    assert [said[one] for one in places[0]] != places[1]
    right = sum(said[one] == other for one, other in zip(*places, strict=True))
    assert right < PEOPLE / 2
    neighbours = set(pairwise(places[1]))
    assert sum((said[a], said[b]) in neighbours for a, b in pairwise(places[0])) < PEOPLE / 2
