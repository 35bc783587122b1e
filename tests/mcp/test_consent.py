"""Nothing that can start interviews runs without a yes: asked, or shown as a plan first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from mcp_server.tools import consent
from tests.mcp import raw
from tests.mcp.clients import (
    SETTINGS,
    WAYS,
    Era,
    a_client,
    http_client,
    in_memory,
    people,
    refused,
    started,
    stdio_server,
    values_of,
)
from tests.support.harness import QUICK, World, open_world, serving, until

pytestmark = pytest.mark.e2e

ONE = {"members": people(1)}
TWO = {"members": people(1, 2), "wait_seconds": 20}
CAN_ASK = [way for way in WAYS if way != ("http", "legacy")]
IDS: Callable[[Any], str] = "-".join


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stdio").mkdir()
    return tmp_path / "stdio"


class Person:
    """The user of the client; remembers the questions."""

    def __init__(self, action: str = "accept") -> None:
        self.action = action
        self.thought = asyncio.Event()
        self.thought.set()
        self.asked = asyncio.Event()
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params.message)
        self.asked.set()
        await self.thought.wait()
        content: Any = {} if self.action == "accept" else None
        return ElicitResult(action=self.action, content=content)  # type: ignore[arg-type]


async def spent_nothing(world: World) -> None:
    assert started(world) == []
    # nor does anything that goes on by itself
    await world.idle()
    assert started(world) == []


# no user can be asked


@pytest.mark.parametrize("way", WAYS, ids=IDS)
async def test_without_a_way_to_ask_the_refusal_names_the_way_that_is_left(
    world: World, folder: Path, way: tuple[str, Era]
) -> None:
    async with a_client(way, world, folder) as client:
        launch = refused(await client.call_tool("launch_cohort_interviews", TWO), "consent_required")
        assert "plan_cohort_launch" in launch["message"]
        start = refused(
            await client.call_tool("start_interview", {"email": "a@example.com"}), "consent_required"
        )
        assert "plan_cohort_launch" in start["message"]
        assert "members" in start["message"]
        planned = values_of(await client.call_tool("plan_cohort_launch", ONE))
        resume = refused(
            await client.call_tool("resume_launch", {"launch_id": planned["launch_id"]}), "consent_required"
        )
        assert f"koji-amplitude resume-launch --launch-id {planned['launch_id']}" in resume["message"]
    await spent_nothing(world)


@pytest.mark.parametrize("way", WAYS, ids=IDS)
async def test_a_plan_is_consent_once(world: World, folder: Path, way: tuple[str, Era]) -> None:
    async with a_client(way, world, folder) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", TWO))
        assert started(world) == []
        asked = {"plan_token": planned["plan_token"], "wait_seconds": 20}
        first = values_of(await client.call_tool("launch_cohort_interviews", asked))
        again = values_of(await client.call_tool("launch_cohort_interviews", asked))
    assert first["launch_id"] == again["launch_id"] == planned["launch_id"]
    assert len(started(world)) == 2


@pytest.mark.parametrize(
    ("capabilities", "asks"),
    [
        ({}, False),
        ({"elicitation": {}}, True),
        ({"elicitation": {"form": {}}}, True),
        ({"elicitation": {"url": {}}}, False),
        ({"sampling": {}}, False),
    ],
)
async def test_only_a_client_that_shows_forms_is_asked(
    world: World, capabilities: dict[str, Any], asks: bool
) -> None:
    async with serving(world.app) as url:
        answer = await raw.call(url, "launch_cohort_interviews", ONE, capabilities=capabilities)
    assert (answer["result"]["resultType"] == "input_required") is asks, answer
    await spent_nothing(world)


# asked


@pytest.mark.parametrize("way", CAN_ASK, ids=IDS)
async def test_a_yes_launches_exactly_the_plan_that_was_shown(
    world: World, folder: Path, way: tuple[str, Era]
) -> None:
    person = Person()
    async with a_client(way, world, folder, elicitation_callback=person) as client:
        launched = values_of(await client.call_tool("launch_cohort_interviews", TWO))
        assert (launched["status"], launched["invited"]) == ("finished", 2)
        again = values_of(await client.call_tool("launch_cohort_interviews", TWO))
    (question,) = person.questions  # the second time no person is left to invite, so no question is asked
    assert "2 people" in question
    assert "2 Koji credits" in question
    assert again["to_invite"] == 0
    assert len(started(world)) == 2


@pytest.mark.parametrize("way", CAN_ASK, ids=IDS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_no_spends_nothing(world: World, folder: Path, way: tuple[str, Era], action: str) -> None:
    person = Person(action)
    async with a_client(way, world, folder, elicitation_callback=person) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", {"members": people(9)}))
        for name, arguments in (
            ("launch_cohort_interviews", TWO),
            ("start_interview", {"email": "a@example.com"}),
            ("resume_launch", {"launch_id": planned["launch_id"]}),
        ):
            refusal = refused(await client.call_tool(name, arguments), "consent_required")
            assert "nothing was spent" in refusal["message"]
    assert len(person.questions) == 3
    await spent_nothing(world)


@pytest.mark.parametrize("way", CAN_ASK, ids=IDS)
async def test_one_person_and_a_paused_launch_ask_too(
    world: World, folder: Path, way: tuple[str, Era]
) -> None:
    person = Person()
    async with a_client(way, world, folder, elicitation_callback=person) as client:
        one = values_of(
            await client.call_tool("start_interview", {"email": "a@example.com", "wait_seconds": 20})
        )
        assert one["status"] == "started", one
        await client.call_tool("resume_launch", {"launch_id": one["launch_id"]})
    assert "a@example.com" in person.questions[0]
    assert "1 Koji credit." in person.questions[0]
    assert one["launch_id"] in person.questions[1]
    assert len(started(world)) == 1


@pytest.mark.parametrize("way", CAN_ASK, ids=IDS)
async def test_a_dry_run_never_asks(world: World, folder: Path, way: tuple[str, Era]) -> None:
    person = Person()
    async with a_client(way, world, folder, elicitation_callback=person) as client:
        planned = values_of(await client.call_tool("launch_cohort_interviews", {**TWO, "dry_run": True}))
    assert planned["status"] == "planned"
    assert person.questions == []
    await spent_nothing(world)


async def test_a_question_without_an_answer_spends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the handshake era the question is inside the call; here the person thinks longer than it waits."""
    monkeypatch.setattr(consent, "PATIENCE_SECONDS", 0.3)
    person = Person()
    person.thought.clear()
    async with in_memory(world, person) as client:
        refusal = refused(await client.call_tool("launch_cohort_interviews", TWO), "consent_required")
        assert "not answered" in refusal["message"]
        person.thought.set()
        await spent_nothing(world)
    assert person.questions
    await spent_nothing(world)


