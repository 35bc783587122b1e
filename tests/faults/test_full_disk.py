"""A disk that is full: what cannot be stored is not acknowledged, and all goes on once there is room again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from connector.ledger.db.schema import metadata
from tests.support import truth
from tests.support.cluster import PEERS
from tests.support.harness import QUICK, World, message, open_world, until

pytestmark = pytest.mark.e2e

_REFUSE = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""


def _limit(c: Connection, pages: int | None) -> None:
    """Let SQLite's file have no more pages than it has, or as many as it wants."""
    present = c.exec_driver_sql("PRAGMA page_count").scalar_one()
    c.exec_driver_sql(f"PRAGMA max_page_count={present if pages is None else pages}")


def _no_room(c: Connection) -> None:
    """Let PostgreSQL refuse every row as it does without room on its disk."""
    c.exec_driver_sql(_REFUSE)
    for table in metadata.tables:
        c.exec_driver_sql(
            f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
        )


def _room(c: Connection) -> None:
    c.exec_driver_sql("DROP FUNCTION full_disk CASCADE")


@asynccontextmanager
async def full_disk(world: World) -> AsyncIterator[None]:
    """Take the room away from the ledger's own connection."""
    is_sqlite = world.settings.database_url.startswith("sqlite")
    begin: Callable[[Connection], None] = partial(_limit, pages=None) if is_sqlite else _no_room
    end: Callable[[Connection], None] = partial(_limit, pages=1_000_000_000) if is_sqlite else _room
    await world.context.ledger.db.write(begin)
    yield
    await world.context.ledger.db.write(end)


async def test_a_full_disk_acknowledges_nothing_that_it_does_not_keep(
    tmp_path: Path, database_url: str
) -> None:
    async with open_world(
        tmp_path,
        DATABASE_URL=database_url,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_ENCRYPTION_KEY=PEERS["CONNECTOR_ENCRYPTION_KEY"],
    ) as world:
        await world.deliver(message("int-before"))
        await world.ended("int-before")
        acknowledged = {"int-before"}
        async with full_disk(world):
            refused = []
            for number in range(60):
                name = f"int-{number:03}"
                answer = await world.send(
                    message(name, number, transcript_url="https://koji.so/" + "x" * 8_000)
                )
                if answer.status_code == 200:
                    acknowledged.add(name)
                else:
                    assert answer.status_code == 503, answer.text
                    assert answer.headers["retry-after"]
                    refused.append((name, number))
            assert refused
            person = {"email": "ada@example.com", "user_id": "user-ada"}
            launched = await world.call("launch_cohort_interviews", members=[person], wait_seconds=0)
            assert launched.status_code in {200, 202, 503}
        for name, number in refused:
            await world.deliver(message(name, number, transcript_url="https://koji.so/" + "x" * 8_000))
            acknowledged.add(name)
        again = await world.get("launch_cohort_interviews", members=[person], wait_seconds=25)
        assert again["status"] == "finished", again

        async def is_done() -> bool:
            world.move(20)
            return not await world.context.ledger.db.read(truth.open_work)

        await until(is_done)
        counted = {one: world.completed().count(one) for one in world.completed()}
        await world.context.ledger.db.read(
            lambda c: truth.each_counts_once_or_is_parked(c, counted, acknowledged)
        )
        assert sorted(counted) == sorted(acknowledged)
        started = [one.email for one in world.sandbox.koji.store.interviews.values() if one.external_id]
        assert started == ["ada@example.com"]
        await world.context.ledger.db.read(truth.counters_are_true)
        await world.context.ledger.db.read(lambda c: truth.credits_are_true(c, 3))
