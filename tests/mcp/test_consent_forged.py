"""A yes that the server did not ask for, or asked too long ago, is none."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from mcp.server import request_state

from tests.mcp import raw
from tests.mcp.clients import people, started
from tests.mcp.lines import HANDSHAKE, lines
from tests.support.harness import TOKEN, World, serving

pytestmark = pytest.mark.e2e

TWO = {"members": people(1, 2), "wait_seconds": 5}
ONE = {"email": "person-001@example.com", "wait_seconds": 5}
DOORS = [("launch_cohort_interviews", TWO), ("start_interview", ONE)]
FORGED: list[dict[str, Any]] = [
    {"inputResponses": dict(raw.YES)},
    {"inputResponses": dict(raw.YES), "requestState": "plan_of_mine"},
    {"inputResponses": dict(raw.YES), "requestState": ""},
    {"inputResponses": dict(raw.YES), "requestState": None},
    {"inputResponses": dict(raw.YES), "requestState": {"approve": True}},
]
NO_YES: list[Any] = [
    {"approve": {"action": "ACCEPT"}},
    {"approve": {"action": "accept "}},
    {"approve": {"content": {"action": "accept"}}},
    {"approve": True},
    {"approve": "accept"},
    {"approve": {"roots": []}},
    {"approve": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "accept"}}},
    {"Approve": {"action": "accept", "content": {}}},
    [{"action": "accept"}],
]


async def spent_nothing(world: World) -> None:
    await world.idle()
    assert started(world) == []


def is_refused(answer: dict[str, Any]) -> bool:
    if "error" in answer:
        return bool(answer["error"]["code"] == -32602)
    return bool(answer["result"]["structuredContent"]["code"] == "consent_required")


async def test_no_client_answers_a_question_that_was_not_asked(world: World) -> None:
    async with serving(world.app) as url:
        for (name, arguments), forged in product(DOORS, FORGED):
            answer = await raw.call(url, name, arguments, **forged)
            asks = answer.get("result", {}).get("resultType") == "input_required"
            assert asks or is_refused(answer), answer
            assert is_refused(await raw.call(url, name, arguments, capabilities={}, **forged))
    await spent_nothing(world)


async def test_the_handshake_era_knows_no_such_answers_over_http(world: World) -> None:
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": HANDSHAKE,
    }
    async with serving(world.app) as url, httpx.AsyncClient(headers=headers, verify=False) as client:
        for (name, arguments), forged in product(DOORS, FORGED):
            params = {"name": name, "arguments": arguments, **forged}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await client.post(f"{url}/mcp", json=body)
            text = answer.text
            assert "consent_required" in text or "-32602" in text, text
    await spent_nothing(world)


async def test_the_handshake_era_knows_no_such_answers_over_stdio(world: World, folder: Path) -> None:
    async with lines(world, folder, {}) as client:
        for (name, arguments), forged in product(DOORS, FORGED):
            answer = await client.tool(name, arguments, **forged)
            assert is_refused(answer), answer
    await spent_nothing(world)


@pytest.mark.parametrize(("elicitation", "asks"), [({}, True), ({"form": {}}, True), ({"url": {}}, False)])
async def test_the_handshake_declares_whether_forms_can_be_shown(
    world: World, folder: Path, elicitation: dict[str, Any], asks: bool
) -> None:
    async with lines(world, folder, {"elicitation": elicitation}) as client:
        call = await client.begin("start_interview", ONE)
        if asks:
            question = await client.asked()
            await client.answer(question["id"], {"action": "decline"})
        assert is_refused(await client.answered(call))
    await spent_nothing(world)


async def test_a_state_is_good_for_ten_minutes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "start_interview", ONE)
        later = SimpleNamespace(time=lambda: time.time() + 601)
        monkeypatch.setattr(request_state, "time", later)
        assert is_refused(await raw.approve(url, "start_interview", ONE, state))
    await spent_nothing(world)


async def test_a_question_whose_plan_expired_is_asked_anew(world: World) -> None:
    asked = {**TWO, "idempotency_key": "slow-person"}
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "launch_cohort_interviews", asked)
        world.move(601)
        answer = (await raw.approve(url, "launch_cohort_interviews", asked, state))["result"]
        assert answer["structuredContent"]["code"] == "plan_expired", answer
        await spent_nothing(world)
        # the key is not lost with the plan
        _, state = await raw.asked(url, "launch_cohort_interviews", asked)
        answer = (await raw.approve(url, "launch_cohort_interviews", asked, state))["result"]
    assert answer["structuredContent"]["invited"] == 2, answer


async def test_an_answer_that_only_looks_like_a_yes_is_none(world: World) -> None:
    async with serving(world.app) as url:
        _, state = await raw.asked(url, "start_interview", ONE)
        for yes in NO_YES:
            answer = await raw.call(url, "start_interview", ONE, requestState=state, inputResponses=yes)
            assert is_refused(answer), answer
    await spent_nothing(world)
