"""Interface 3.2: Koji is read only for what is missing, also when somebody asks for a sync again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import World, message, open_world

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def reads(world: World) -> int:
    total: int = (await world.control("GET", "/koji/calls"))["total"]
    return total


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"quality_score": 2}, "below_quality_gate"),
        ({"anonymous": True}, "anonymous"),
        ({"respondent_email": None, "external_id": "somebody-else"}, "anonymous"),
        ({"event": "interview.failed_quality_gate", "quality_score": None}, "below_quality_gate"),
    ],
)
async def test_a_skip_that_is_certain_is_not_read_again(
    world: World, told: dict[str, Any], reason: str
) -> None:
    await world.deliver(message("int-1", **told))
    assert (await world.ended("int-1"))["reason"] == reason
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["reason"]) == ("skipped", reason)
    assert await reads(world) == 0


async def test_a_user_id_that_amplitude_would_refuse_stays_so_without_a_read(world: World) -> None:
    await world.deliver(message("int-1", respondent_email="none"))
    await world.ended("int-1")
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_user_id")
    assert await reads(world) == 0


async def test_a_skip_for_a_missing_score_is_read_again(world: World) -> None:
    first = await world.get(
        "sync_interview_to_amplitude", interview_id="int-1", respondent_email="a@example.com"
    )
    assert first["reason"] == "no_quality_score"
    await world.interview("int-1")
    again = await world.get("sync_interview_to_amplitude", interview_id="int-1")
    assert (again["status"], again["quality_score"]) == ("synced", 4.0)


async def test_force_reads_a_certain_skip(world: World) -> None:
    await world.deliver(message("int-1", quality_score=2))
    await world.ended("int-1")
    await world.interview("int-1", quality_score=4.5)
    again = await world.get("sync_interview_to_amplitude", interview_id="int-1", force=True)
    assert (again["status"], again["quality_score"]) == ("synced", 4.5)
