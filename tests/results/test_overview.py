"""What get_overview says of the day, and of what waits for a person."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from connector.domain.lease import PAUSE_MESSAGES
from connector.ledger.db.dialect import is_sqlite
from connector.operations.get_overview import run as overview
from connector.service.execution.operation import Input
from tests.launches.test_cohort_webhook import COHORT_TOKEN, cohort_message, tell, users
from tests.ledger.conftest import desk as desk  # noqa: PLC0414 - a fixture
from tests.ledger.desk import Desk, persons
from tests.support.harness import DAY, QUICK, World, message, open_world, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        KOJI_DEFAULT_MODE="text",
        CONNECTOR_MAX_CREDITS_PER_DAY="20",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN,
        CONNECTOR_COHORT_APPROVE_ABOVE="2",
    ) as opened:
        yield opened


def people(*numbers: int) -> list[dict[str, str]]:
    return [{"email": f"person-{n:03}@example.com"} for n in numbers]


async def seen(world: World, **wanted: Any) -> dict[str, Any]:
    """Wait until the overview carries these values, `reasons` of the launches' pauses among them."""

    async def looked() -> Any:
        found = await world.get("get_overview")
        reasons = [one["pause_reason"] for one in found["launches"]]
        return found if {**found, "reasons": reasons} == {**found, "reasons": reasons, **wanted} else None

    found: dict[str, Any] = await until(looked)
    return found


@pytest.mark.e2e
async def test_a_day_on_which_nothing_happened_asks_for_nothing(world: World) -> None:
    found = await world.get("get_overview")
    day = time.strftime("%Y-%m-%d", time.gmtime(world.clock.seconds()))
    nothing: dict[str, Any] = {"skipped": {}, "failed": {}, "launches": [], "pauses": [], "next_step": None}
    counts = dict.fromkeys(("received", "synced", "pending", "credits_used", "credits_forecast"), 0)
    assert found == {
        "connection": "default",
        "day": day,
        "credits_cap": 20,
        "credits_each": 1,
        **nothing,
        **counts,
    }


@pytest.mark.e2e
async def test_every_interview_of_the_day_is_counted_by_what_became_of_it(world: World) -> None:
    await world.deliver(message("int-1"), message("int-2", 2, quality_score=1.0))
    await world.deliver(message("int-3", 3, anonymous=True))
    await world.ended("int-1", "int-2", "int-3")
    await world.fault("amplitude", "status", status=400, times=None)
    await world.deliver(message("int-4", 4))
    await world.ended("int-4")
    found = await world.get("get_overview")
    assert (found["received"], found["synced"], found["pending"]) == (4, 1, 0)
    assert found["skipped"] == {"below_quality_gate": 1, "anonymous": 1}
    assert found["failed"] == {"rejected_by_amplitude": 1}
    assert found["next_step"].startswith("1 interview of the last 7 days failed: list_syncs")
    world.move(DAY)
    tomorrow = await world.get("get_overview")
    assert (tomorrow["received"], tomorrow["failed"]) == (0, {})
    assert tomorrow["next_step"] == found["next_step"], "it still waits"
    world.move(7 * DAY)
    assert (await world.get("get_overview"))["next_step"] is None


@pytest.mark.e2e
async def test_a_launch_that_goes_on_by_itself_is_no_next_step(world: World) -> None:
    await world.fault("koji", "status", status=503, times=None)
    await world.get("launch_cohort_interviews", members=people(1, 2, 3), wait_seconds=0)
    found = await seen(world, credits_forecast=3, reasons=["koji_unreachable"])
    (launch,) = found["launches"]
    assert (launch["status"], launch["waiting"], launch["invited"]) == ("paused", 3, 0)
    assert launch["eta_seconds"] is None
    assert found["next_step"] is None
    await world.get("launch_cohort_interviews", members=people(*range(4, 40)), wait_seconds=0)
    assert (await world.get("get_overview"))["credits_forecast"] == 20, "the rest of the cap"
    await world.release("koji")
    world.move(61)
    spent = await seen(world, credits_used=20, reasons=["daily_credits"])
    assert (spent["credits_forecast"], spent["next_step"]) == (0, None)


