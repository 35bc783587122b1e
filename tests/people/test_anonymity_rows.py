"""What a database keeps by itself of rows that changed together joins no interview to its invitation."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.harness import QUICK, World, message, open_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

PEOPLE = 24
LEFT = "SELECT (SELECT count(*) FROM sync WHERE scatter = 1) + (SELECT count(*) FROM invitation WHERE scatter = 1)"


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


async def invited_and_answered(
    world: World, batch: int, rewritten: Callable[[], Awaitable[None]]
) -> dict[str, str]:
    """Invite people, and let so many answer at a time in the order of their invitations; see `answer`."""
    members = [{"email": f"person-{n}@example.com", "user_id": f"user-{n}"} for n in range(PEOPLE - 1)]
    await world.get("launch_cohort_interviews", members=members, wait_seconds=20)
    await world.get("start_interview", email="alone@example.com", wait_seconds=20)
    said: dict[str, str] = {}
    for start in range(0, PEOPLE, batch):
        said |= await answer(world, range(start, min(start + batch, PEOPLE)))
        await rewritten()
    return said


async def scattered(world: World, url: str) -> None:
    """Wait until no row is left to be rewritten."""

    async def done() -> bool:
        world.move(21)
        return bool((await rows(url, LEFT))[0][0] == 0)

    await until(done)


@pytest.mark.parametrize("batch", [1, pytest.param(4, marks=pytest.mark.proof), PEOPLE])
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
        said = await invited_and_answered(world, batch, lambda: scattered(world, postgres_url))
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
    assert_joins_nothing([said[one] for one in places[0]], places[1])


def leaves(data: bytes, page: int, size: int) -> Iterator[bytes]:
    """Yield the rows of a table in SQLite's file: page by page, as they lie in each."""
    start = (page - 1) * size
    head = start + (100 if page == 1 else 0)
    kind, cells = data[head], int.from_bytes(data[head + 3 : head + 5], "big")
    pointers = data[head + (12 if kind == 5 else 8) :][: 2 * cells]
    places = [int.from_bytes(pointers[at : at + 2], "big") for at in range(0, 2 * cells, 2)]
    if kind == 13:
        ends = sorted([*places, size])
        yield from (data[start + place : start + ends[ends.index(place) + 1]] for place in sorted(places))
        return
    for child in (*(data[start + place :][:4] for place in places), data[head + 8 : head + 12]):
        yield from leaves(data, int.from_bytes(child, "big"), size)


@pytest.mark.parametrize("batch", [1, pytest.param(4, marks=pytest.mark.proof), PEOPLE])
async def test_neither_rows_nor_pages_nor_the_log_of_sqlite_join_them(tmp_path: Path, batch: int) -> None:
    path = tmp_path / "ledger.db"
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="100"
    ) as world:
        said = await invited_and_answered(world, batch, lambda: sqlite_scattered(world, path))
        log = path.with_name("ledger.db-wal")

        async def is_empty() -> bool:
            held = log.read_bytes()
            return not any(one.encode() in held for pair in said.items() for one in pair)

        await until(is_empty)
        with closing(sqlite3.connect(path)) as db:
            size = db.execute("PRAGMA page_size").fetchone()[0]
            tables = (("invitation", "id", [*said]), ("sync", "interview_id", [*said.values()]))
            orders = []
            for table, key, ids in tables:
                by_row = [row[0] for row in db.execute(f"SELECT {key} FROM {table} ORDER BY rowid")]
                root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
                in_file = [*leaves(path.read_bytes(), root, size)]
                by_page = [one for row in in_file for one in ids if one.encode() in row]
                assert sorted(by_page) == sorted(by_row) == sorted(ids)
                orders.append((by_row, by_page))
    for mine, theirs in product(*orders):
        assert_joins_nothing([said[one] for one in mine], theirs)


def assert_joins_nothing(mine: list[str], theirs: list[str]) -> None:
    """Check that the order of one table's rows, as interviews, does not tell that of the other's.

    Of twelve in random order half are neighbours by chance in one of a hundred, of 24 in one of a million.
    """
    assert sum(one == other for one, other in zip(mine, theirs, strict=True)) < PEOPLE / 2
    neighbours = {*pairwise(theirs), *pairwise(theirs[::-1])}
    assert sum(pair in neighbours for pair in pairwise(mine)) < PEOPLE / 2


async def sqlite_scattered(world: World, path: Path) -> None:
    async def done() -> bool:
        world.move(21)
        with closing(sqlite3.connect(path)) as db:
            return bool(db.execute(LEFT).fetchone()[0] == 0)

    await until(done)
