"""A plan that takes long is answered with a handle; the question waits until the plan is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.types import ElicitRequestParams, ElicitResult

from tests.mcp.clients import SETTINGS, http_client, started, values_of
from tests.support.harness import QUICK, MovableClock, StandingClock, World, open_world, until

pytestmark = pytest.mark.e2e

DOWNLOAD_SECONDS = 300.0
COHORT = {"cohort_id": "cohort-1", "wait_seconds": 0}


@pytest.fixture(params=[MovableClock])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    settings: dict[str, Any] = SETTINGS
    options = replace(QUICK, cohort_job_seconds=DOWNLOAD_SECONDS)
    async with open_world(tmp_path, options=options, clock=request.param(), **settings) as opened:
        members = [{"user_id": f"user-{n}", "email": f"person-{n}@example.com"} for n in range(1_500)]
        await opened.control(
            "POST", "/amplitude/cohorts", {"id": "cohort-1", "name": "Dropped off", "members": members}
        )
        yield opened


async def test_a_launch_that_is_still_planned_is_a_handle_then_a_plan_then_a_launch(world: World) -> None:
    questions: list[str] = []

    async def person(_: Any, asked: ElicitRequestParams) -> ElicitResult:
        questions.append(asked.message)
        return ElicitResult(action="accept", content={})

    async with http_client(world, elicitation_callback=person) as client:
        call = asyncio.create_task(client.call_tool("launch_cohort_interviews", COHORT))

        async def begun() -> Any:
            return (await world.get("list_launches"))["items"]

        await until(begun)

        async def answered() -> bool:
            world.move(3)
            return call.done()

        await until(answered)
        handle = values_of(await call)
        assert (handle["status"], handle["plan_token"]) == ("planning", None)
        world.move(DOWNLOAD_SECONDS)

        async def planned() -> Any:
            found = values_of(await client.call_tool("get_launch", {"launch_id": handle["launch_id"]}))
            world.move(5)
            return found if found["status"] != "planning" else None

        plan = await until(planned)
        assert (plan["status"], plan["to_invite"], plan["skipped"]) == ("planned", 1_000, {"over_limit": 500})
        assert (started(world), questions) == ([], [])
        token = {"plan_token": plan["plan_token"], "wait_seconds": 0}
        launched = values_of(await client.call_tool("launch_cohort_interviews", token))
        assert launched["launch_id"] == handle["launch_id"]
        assert launched["status"] in {"planning", "running"}
        assert questions == [], "the plan was shown, that is the question"


@pytest.mark.parametrize("world", [StandingClock], indirect=True)
async def test_planning_without_waiting_answers_at_once_however_large_the_cohort_is(world: World) -> None:
    async with http_client(world) as client:
        handle = values_of(await client.call_tool("plan_cohort_launch", COHORT))
    assert (handle["status"], handle["plan_token"]) == ("planning", None)
    assert started(world) == []