@pytest.mark.e2e
async def test_a_pause_of_the_key_comes_before_all_else(world: World) -> None:
    await world.get("launch_cohort_interviews", members=people(50), dry_run=True)
    await world.fault("koji", "status", status=401, times=None)
    await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=0)
    found = await seen(world, next_step=PAUSE_MESSAGES["koji_key"], reasons=["koji_key", None])
    (pause,) = found["pauses"]
    assert (pause["upstream"], pause["reason"]) == ("koji", "koji_key")
    assert pause["message"] == found["next_step"]
    assert [one["status"] for one in found["launches"]] == ["paused", "planned"]
    assert found["credits_forecast"] == 0, "it does not go on by itself"
    await world.release("koji")
    world.move(3_600)
    await world.get("check_connection")
    paused = await seen(world, pauses=[])
    launch_id = paused["launches"][0]["launch_id"]
    assert paused["next_step"].startswith(f"Launch {launch_id} is paused (koji_key)")
    assert "resume_launch" in paused["next_step"]
    assert [one["status"] for one in paused["launches"]] == ["paused"], "the plan is expired"


@pytest.mark.e2e
async def test_people_who_wait_for_approval_come_before_a_paused_launch(world: World) -> None:
    await tell(world, cohort_message(0, users(1, 2, 3)))

    async def waits() -> Any:
        found = await world.get("get_overview")
        return found if found["next_step"] else None

    found: dict[str, Any] = await until(waits)
    (launch,) = found["launches"]
    assert (launch["pause_reason"], launch["waiting"]) == ("approval", 3)
    assert found["next_step"].startswith("3 people of “Onboarding drop-off” wait for approval")
    assert launch["launch_id"] in found["next_step"]


@pytest.mark.e2e
async def test_a_refused_webhook_counts_until_one_is_accepted(world: World) -> None:
    assert (await world.send(message("int-1"), secret="another")).status_code == 401

    async def noted() -> Any:
        found = await world.get("get_overview")
        return found if found["next_step"] else None

    found = await until(noted)
    assert found["next_step"].startswith("The last webhook was refused.")
    assert "KOJI_WEBHOOK_SECRET" in found["next_step"]
    await world.deliver(message("int-1"))
    assert (await world.get("get_overview"))["next_step"] is None


@pytest.mark.e2e
async def test_a_setting_that_is_missing_is_named(world: World) -> None:
    await world.reconfigure({"AMPLITUDE_API_KEY": ""})
    found = await world.get("get_overview")
    assert found["next_step"] == "Not set: AMPLITUDE_API_KEY. check_connection says where each comes from."


@pytest.mark.contract
async def test_launches_that_ended_are_left_out_and_no_upstream_is_needed(desk: Desk) -> None:
    done = await desk.launch(*persons(1))
    await desk.start_all()
    planned, runs = await desk.plan(*persons(2)), await desk.launch(*persons(3, 4))
    await desk.ledger.launches.cancel((await desk.launch(*persons(5))).id, desk.now)
    assert (desk.ctx.koji, desk.ctx.amplitude) == ({}, {})
    found = await overview(desk.ctx, Input(connection="default"))
    assert {one.launch_id: one.status for one in found.launches} == {
        planned.id: "planned",
        runs.id: "running",
    }
    assert done.id not in {one.launch_id for one in found.launches}
    desk.clock.advance(601)
    assert [one.launch_id for one in (await overview(desk.ctx, Input(connection="default"))).launches] == [
        runs.id
    ]


@pytest.mark.contract
async def test_no_large_table_is_scanned(desk: Desk) -> None:
    if not is_sqlite(desk.ledger.db._url):
        pytest.skip("a plan of SQLite")
    await desk.launch(*persons(1))
    with statements() as asked:
        await overview(desk.ctx, Input(connection="default"))
    assert any("FROM launch" in one for one, _ in asked)
    large = ("sync", "inbox", "launch", "invitation", "event", "alias")
    plans = [step for one in asked for step in await explained(desk, *one)]
    assert not [step for step in plans if step.startswith(tuple(f"SCAN {name}" for name in large))]
    assert any("INDEX launch_unfinished" in step for step in plans)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that SQLAlchemy runs, each with its parameters."""
    asked: list[tuple[str, Any]] = []

    def note(*run: Any) -> None:
        asked.append(run[2:4])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def explained(desk: Desk, statement: str, parameters: Any) -> list[str]:
    rows = await desk.ledger.db.read(
        lambda c: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    )
    return [row[3] for row in rows]