async def test_a_client_that_hangs_up_while_asked_spends_nothing(world: World, folder: Path) -> None:
    person = Person()
    person.thought.clear()
    asked = {**TWO, "idempotency_key": "hung-up"}
    async with Client(stdio_server(world, folder), mode="legacy", elicitation_callback=person) as client:
        call = asyncio.create_task(client.call_tool("launch_cohort_interviews", asked))
        await person.asked.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        person.thought.set()
        await spent_nothing(world)

        async def is_free() -> Any:
            answer = await client.call_tool("launch_cohort_interviews", asked)
            running = answer.is_error and answer.structured_content["code"] == "idempotency_running"
            return None if running else answer

        # the key is free again, and what was left of the first call is taken up
        launched = values_of(await until(is_free))
    assert launched["invited"] == 2
    assert len(person.questions) == 2


# the answer of 2026-07-28, which travels by itself


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("launch_cohort_interviews", TWO),
        ("launch_cohort_interviews", {**TWO, "idempotency_key": "mine", "reinvite_after_days": 0}),
        ("start_interview", {"email": "person-001@example.com", "wait_seconds": 20}),
        (
            "start_interview",
            {"email": "person-001@example.com", "reinvite_after_days": 0, "wait_seconds": 20},
        ),
    ],
)
async def test_an_answer_that_comes_twice_spends_once(
    world: World, name: str, arguments: dict[str, Any]
) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, name, arguments)
        await spent_nothing(world)
        both = await asyncio.gather(*(raw.approve(url, name, arguments, state) for _ in range(2)))
        later = await raw.approve(url, name, arguments, state)
    count = len(arguments.get("members", [1]))
    assert len(started(world)) == count, [both, later]
    assert not later["result"]["isError"]


