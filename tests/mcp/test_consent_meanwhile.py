"""What happens between the question and the yes: the yes is for what was shown, and the caps stand above it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.types import ElicitRequestParams, ElicitResult

from tests.mcp import raw
from tests.mcp.clients import SETTINGS, in_memory, people, refused, started, values_of
from tests.support.harness import World, serving, until
from tests.support.processes import Process

pytestmark = pytest.mark.e2e

TWO = {"members": people(1, 2), "wait_seconds": 10}
ONE = {"email": "person-001@example.com", "reinvite_after_days": 0, "wait_seconds": 10}
COHORT_TOKEN = "a-cohort-token-of-the-tests"


def invited(world: World) -> list[Any]:
    return sorted(one.metadata["email"] for one in started(world))


async def test_a_plan_that_was_launched_meanwhile_is_launched_once(world: World) -> None:
    asked = {**TWO, "reinvite_after_days": 0, "idempotency_key": "one"}
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", asked)
        (launch,) = (await world.get("list_launches"))["items"]
        plan = await world.get("get_launch", launch_id=launch["launch_id"])
        token = {"plan_token": plan["plan_token"], "wait_seconds": 10}
        by_token, by_yes = await asyncio.gather(
            raw.call(url, "launch_cohort_interviews", token),
            raw.approve(url, "launch_cohort_interviews", asked, state),
        )
    assert by_token["result"]["structuredContent"]["invited"] == 2
    assert by_yes["result"]["structuredContent"]["launch_id"] == launch["launch_id"]
    assert len(started(world)) == 2


async def test_a_person_who_is_erased_meanwhile_is_not_invited(world: World) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", TWO)
        await world.get("forget_respondent", email="person-001@example.com")
        answer = await raw.approve(url, "launch_cohort_interviews", TWO, state)
    assert answer["result"]["structuredContent"]["invited"] == 1, answer
    assert invited(world) == ["person-002@example.com"]


async def test_a_cap_that_is_lowered_meanwhile_stands_above_the_yes(world: World) -> None:
    many = {"members": people(1, 2, 3, 4), "wait_seconds": 10}
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", many)
    await world.reconfigure({"CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "1"})
    async with serving(world.app) as url:
        answer = await raw.approve(url, "launch_cohort_interviews", many, state)
    values = answer["result"]["structuredContent"]
    assert (values["invited"], values["skipped"]) == (1, {"over_limit": 3}), values
    assert len(started(world)) == 1


async def test_the_daily_cap_stands_above_every_yes(world: World) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "1"})
    async with serving(world.app) as url:
        for number in (1, 2, 3):
            one = {**ONE, "email": f"person-00{number}@example.com", "wait_seconds": 1}
            _, state = await raw.asked(url, "start_interview", one)
            await raw.approve(url, "start_interview", one, state)
        (launch, *_) = (await world.get("list_launches"))["items"]
        resume = {"launch_id": launch["launch_id"], "wait_seconds": 1}
        _, state = await raw.asked(url, "resume_launch", resume)
        await raw.approve(url, "resume_launch", resume, state)
        await world.idle()
    assert len(started(world)) == 1


async def test_people_who_came_after_the_question_are_not_in_the_yes(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0", AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN)
    launch_id = await a_launch_that_waits(world, 1, 2)
    resume = {"launch_id": launch_id, "wait_seconds": 2}
    async with serving(world.app) as url:
        question, state = await raw.asked(url, "resume_launch", resume)
        assert "2 people" in question
        await a_launch_that_waits(world, 3, 4, 5, in_all=5)
        answer = (await raw.approve(url, "resume_launch", resume, state))["result"]
        assert answer["structuredContent"]["code"] == "consent_required", answer
        await world.idle()
        assert started(world) == []
        question, state = await raw.asked(url, "resume_launch", resume)
        assert "5 people" in question
        answer = (await raw.approve(url, "resume_launch", resume, state))["result"]
    assert answer["structuredContent"]["invited"] == 5, answer


async def test_people_who_came_while_the_person_was_asked_are_not_in_the_yes(world: World) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0", AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN)
    launch_id = await a_launch_that_waits(world, 1, 2)

    async def slow_person(_: Any, asked: ElicitRequestParams) -> ElicitResult:
        assert "2 people" in asked.message
        await a_launch_that_waits(world, 3, 4, 5, in_all=5)
        return ElicitResult(action="accept", content={})

    async with in_memory(world, slow_person) as client:
        answer = await client.call_tool("resume_launch", {"launch_id": launch_id, "wait_seconds": 1})
    assert answer.structured_content["code"] == "consent_required", answer
    await world.idle()
    assert started(world) == []


async def test_the_question_tells_that_other_launches_go_on_with_the_key(world: World) -> None:
    async with serving(world.app) as url:
        await world.fault("koji", "status", status=402, route="start", times=1)
        paused, _ = [
            await world.get("launch_cohort_interviews", members=people(*numbers), wait_seconds=1)
            for numbers in ((1, 2), (3, 4, 5))
        ]
        assert paused["pause_reason"] == "koji_credits"
        resume = {"launch_id": paused["launch_id"], "wait_seconds": 5}
        question, state = await raw.asked(url, "resume_launch", resume)
        assert "2 people" in question
        assert "Other launches" in question
        await raw.approve(url, "resume_launch", resume, state)
        question, _ = await raw.asked(url, "resume_launch", resume)
        assert "Other launches" not in question

        async def all_are_there() -> bool:
            return len(started(world)) == 5

        await until(all_are_there)


async def test_a_doubtful_start_is_repeated_once_for_one_yes(world: World) -> None:
    await world.fault("koji", "status_after_accept", status=500, route="start", times=1)
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "start_interview", ONE)
        launch = (await raw.approve(url, "start_interview", ONE, state))["result"]["structuredContent"]
        assert launch["status"] == "in_doubt", launch
        await raw.approve(url, "start_interview", ONE, state)
        assert len(started(world)) == 1, "a yes that comes again is not a second try"
        resume = {"launch_id": launch["launch_id"], "in_doubt": "retry", "wait_seconds": 5}
        await world.fault("koji", "status_after_accept", status=500, route="start", times=1)
        question, state = await raw.asked(url, "resume_launch", resume)
        assert "second interview" in question
        await asyncio.gather(*(raw.approve(url, "resume_launch", resume, state) for _ in range(3)))
        await raw.approve(url, "resume_launch", resume, state)
        await world.idle()
    assert len(started(world)) == 2


async def test_a_person_who_thinks_longer_than_a_key_is_claimed_starts_one_interview(world: World) -> None:
    """Another call with the key takes the claim over meanwhile, and is approved first."""
    asked = {**ONE, "idempotency_key": "long-thought"}
    thinking = asyncio.Event()
    questions: list[str] = []

    async def person(_: Any, question: ElicitRequestParams) -> ElicitResult:
        questions.append(question.message)
        if len(questions) == 1:
            await thinking.wait()
        return ElicitResult(action="accept", content={})

    async def is_asked() -> bool:
        return bool(questions)

    async with in_memory(world, person) as client:
        first = asyncio.create_task(client.call_tool("start_interview", asked))
        await until(is_asked)
        refused(await client.call_tool("start_interview", asked), "idempotency_running")
        world.move(61)
        second = values_of(await client.call_tool("start_interview", asked))
        thinking.set()
        assert values_of(await first)["launch_id"] == second["launch_id"]
    assert len(questions) == 2
    assert len(started(world)) == 1


async def test_two_processes_take_one_yes_once(world: World, tmp_path: Path) -> None:
    """The same answer goes to both at once, for each door."""
    await world.stop()
    settings = {**SETTINGS, "CONNECTOR_API_TOKEN": "a-token-of-the-tests"}
    both = [Process(tmp_path, world.sandbox_url, lease_ms=2_000, more=settings) for _ in range(2)]
    try:
        async with httpx.AsyncClient(verify=False) as client:
            await asyncio.gather(*(one.ready(client) for one in both))
        one_of_them, other = (one.url for one in both)
        doors = [
            ("launch_cohort_interviews", {"members": people(1, 2), "reinvite_after_days": 0}),
            ("start_interview", {**ONE, "email": "person-003@example.com"}),
            ("start_interview", {**ONE, "email": "person-004@example.com", "idempotency_key": "mine"}),
        ]
        for name, arguments in doors:
            _, state = await raw.asked(one_of_them, name, arguments)
            urls = [one_of_them, other] * 2
            await asyncio.gather(*(raw.approve(url, name, arguments, state) for url in urls))

        async def all_are_there() -> bool:
            return len(started(world)) >= 4

        await until(all_are_there)
        await asyncio.sleep(0.5)
        assert invited(world) == [f"person-00{n}@example.com" for n in (1, 2, 3, 4)]
    finally:
        for process in both:
            process.kill()


async def a_launch_that_waits(world: World, *numbers: int, in_all: int | None = None) -> str:
    """Let a cohort's webhook bring people who wait for approval; return the launch's id."""
    rows = [
        {"user_id": one["user_id"], "user_properties": {"email": one["email"]}} for one in people(*numbers)
    ]
    message = {
        "cohort_name": "Dropped off",
        "cohort_id": "cohort-1",
        "in_cohort": True,
        "computed_time": "1790000000",
        "message_id": f"message::enter::{numbers[0]}",
        "users": rows,
    }
    headers = {"Authorization": f"Bearer {COHORT_TOKEN}"}
    answer = await world.client.post("/webhooks/amplitude/cohorts", json=message, headers=headers)
    assert answer.status_code == 200, answer.text

    async def waits() -> Any:
        items = (await world.get("list_launches"))["items"]
        return next((one for one in items if one["waiting"] == (in_all or len(numbers))), None)

    launch_id: str = (await until(waits))["launch_id"]
    return launch_id
