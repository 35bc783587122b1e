"""What a promise is worth once everything that names a person is gone with the retention."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.harness import DAY, QUICK, World, message, open_world, until

pytestmark = pytest.mark.e2e

WHOM = {"email": "vera.retained@example.com", "user_id": "member-vera", "name": "Vera Retained"}
DAYS = 30


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_RETENTION_DAYS=str(DAYS)
    ) as opened:
        yield opened


async def pruned(world: World, *texts: str) -> None:
    """Move past the retention; wait until nothing of the texts is left in the files' bytes."""
    world.move((DAYS + 2) * DAY)

    async def gone() -> bool:
        world.move(3_601)
        return not any(text.encode() in everything(world.folder) for text in texts)

    await until(gone)


def everything(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.iterdir() if one.name.startswith("ledger"))


async def test_after_pruning_nobody_is_asked_twice_and_nothing_counted_twice(world: World) -> None:
    first = await world.get("start_interview", **WHOM)
    (started,) = world.sandbox.koji.store.interviews.values()
    body = message(started.interview_id, respondent_email=WHOM["email"], external_id=started.external_id)
    await world.deliver(body)
    await world.ended(started.interview_id)
    assert world.completed() == [started.interview_id]
    await pruned(world, *WHOM.values())

    for alias in ({"email": "VERA.retained@example.com"}, {"user_id": WHOM["user_id"]}):
        again = await world.get("start_interview", **alias)
        assert (again["status"], again["launch_id"]) == ("already_invited", first["launch_id"])
        plan = await world.get("plan_cohort_launch", members=[alias])
        assert plan["skipped"] == {"already_invited": 1}
    assert len(world.sandbox.koji.store.interviews) == 1

    await world.send(body)  # the same bytes
    await world.deliver({**body, "quality_score": 4.9})  # and others about the same interview
    receipt = await world.seen(started.interview_id, status="synced")
    assert receipt["user_id"] is None
    assert world.completed() == [started.interview_id]


async def test_after_pruning_whoever_was_forgotten_stays_so(world: World) -> None:
    await world.deliver(message("int-1", respondent_email=WHOM["email"]))
    await world.ended("int-1")
    told = await world.get("forget_respondent", email=WHOM["email"], wait_seconds=20)
    assert told["status"] == "finished"
    await pruned(world, *WHOM.values())
    await world.deliver(message("int-2", respondent_email=WHOM["email"].upper()))
    assert (await world.ended("int-2"))["reason"] == "suppressed"
    await world.deliver(message("int-1", respondent_email=None, external_id=None, themes=["more"]))
    assert world.completed() == ["int-1"]
    plan = await world.get("plan_cohort_launch", members=[WHOM])
    assert plan["skipped"] == {"suppressed": 1}


async def test_whoever_is_forgotten_after_pruning_is_still_found(world: World) -> None:
    await world.deliver(message("int-1", respondent_email=WHOM["email"]))
    await world.ended("int-1")
    await pruned(world, *WHOM.values())
    told = await world.get("forget_respondent", email=WHOM["email"], wait_seconds=20)
    assert (told["total"], told["skipped"]) == (1, {"suppressed": 1})
    assert not {name for name in world.properties(WHOM["email"]) if name.startswith("last_interview")}


async def test_what_a_launch_was_given_goes_once_it_is_over(world: World) -> None:
    people = [
        {**WHOM, "properties": {"nick": "Vee-of-the-hills", "team": "Vera-and-no-one-else"}},
        {"email": "other@example.com"},
    ]
    given = {
        "members": people,
        "metadata": {"crm": "vera-in-the-crm"},
        "segment_by": "nick",
        "quota": {"property": "team", "values": {"Vera-and-no-one-else": 1}},
        "idempotency_key": "one",
    }
    launched = await world.get("launch_cohort_interviews", wait_seconds=20, **given)
    assert launched["status"] == "finished"
    repeated = await world.get("launch_cohort_interviews", **given)
    assert repeated["segments"] == launched["segments"] != []
    texts = ("Vee-of-the-hills", "Vera-and-no-one-else", "vera-in-the-crm")
    with closing(sqlite3.connect(world.folder / "ledger.db")) as db:
        ((body,),) = db.execute("SELECT body FROM idempotency WHERE body LIKE '%lau_%'")
    assert not [text for text in texts if text in body]
    await pruned(world, *WHOM.values(), *texts)
    later = await world.get("get_launch", launch_id=launched["launch_id"])
    assert (later["quota_cells"], later["segments"], later["completed"]) == ([], [], 0)


async def test_a_launch_that_runs_keeps_what_koji_gets(world: World) -> None:
    await world.fault("koji", "status", status=402)
    call = {"members": [WHOM, {"email": "other@example.com"}], "metadata": {"crm": "vera-in-the-crm"}}
    launched = await world.get("launch_cohort_interviews", wait_seconds=20, **call)
    assert launched["status"] == "paused"
    world.move((DAYS + 2) * DAY)
    for _ in range(3):
        world.move(3_601)
        await world.idle()
    assert b"vera-in-the-crm" in everything(world.folder)