async def test_another_process_of_the_store_takes_the_answer(world: World) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", TWO)
    await world.restart()
    async with serving(world.app) as url:
        answer = await raw.approve(url, "launch_cohort_interviews", TWO, state)
    assert answer["result"]["structuredContent"]["invited"] == 2


async def test_an_answer_is_good_for_its_question_only(world: World) -> None:
    token = new_token()
    await world.context.ledger.tokens.create(a_token("another-caller", token))
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", TWO)
        more = {**TWO, "members": people(1, 2, 3)}
        for answer in (
            await raw.approve(url, "launch_cohort_interviews", more, state),
            await raw.approve(url, "start_interview", {"email": "a@example.com"}, state),
            await raw.approve(url, "launch_cohort_interviews", TWO, state[:-4] + "AAAA"),
            await raw.approve(url, "launch_cohort_interviews", TWO, "plan_of_mine"),
            await raw.approve(url, "launch_cohort_interviews", TWO, state, token=token),
        ):
            assert answer["error"]["code"] == -32602, answer
        await spent_nothing(world)


@pytest.mark.parametrize(
    "responses", [None, {}, {"approve": {"action": "decline"}}, {"other": dict(raw.YES)["approve"]}]
)
async def test_a_state_without_a_yes_spends_nothing(world: World, responses: Any) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", TWO)
        more = {} if responses is None else {"inputResponses": responses}
        answer = await raw.call(url, "launch_cohort_interviews", TWO, requestState=state, **more)
    assert answer["result"]["structuredContent"]["code"] == "consent_required", answer
    await spent_nothing(world)


# what stands above a yes


async def test_caps_stand_above_a_yes(world: World) -> None:
    await world.reconfigure(
        {"CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": "3", "CONNECTOR_MAX_CREDITS_PER_DAY": "2"}
    )
    person = Person()
    async with http_client(world, elicitation_callback=person) as client:
        over = {"members": people(1), "max_interviews": 4}
        refusal = refused(await client.call_tool("launch_cohort_interviews", over), "invalid_input")
        assert "cap of 3" in refusal["message"]
        many = {"members": people(*range(1, 9)), "wait_seconds": 3}
        launched = values_of(await client.call_tool("launch_cohort_interviews", many))
    assert "3 people" in person.questions[0]
    assert (launched["to_invite"], launched["invited"]) == (3, 2)
    assert launched["pause_reason"] == "daily_credits"
    assert len(started(world)) == 2


async def test_a_key_runs_once_whatever_is_approved(world: World) -> None:
    person = Person()
    asked = {**TWO, "reinvite_after_days": 0, "idempotency_key": "once"}
    async with http_client(world, elicitation_callback=person) as client:
        first = values_of(await client.call_tool("launch_cohort_interviews", asked))
        again = values_of(await client.call_tool("launch_cohort_interviews", asked))
        assert again["launch_id"] == first["launch_id"]
        assert (again["replayed"], first.get("replayed")) == (True, None)
        other = {**asked, "members": people(5)}
        refused(await client.call_tool("launch_cohort_interviews", other), "idempotency_mismatch")
    assert len(person.questions) == 1
    assert len(started(world)) == 2


async def test_a_plan_of_another_connection_is_refused(world: World) -> None:
    await world.restart(toml='[connections.second]\nkoji_project_id = "p"\n')
    async with http_client(world) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", TWO))
        asked = {"plan_token": planned["plan_token"], "connection": "second"}
        refused(await client.call_tool("launch_cohort_interviews", asked), "plan_mismatch")
    await spent_nothing(world)


def a_token(name: str, token: str, *scopes: str) -> Token:
    return Token(
        name=name,
        sha256=token_digest(token).hex(),
        scopes=scopes or ("read", "write", "send"),
        connections=None,
        created_at=0,
        revoked_at=None,
    )
