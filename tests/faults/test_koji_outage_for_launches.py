"""Koji is away for half an hour in the middle of launches: at most two starts are in doubt, nobody is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import Counted
from tests.support.harness import QUICK, World, message, open_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MINUTES = 30
BEFORE, DURING = 5, 3  # people of the launch that meets the outage, and of one that begins in it
Fault = dict[str, Any]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("connector.net.client._CALL_SECONDS", 0.1)  # so that a timeout need not be waited for
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="1000"
    ) as opened:
        yield opened


def people(*numbers: int) -> list[dict[str, str]]:
    return [{"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com"} for n in numbers]


async def launch(world: World, *numbers: int) -> str:
    launched = await world.get(
        "launch_cohort_interviews", members=people(*numbers), mode="text", wait_seconds=0
    )
    return str(launched["launch_id"])


async def shown(world: World, *launch_ids: str) -> list[Any]:
    return [await world.get("get_launch", launch_id=one) for one in launch_ids]


async def minutes(world: World, number: int) -> None:
    """Let minutes pass, and Koji be called in them."""
    calls = len(world.sandbox.koji.calls)
    world.move(61 * number)

    async def called() -> bool:
        return len(world.sandbox.koji.calls) > calls

    await until(called)
    await until(world.context.ledger.leases.pauses)


async def finished(world: World, *launch_ids: str) -> list[Any]:
    async def ended() -> list[Any] | None:
        world.move(10)
        found = await shown(world, *launch_ids)
        return found if {one["status"] for one in found} == {"finished"} else None

    found = await until(ended)
    assert found is not None
    return found


async def outage(
    world: World, start: Fault, read: Fault, *, restart: bool = False, every: int = 2
) -> tuple[list[Any], int]:
    """Let Koji be away for half an hour; return the launches after it, and how many starts reached Koji in it."""
    store = world.sandbox.koji.store
    await world.fault("koji", **start, route="start", times=None)
    await world.fault("koji", **read, route="read", times=None)
    await world.interview("int-heard-of", 99)
    reached = len(store.interviews)
    ids = [await launch(world, *range(BEFORE))]
    await world.deliver({"interview_id": "int-heard-of"})
    for step in range(MINUTES // every):
        await minutes(world, every)
        if step == 1:
            ids.append(await launch(world, *range(BEFORE - 1, BEFORE + DURING)))
        if step == 2 and restart:
            await world.restart()
        if step == 3:
            refused = await world.call("start_interview", email="other@example.com")
            assert (refused.status_code, refused.json()["code"]) == (409, "koji_unreachable")
        seen = await shown(world, *ids)
        assert sum(one["in_doubt"] for one in seen) <= 2, f"after {(step + 1) * every} minutes"
    assert {(one["status"], one["pause_reason"]) for one in seen} == {("paused", "koji_unreachable")}
    assert all(one["resumes_at"] for one in seen)
    assert sum(one["waiting"] + one["in_doubt"] for one in seen) == BEFORE + DURING
    reached = len(store.interviews) - reached
    await world.control("DELETE", "/koji/faults")
    return await finished(world, *ids), reached


async def nobody_is_lost(world: World, launches: list[Any], doubtful: int, reached: int) -> None:
    """Check that all others were started once, and that doubtful starts which happened are recognised."""
    first, second = launches
    assert second["skipped"] == {"already_invited": 1}
    assert (first["in_doubt"] + second["in_doubt"], first["failed"], second["failed"]) == (doubtful, 0, 0)
    assert first["invited"] + second["invited"] == BEFORE + DURING - doubtful
    started = [one for one in world.sandbox.koji.store.interviews.values() if one.external_id]
    assert len(started) == BEFORE + DURING - doubtful + reached
    assert set(Counter(one.email for one in started).values()) == {1}
    assert (await world.ended("int-heard-of"))["status"] == "synced"
    for one in started[:reached]:
        await world.deliver(message(one.interview_id, external_id=one.external_id))
        assert (await world.ended(one.interview_id))["status"] == "synced"
    again = await shown(world, *(one["launch_id"] for one in launches))
    assert sum(one["in_doubt"] for one in again) == doubtful - reached
    left = await world.get("resume_launch", launch_id=first["launch_id"], in_doubt="retry", wait_seconds=5)
    assert (left["in_doubt"], left["invited"]) == (0, BEFORE)
    assert len([one for one in world.sandbox.koji.store.interviews.values() if one.external_id]) == (
        BEFORE + DURING
    )


GONE: Fault = {"kind": "status", "status": 504}


@pytest.mark.parametrize(
    ("start", "read", "reached"),
    [
        pytest.param(GONE, GONE, 0, id="504"),
        pytest.param(
            {"kind": "status_after_accept", "status": 504}, GONE, 2, id="504 of starts that happened"
        ),
        pytest.param({"kind": "cut"}, {"kind": "cut"}, 0, id="cut"),
        pytest.param({"kind": "cut_after_accept"}, {"kind": "cut"}, 2, id="cut of starts that happened"),
        pytest.param({"kind": "not_json"}, {"kind": "not_json"}, 0, id="somebody else's page"),
    ],
)
async def test_half_an_hour_of_unknown_outcomes_leaves_two_in_doubt(
    world: World, start: Fault, read: Fault, reached: int, counted: Counted
) -> None:
    launches, happened = await outage(world, start, read)
    assert happened == reached
    await nobody_is_lost(world, launches, 2, reached)
    calls = len(world.sandbox.koji.calls)
    counted(
        f"{MINUTES} minutes away, {calls} calls: 2 starts in doubt, {BEFORE + DURING} people started, none twice"
    )


async def test_half_an_hour_of_timeouts_leaves_two_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.net.client._CALL_SECONDS", 0.25)  # instead of 20: these pass in real time
    await world.restart()
    slow = {"kind": "slow", "seconds": 0.6}
    launches, happened = await outage(world, slow, slow, every=5)
    assert happened == 2, "Koji did at last what it was asked"
    await nobody_is_lost(world, launches, 2, 2)


async def test_half_an_hour_of_refusals_leaves_nobody_in_doubt(world: World) -> None:
    away = {"kind": "status", "status": 503}
    launches, happened = await outage(world, away, away)
    assert happened == 0
    await nobody_is_lost(world, launches, 0, 0)


async def test_a_restart_in_the_outage_puts_nobody_else_in_doubt(world: World) -> None:
    launches, happened = await outage(world, GONE, GONE, restart=True)
    assert happened == 0
    await nobody_is_lost(world, launches, 2, 0)


async def test_starts_that_fail_alone_are_in_doubt_one_by_one_and_others_go_on(world: World) -> None:
    """Reads answer sanely: every two doubtful starts are followed by one read, and the launch goes on."""
    await world.fault("koji", **GONE, route="start", times=5)
    launch_id = await launch(world, *range(BEFORE + DURING))
    (ended,) = await finished(world, launch_id)
    assert (ended["in_doubt"], ended["invited"]) == (5, BEFORE + DURING - 5)
    routes = [call.route for call in world.sandbox.koji.calls]
    assert routes == ["start"] * 2 + ["read"] + ["start"] * 2 + ["read"] + ["start"] * 4


async def test_at_kojis_limit_a_launch_runs_on_more_slowly(world: World) -> None:
    await world.fault("koji", kind="status", status=429, route="start", times=None)
    launch_id = await launch(world, *range(BEFORE))

    async def slowed() -> Any:
        (one,) = await shown(world, launch_id)
        return one if one["message"] else None

    for _ in range(8):  # the pauses grow
        await minutes(world, 2)
        one = await until(slowed)
        assert (one["status"], one["pause_reason"], one["resumes_at"]) == ("running", None, None)
        assert "limit" in one["message"]
        assert one["eta_seconds"] > 0
    assert one["eta_seconds"] > 30  # the pause counts
    (single,) = [await world.call("start_interview", email="other@example.com", wait_seconds=0)]
    assert (single.status_code, single.json()["status"]) == (202, "pending")
    await world.release("koji")
    (ended,) = await finished(world, launch_id)
    assert (ended["invited"], ended["in_doubt"], ended["message"]) == (BEFORE, 0, None)
    assert (await world.client.get("/triggers/launch_paused")).json() == []


async def test_see_other_leaves_a_start_in_doubt(world: World) -> None:
    await world.fault("koji", kind="redirect", status=303, location="https://koji.example/1", route="start")
    launch_id = await launch(world, *range(BEFORE))
    (ended,) = await finished(world, launch_id)
    assert (ended["in_doubt"], ended["invited"]) == (1, BEFORE - 1)


async def test_a_caller_waits_while_koji_is_away(world: World) -> None:
    await world.fault("koji", kind="status", status=503, route="start", times=2)
    people = [{"user_id": f"user-{n}", "email": f"person-{n}@example.com"} for n in range(BEFORE)]
    waiting = asyncio.create_task(world.get("launch_cohort_interviews", members=people, wait_seconds=25))

    async def away() -> Any:
        return await world.context.ledger.leases.pauses()

    await until(away)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    ended = await waiting
    assert (ended["status"], ended["invited"]) == ("finished", BEFORE)
