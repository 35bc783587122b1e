"""A wall clock that jumps and comes back: nothing is lost, nothing is stuck, nothing is pruned early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from connector.domain.trusted_time import TrustedTime
from tests.support.fakes import NOW
from tests.support.harness import DAY, QUICK, World, message, open_world, until

MINUTE, HOUR = 60_000, 3_600_000
JUMPS = [-3_600, 7_200, 400 * DAY]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="100"
    ) as opened:
        yield opened


async def there_and_back(world: World, seconds: float) -> None:
    """Let the workers see another time, and then the right one again."""
    world.clock.jump(seconds)
    world.move(21)
    await world.idle()
    world.clock.jump(-seconds)
    world.move(21)


@pytest.mark.unit
class TestTrustedTime:
    def test_it_goes_as_the_clock_that_never_jumps(self) -> None:
        time = TrustedTime(None)
        assert time.now(NOW, 5) == NOW
        assert time.now(NOW + MINUTE, 5 + MINUTE) == NOW + MINUTE
        assert time.now(NOW + 400 * HOUR, 5 + 2 * MINUTE) == NOW + 2 * MINUTE
        assert time.now(NOW - HOUR, 5 + 3 * MINUTE) == NOW - HOUR, "never later than the wall clock"

    def test_a_start_long_after_the_run_before_is_confirmed_by_an_hour(self) -> None:
        time = TrustedTime(NOW)
        later = NOW + 400 * 24 * HOUR
        assert time.now(later, 0) is None
        assert time.now(later + 30 * MINUTE, 30 * MINUTE) is None
        assert time.now(later + 61 * MINUTE, 61 * MINUTE) == later + 61 * MINUTE

    def test_a_clock_that_jumps_within_that_hour_begins_another(self) -> None:
        time = TrustedTime(NOW)
        later = NOW + 400 * 24 * HOUR
        assert time.now(later, 0) is None
        assert time.now(later - 10 * HOUR, 50 * MINUTE) is None
        assert time.now(later - 9 * HOUR - 50 * MINUTE, 61 * MINUTE) is None
        assert time.now(later - 8 * HOUR - 59 * MINUTE, 111 * MINUTE) is not None

    def test_a_clock_put_right_at_once_is_trusted_again(self) -> None:
        time = TrustedTime(NOW)
        assert time.now(NOW + 400 * 24 * HOUR, 0) is None
        assert time.now(NOW + HOUR, 5) == NOW + HOUR


@pytest.mark.e2e
@pytest.mark.parametrize("seconds", JUMPS)
async def test_what_waits_for_amplitude_goes_on_when_the_clock_is_right(world: World, seconds: float) -> None:
    await world.fault("amplitude", "status", status=503, times=None)
    await world.deliver(message("int-1"))
    await world.seen("int-1", status="pending")
    await there_and_back(world, seconds)
    await world.release("amplitude")
    assert (await world.ended("int-1"))["status"] == "synced"


@pytest.mark.e2e
@pytest.mark.parametrize("seconds", JUMPS)
async def test_what_waits_for_koji_goes_on_when_the_clock_is_right(world: World, seconds: float) -> None:
    await world.interview("int-1")
    await world.fault("koji", "status", status=503, times=None)
    await world.deliver({"event": "interview.completed", "interview_id": "int-1"})
    await there_and_back(world, seconds)
    await world.release("koji")
    assert (await world.ended("int-1"))["status"] == "synced"


@pytest.mark.e2e
@pytest.mark.parametrize("seconds", [25 * 3_600, 400 * DAY])
async def test_a_day_that_did_not_pass_ends_no_wait_for_an_analysis(tmp_path: Path, seconds: float) -> None:
    slow = replace(QUICK, analysis_seconds=1_000 * DAY)
    async with open_world(tmp_path, options=slow, KOJI_PROJECT_ID=QUICK.koji_project_id) as world:

        async def are_read(n: int) -> bool:
            world.context.wake()
            return len(world.sandbox.koji.calls) >= n

        await world.interview("int-1", state="processing")
        await world.deliver({"event": "interview.completed", "interview_id": "int-1"})
        await until(partial(are_read, 1))
        world.clock.jump(seconds)
        world.move(301)
        await until(partial(are_read, 2))
        await world.idle()
        assert (await world.get("get_sync", interview_id="int-1"))["status"] == "pending"
        await world.deliver(message("int-1"))
        assert (await world.ended("int-1"))["status"] == "synced"


@pytest.mark.e2e
@pytest.mark.parametrize("seconds", JUMPS)
async def test_an_open_invitation_keeps_its_result(world: World, seconds: float) -> None:
    launched = await world.get(
        "launch_cohort_interviews", members=[{"email": "ann@example.com"}], wait_seconds=10
    )
    plan = await world.get("plan_cohort_launch", members=[{"email": "ben@example.com"}], wait_seconds=10)
    await there_and_back(world, seconds)
    (one,) = world.sandbox.koji.store.interviews.values()
    await world.deliver(message("int-1", respondent_email=None, external_id=one.external_id))
    assert (await world.ended("int-1"))["user_id"] == "ann@example.com"
    shown = await world.get("get_launch", launch_id=launched["launch_id"])
    assert shown["invitations"][0]["email"] == "ann@example.com"
    assert (await world.get("get_launch", launch_id=plan["launch_id"]))["status"] == "planned"


@pytest.mark.e2e
async def test_a_start_at_a_time_far_ahead_deletes_nothing(world: World) -> None:
    await world.deliver(message("int-1"))
    await world.ended("int-1")
    await world.stop()
    world.clock.jump(400 * DAY)
    await world.start()
    world.move(21)
    await world.idle()
    assert (await world.get("get_sync", interview_id="int-1"))["user_id"] == "person-001@example.com"
    await world.restart()  # rows of now do not confirm this time
    await world.idle()
    assert (await world.get("get_sync", interview_id="int-1"))["user_id"] == "person-001@example.com"


@pytest.mark.e2e
async def test_a_jump_is_told(world: World) -> None:
    async def clock() -> str:
        checks = (await world.get("check_connection"))["checks"]
        return next(str(check["message"]) for check in checks if check["name"] == "clock")

    assert "evenly" in await clock()
    world.clock.jump(7_200)
    world.move(21)

    async def told() -> bool:
        return "jumped by +7,200 s" in await clock()

    await until(told)
