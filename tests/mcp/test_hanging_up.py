"""A client that hangs up in the middle cancels nothing durable, and each launch is begun once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.mcp import raw
from tests.mcp.clients import Era, a_client, http_client, people, refused, started, stdio_server, values_of
from tests.mcp.lines import lines
from tests.support.harness import World, serving, until

pytestmark = pytest.mark.e2e

SIX = {"members": people(1, 2, 3, 4, 5, 6), "wait_seconds": 20}
KEYED = {**SIX, "idempotency_key": "hung-up"}
ASKABLE: dict[str, Any] = {"elicitation": {}}


async def hang_up(world: World, call: Coroutine[Any, Any, Any]) -> None:
    """Give up on a call once Koji's stand-in keeps waiting what it asks for."""
    running = asyncio.create_task(call)
    await world.held("koji")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def are_started(world: World, count: int) -> None:
    async def enough() -> bool:
        return len(started(world)) >= count

    await until(enough)


async def slow_starts(world: World, seconds: float) -> None:
    await world.fault("koji", "slow", route="start", seconds=seconds, times=None)


async def all_are_started_once(world: World, count: int = 6) -> None:
    await are_started(world, count)
    await world.idle()
    assert len(started(world)) == len({one.external_id for one in started(world)}) == count


async def test_closing_the_connection_after_a_yes_launches_everybody_once(world: World) -> None:
    await world.hold("koji", "start", after=2)
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", KEYED)
        await hang_up(world, raw.approve(url, "launch_cohort_interviews", KEYED, state))
        await are_started(world, 2)  # the third may be held before the second is answered
        await world.release("koji")
        again = await raw.approve(url, "launch_cohort_interviews", KEYED, state)
    assert again["result"]["structuredContent"]["invited"] == 6, again
    await all_are_started_once(world)


@pytest.mark.parametrize("rest", [0.0, 0.02, 0.05])
async def test_closing_the_connection_at_any_moment_leaves_no_key_stuck(world: World, rest: float) -> None:
    """Without a key of the caller's the state is the key."""
    await slow_starts(world, 0.05)
    one = {"email": "person-001@example.com", "reinvite_after_days": 0, "wait_seconds": 10}
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "start_interview", one)
        call = asyncio.create_task(raw.approve(url, "start_interview", one, state))
        await asyncio.sleep(rest)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        async def settled() -> Any:
            answer = (await raw.approve(url, "start_interview", one, state))["result"]["structuredContent"]
            return answer if answer.get("code") != "idempotency_running" else None

        assert (await until(settled))["status"] == "started"
    await all_are_started_once(world, 1)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_client_that_gives_up_on_a_plan_token_finds_its_launch(world: World, era: Any) -> None:
    await world.hold("koji", "start")
    async with http_client(world, era) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", SIX))
        asked = {"plan_token": planned["plan_token"], "wait_seconds": 20, "idempotency_key": "mine"}
        await hang_up(world, client.call_tool("launch_cohort_interviews", asked))
        await world.release("koji")
        again = values_of(await client.call_tool("launch_cohort_interviews", asked))
    assert (again["launch_id"], again["invited"]) == (planned["launch_id"], 6)
    await all_are_started_once(world)


async def test_a_call_that_is_cancelled_over_stdio_goes_on(world: World, folder: Path) -> None:
    await world.hold("koji", "start")
    async with Client(stdio_server(world, folder)) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", SIX))
        asked = {"plan_token": planned["plan_token"], "wait_seconds": 20, "idempotency_key": "mine"}
        await hang_up(world, client.call_tool("launch_cohort_interviews", asked))
        await world.release("koji")
        again = values_of(await client.call_tool("launch_cohort_interviews", asked))
    assert (again["launch_id"], again["invited"]) == (planned["launch_id"], 6)
    await all_are_started_once(world)


