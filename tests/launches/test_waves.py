"""Waves: enough interviews, and few invitations more than they need."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from connector.domain.launches.waves import BETWEEN, DAY, Answer, next_wave
from tests.support.harness import DAY as SECONDS
from tests.support.harness import QUICK, World, message, open_world, until

NOW = 1_790_000_000_000
PEOPLE = [
    {"user_id": f"user-{n:03}", "email": f"p{n:03}@example.com", "properties": {"plan": "ab"[n % 2]}}
    for n in range(40)
]


def programme(target: int, rate: float, delay: float, seed: int) -> tuple[int, int]:
    """Run a programme with exponential delays (in days); return invitations and good interviews."""
    chance = random.Random(seed)
    invited: list[tuple[int, float]] = []
    now = NOW
    for _ in range(300):
        answers = [Answer(at, done <= now, done > now) for at, done in invited]
        wave = next_wave(target, answers, now)
        if wave.completed >= target:
            return len(invited), wave.completed
        for _ in range(wave.size):
            answers_at = now + chance.expovariate(1 / delay) * DAY if chance.random() < rate else float("inf")
            invited.append((now, answers_at))
        now += BETWEEN
    raise AssertionError("never enough")


@pytest.mark.unit
@pytest.mark.parametrize("target", [10, 40])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("delay", [0.3, 2.0])
def test_few_more_are_invited_than_the_true_rate_needs(target: int, rate: float, delay: float) -> None:
    ends = [programme(target, rate, delay, seed) for seed in range(40)]
    assert all(good >= target for _, good in ends)
    assert mean(invited for invited, _ in ends) <= 1.2 * target / rate


@pytest.mark.unit
def test_the_first_guess_holds_until_ten_are_a_day_old() -> None:
    nine = [Answer(NOW - DAY, is_good=True, is_open=False)] * 9
    assert next_wave(19, nine, NOW).size == 19  # 10 more at 20 % would be 50
    assert next_wave(19, [*nine, nine[0]], NOW).size == 9  # at 100 %


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, options=QUICK, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="1000"
    ) as opened:
        yield opened


async def shown(world: World, launch_id: str, **wanted: Any) -> dict[str, Any]:
    async def looked() -> Any:
        launch = await world.get("get_launch", launch_id=launch_id, limit=100)
        return launch if {**launch, **wanted} == launch else None

    launch: dict[str, Any] = await until(looked, 20)
    return launch


async def answer(world: World, launch: dict[str, Any], number: int, *, quality: float = 4.0) -> None:
    """Let the first `number` of those who were not asked before come back."""
    open_ = [one for one in launch["invitations"] if one["state"] == "started"][:number]
    for one in open_:
        ours = world.sandbox.koji.store.interviews[one["interview_id"]].external_id
        await world.deliver(
            message(f"back-{one['user_id']}", external_id=ours, respondent_email=None, quality_score=quality)
        )
        await world.ended(f"back-{one['user_id']}")


@pytest.mark.e2e
async def test_a_launch_goes_in_waves_and_stops_when_enough_came_back(world: World) -> None:
    began = await world.get("launch_cohort_interviews", members=PEOPLE, stop_after_completed=5, mode="text")
    launch = await shown(world, began["launch_id"], invited=5, waiting=35, status="running")
    assert launch["next_wave_at"] is not None
    assert (launch["completed"], launch["expected"]) == (0, 1)
    await answer(world, launch, 2)
    await answer(world, launch, 1, quality=1.0)  # which does not count
    world.move(3 * SECONDS + 1)
    launch = await shown(world, began["launch_id"], invited=10)
    await answer(world, launch, 3)
    world.move(SECONDS)
    launch = await shown(world, began["launch_id"], status="finished")
    assert (launch["invited"], launch["cancelled"], launch["waiting"]) == (10, 30, 0)
    called_off = await world.get("get_launch", launch_id=began["launch_id"], state="cancelled")
    assert {one["reason"] for one in called_off["invitations"]} == {"enough"}
    again = await world.get("plan_cohort_launch", members=PEOPLE)
    assert again["to_invite"] == 30


@pytest.mark.e2e
async def test_each_cell_of_a_quota_stops_by_itself(world: World) -> None:
    began = await world.get(
        "launch_cohort_interviews",
        members=PEOPLE,
        stop_after_completed=2,
        quota={"property": "plan", "per_value": 20},
        mode="text",
    )
    launch = await shown(world, began["launch_id"], invited=4)
    plans = {one["user_id"]: n % 2 for n, one in enumerate(PEOPLE)}
    of_a = [one for one in launch["invitations"] if plans[one["user_id"]] == 0]
    assert len(of_a) == 2
    await answer(world, {"invitations": of_a}, 2)
    world.move(3 * SECONDS + 1)
    launch = await shown(world, began["launch_id"], invited=6, cancelled=18, status="running")
    assert {cell["value"]: cell["completed"] for cell in launch["quota_cells"]} == {"a": 2, "b": 0}


@pytest.mark.e2e
async def test_others_start_while_a_launch_holds_its_people(world: World) -> None:
    began = await world.get("launch_cohort_interviews", members=PEOPLE, stop_after_completed=5, mode="text")
    await shown(world, began["launch_id"], invited=5)
    other = await world.get(
        "launch_cohort_interviews", members=[{"email": "ada@example.com"}], wait_seconds=20
    )
    assert (other["status"], other["next_wave_at"]) == ("finished", None)
