"""Of the order of invitations and anonymous answers the database keeps no more than the days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from connector.ledger.db.schema.events import event
from connector.ledger.db.schema.launches import invitation
from connector.ledger.db.schema.results import inbox
from tests.support.harness import DAY, QUICK, World, message, open_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

DAY_MS = 86_400_000


async def rows(world: World, *columns: Any, **where: str) -> list[Any]:
    query = select(*columns).filter_by(**where)
    return await world.context.ledger.db.read(lambda c: list(c.execute(query).all()))


async def answered_in_turn(world: World) -> list[str]:
    """Let each of three people be invited once the one before answered anonymously."""
    said = []
    for n in range(3):
        told = await world.get("start_interview", email=f"person-{n}@example.com", wait_seconds=20)
        ours = world.sandbox.koji.store.interviews[told["interview_id"]].external_id
        await world.deliver(message(told["interview_id"], external_id=ours, anonymous=True))
        await world.ended(told["interview_id"])
        said.append(told["interview_id"])
    await world.deliver(message("known"))
    await world.ended("known")
    return said


@pytest.mark.parametrize("on_postgres", [False, True])
async def test_neither_numbers_nor_times_order_them(
    tmp_path: Path, request: pytest.FixtureRequest, *, on_postgres: bool
) -> None:
    env = {"DATABASE_URL": request.getfixturevalue("postgres_url")} if on_postgres else {}
    env["CONNECTOR_ENCRYPTION_KEY"] = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
    async with open_world(tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, **env) as world:
        said = await answered_in_turn(world)

        async def scattered() -> bool:
            world.move(21)
            ids = await rows(world, inbox.c.id, inbox.c.interview_id)
            return all((row.id < 0) == (row.interview_id in said) for row in ids)

        await until(scattered)
        one_of_them = [row.id for row in await rows(world, invitation.c.id)]
        told = await rows(world, event.c.subject, event.c.at)
        assert {row.at % DAY_MS for row in told if row.subject in {*said, *one_of_them}} == {0}

        async def polled(trigger: str) -> int:
            return len((await world.client.get(f"/triggers/{trigger}")).json())

        async def hidden() -> bool:
            world.move(3_601)
            await world.idle()
            numbers = await rows(world, event.c.number, event.c.subject)
            return all(row.number < 0 for row in numbers if row.subject in {*said, *one_of_them})

        assert not await hidden()  # whoever polls has a day to see them
        world.move(3 * DAY)
        await until(hidden)
        assert (await polled("interview_skipped"), await polled("invitation_created")) == (3, 3)
        in_database = {row.subject: row.number for row in await rows(world, event.c.subject, event.c.number)}
        assert in_database["known"] > 0
        assert {row.interview_id for row in await rows(world, inbox.c.interview_id)} == {*said, "known"}