@pytest.mark.parametrize("way", [("http", "auto"), ("stdio", "legacy")], ids="-".join)
async def test_a_client_that_comes_back_gets_the_answer_of_koji(
    world: World, folder: Path, way: tuple[str, Era]
) -> None:
    """The operation itself is in the middle here, not the waiting after it."""
    await world.hold("koji", "complete")
    async with a_client(way, world, folder) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", {"members": people(1)}))
        token = {"plan_token": planned["plan_token"], "wait_seconds": 10}
        launched = values_of(await client.call_tool("launch_cohort_interviews", token))
        asked = {"interview_id": launched["invitations"][0]["interview_id"], "idempotency_key": "end"}
        await hang_up(world, client.call_tool("complete_interview", asked))
        refused(await client.call_tool("complete_interview", asked), "idempotency_running")
        await world.release("koji")

        async def outcomes() -> list[str | None]:
            told = await client.call_tool("list_audit", {"operation": "complete_interview"})
            return [one["outcome"] for one in values_of(told)["items"]]

        async def is_done() -> bool:
            return (await outcomes())[-1] == "done"

        await until(is_done)
        again = await client.call_tool("complete_interview", asked)
        found = await outcomes()
    assert values_of(again)["status"] == "completed"
    assert found == ["replayed", "idempotency_running", "done"]


async def test_closing_standard_input_in_the_middle_leaves_the_rest_to_the_next_process(
    world: World, folder: Path
) -> None:
    await slow_starts(world, 1.0)
    async with lines(world, folder, ASKABLE) as client:
        await client.begin("launch_cohort_interviews", KEYED)
        question = await client.asked()
        await client.answer(question["id"], {"action": "accept", "content": {}})

        async def some() -> bool:
            return bool(started(world))

        await until(some)
        assert await client.hang_up() == 0
    assert len(started(world)) < 6, "the hanging up should be in the middle"
    await world.release("koji")
    async with lines(world, folder, ASKABLE) as client:
        again = await client.tool("launch_cohort_interviews", KEYED)
        assert again["result"]["structuredContent"]["invited"] == 6, again
    await all_are_started_once(world)


async def test_closing_standard_input_while_asked_ends_the_process_and_spends_nothing(
    world: World, folder: Path
) -> None:
    async with lines(world, folder, ASKABLE) as client:
        await client.begin("launch_cohort_interviews", KEYED)
        await client.asked()
        assert await client.hang_up() == 0
    async with lines(world, folder, ASKABLE) as client:
        await asyncio.sleep(0.5)
        assert started(world) == []
        # the key is free, and the person is asked again
        await client.begin("launch_cohort_interviews", KEYED)
        question = await client.asked()
        assert "6 people" in question["params"]["message"]
    assert started(world) == []


async def test_a_yes_to_a_call_that_was_cancelled_spends_nothing(world: World, folder: Path) -> None:
    async with lines(world, folder, ASKABLE) as client:
        for name, arguments in (
            ("launch_cohort_interviews", SIX),
            ("start_interview", {"email": "person-001@example.com"}),
        ):
            call = await client.begin(name, arguments)
            question = await client.asked()
            await client.send("notifications/cancelled", requestId=call, reason="gone")
            await client.answer(question["id"], {"action": "accept", "content": {}})
        shown = await client.tool("list_launches", {})  # the server is well
        assert not shown["result"]["isError"]
        assert await client.hang_up() == 0
    assert started(world) == []


async def test_a_yes_that_comes_twice_inside_a_call_spends_once(world: World, folder: Path) -> None:
    one = {"email": "person-001@example.com", "reinvite_after_days": 0, "wait_seconds": 10}
    async with lines(world, folder, ASKABLE) as client:
        call = await client.begin("start_interview", one)
        question = await client.asked()
        for _ in range(2):
            await client.answer(question["id"], {"action": "accept", "content": {}})
        answer = (await client.answered(call))["result"]
        await client.answer(question["id"], {"action": "accept", "content": {}})
        assert answer["structuredContent"]["status"] == "started", answer
        assert not (await client.tool("list_launches", {}))["result"]["isError"]
    await all_are_started_once(world, 1)


async def test_a_plan_that_is_hung_up_on_is_only_a_plan(world: World) -> None:
    async with serving(world.app) as url:
        for rest in (0.0, 0.01, 0.05):
            call = asyncio.create_task(raw.call(url, "launch_cohort_interviews", KEYED))
            await asyncio.sleep(rest)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await world.idle()
        assert started(world) == []

        async def asked() -> bool:
            result = (await raw.call(url, "launch_cohort_interviews", KEYED))["result"]
            return bool(result["resultType"] == "input_required")

        assert await until(asked)
    async with http_client(world) as client:
        refused(await client.call_tool("launch_cohort_interviews", SIX), "consent_required")
