"""Koji, Amplitude or the connector away for days: the clock is moved, nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fakes import Counted
from tests.support.harness import DAY, World, message, open_world, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def arrive(world: World, *interview_ids: str, step: float = 61) -> None:
    """Let time pass until Amplitude has exactly these."""

    async def arrived() -> bool:
        world.move(step)
        return sorted(world.completed()) == sorted(interview_ids)

    await until(arrived)


async def test_a_week_without_koji_delays_what_must_be_read_and_nothing_else(
    world: World, counted: Counted
) -> None:
    await world.fault("koji", "status", status=503, times=None)
    ids = [f"int-{n}" for n in range(6)]
    for number, interview_id in enumerate(ids):
        await world.interview(interview_id, number)
    await world.deliver(*({"interview_id": one} for one in ids))
    await world.deliver(message("int-whole", 9))
    for _ in range(7):
        await world.seen("int-0", status="pending")
        world.move(DAY)
    # a week took milliseconds: the lane may just have had to take its lease again
    await world.ended("int-whole")
    assert world.completed() == ["int-whole"]
    await world.control("DELETE", "/koji/faults")
    await arrive(world, "int-whole", *ids)
    calls = len(world.sandbox.koji.calls)
    counted(f"7 days without Koji, {calls} calls of it: {len(ids) + 1} interviews counted, none twice")


async def test_a_koji_key_that_was_revoked_pauses_the_reads_until_it_is_good_again(world: World) -> None:
    await world.interview("int-1")
    await world.control("POST", "/koji/switches", {"permissions": []})
    await world.deliver({"interview_id": "int-1"})
    await until(world.context.ledger.leases.pauses)
    calls = len(world.sandbox.koji.calls)
    world.move(300)
    await world.deliver({"interview_id": "int-2", "event": "interview.completed"}, message("int-3", 3))
    await world.ended("int-3")
    assert len(world.sandbox.koji.calls) == calls, "a paused key is left alone"
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert (answer.status_code, answer.json()["code"]) == (502, "credentials_rejected")
    assert "interview:read" in answer.json()["detail"]
    await world.control("POST", "/koji/switches", {"permissions": ["interview:read"]})
    await world.get("check_connection")
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_two_days_without_amplitude_delay_everything_and_keep_the_order(world: World) -> None:
    await world.fault("amplitude", "status", status=503, times=None)
    days = range(10, 16)
    await world.deliver(*(message(f"int-{d}", 1, completed_at=f"2026-11-{d}T10:00:00Z") for d in days))
    for _ in range(48):
        world.move(3600)
    await world.seen("int-10", status="pending", reason="amplitude_unavailable")
    await world.control("DELETE", "/amplitude/faults")
    await arrive(world, *(f"int-{d}" for d in days))
    assert world.properties("person-001@example.com")["last_interview_at"] == "2026-11-15T10:00:00Z"


async def test_five_days_of_unknown_outcomes_count_once(world: World, counted: Counted) -> None:
    await world.fault("amplitude", "status_after_accept", status=502, times=None)
    await world.deliver(message("int-1"))
    for attempts in range(1, 6):

        async def settled(wanted: int = attempts) -> bool:
            answer = await world.call("get_sync", interview_id="int-1")
            return answer.status_code == 200 and len(answer.json()["attempts"]) >= wanted

        await until(settled)
        world.move(DAY - 60)
    await world.control("DELETE", "/amplitude/faults")

    async def synced() -> bool:
        world.move(61)
        return bool((await world.get("list_syncs", status="synced"))["items"])

    await until(synced)
    assert world.completed() == ["int-1"]
    assert world.sandbox.amplitude.store.duplicates >= 2 * 5
    counted(f"5 days of unknown outcomes, {len(world.requests)} requests: 1 interview counted, once")


async def test_a_connector_that_was_away_for_a_month_goes_on_where_it_was(world: World) -> None:
    await world.restart(workers=False)
    await world.deliver(message("int-1"), {"event": "interview.completed", "interview_id": "int-2"})
    await world.interview("int-2", 2)
    await world.stop()
    world.clock.move(30 * DAY)
    await world.start(workers=True)
    await world.ended("int-1", "int-2")
    assert sorted(world.completed()) == ["int-1", "int-2"]


async def test_a_clock_that_was_set_back_stops_nothing_for_long(world: World) -> None:
    await world.deliver(message("int-1"))
    await world.ended("int-1")
    await world.stop()
    world.clock.move(-3600)
    await world.start()
    await world.deliver(message("int-2", 2))
    await world.interview("int-3", 3)
    await world.deliver({"interview_id": "int-3"})
    await world.ended("int-2", "int-3")
    assert sorted(world.completed()) == ["int-1", "int-2", "int-3"]
