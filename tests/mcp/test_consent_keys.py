"""One idempotency key, with a yes and without: it is free until something was begun, and begins one thing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp.types import ElicitRequestParams, ElicitResult

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.mcp import raw
from tests.mcp.clients import http_client, people, refused, started, values_of
from tests.support.harness import World, serving

pytestmark = pytest.mark.e2e

KEY = {"idempotency_key": "once", "reinvite_after_days": 0, "wait_seconds": 10}
TWO = {**KEY, "members": people(1, 2)}
OTHERS = {**KEY, "members": people(3)}


class Person:
    """Answers one question after the other."""

    def __init__(self, *actions: Any) -> None:
        self._actions = list(actions)

    async def __call__(self, _: Any, __: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action=self._actions.pop(0))


async def test_a_key_that_was_declined_is_free_for_anything_until_a_yes(world: World) -> None:
    person: Any = Person("decline", "cancel", "decline", "accept")
    async with http_client(world, elicitation_callback=person) as client:
        for arguments in (TWO, TWO, OTHERS):
            refused(await client.call_tool("launch_cohort_interviews", arguments), "consent_required")
        assert started(world) == []
        launched = values_of(await client.call_tool("launch_cohort_interviews", TWO))
        refused(await client.call_tool("launch_cohort_interviews", OTHERS), "idempotency_mismatch")
        again = values_of(await client.call_tool("launch_cohort_interviews", TWO))
    assert again["launch_id"] == launched["launch_id"]
    async with http_client(world) as client:  # it was begun, so that no question is needed
        again = values_of(await client.call_tool("launch_cohort_interviews", TWO))
    assert (again["launch_id"], again["invited"]) == (launched["launch_id"], 2)
    assert len(started(world)) == 2


async def test_a_key_of_a_plan_token_is_for_that_plan(world: World) -> None:
    async with http_client(world) as client:
        refused(await client.call_tool("launch_cohort_interviews", TWO), "consent_required")
        one, other = [
            values_of(await client.call_tool("plan_cohort_launch", {"members": people(n)}))["plan_token"]
            for n in (1, 2)
        ]
        asked = {"plan_token": one, "idempotency_key": "once", "wait_seconds": 10}
        first, second = await asyncio.gather(
            *(client.call_tool("launch_cohort_interviews", asked) for _ in range(2))
        )
        done = [answer for answer in (first, second) if not answer.is_error]
        assert done, (first, second)
        refused(
            await client.call_tool("launch_cohort_interviews", {**asked, "plan_token": other}),
            "idempotency_mismatch",
        )
        values_of(await client.call_tool("launch_cohort_interviews", asked))
    assert len(started(world)) == 1


async def test_two_questions_with_one_key_are_one_interview(world: World) -> None:
    asked = {**KEY, "email": "person-001@example.com"}
    async with serving(world.app) as url:
        states = [(await raw.asked(url, "start_interview", asked))[1] for _ in range(3)]
        await asyncio.gather(*(raw.approve(url, "start_interview", asked, state) for state in states))
        for state in states:
            answer = (await raw.approve(url, "start_interview", asked, state))["result"]
            assert answer["structuredContent"]["status"] == "started", answer
    assert len(started(world)) == 1


async def test_a_caller_of_another_connection_can_use_neither_plan_nor_state(world: World) -> None:
    await world.restart(toml='[connections.second]\nkoji_project_id = "p"\n')
    token = new_token()
    scopes = ("read", "write", "send")
    named = Token("second-only", token_digest(token).hex(), scopes, connections=("second",), created_at=0)
    await world.context.ledger.tokens.create(named)
    async with serving(world.app) as url:
        members = {"members": people(1, 2)}
        plan = (await raw.call(url, "plan_cohort_launch", members))["result"]["structuredContent"]
        _, state = await raw.asked(url, "launch_cohort_interviews", members)
        by_plan = {"plan_token": plan["plan_token"]}
        for arguments, code in (
            (by_plan, "other_connection"),
            ({**by_plan, "connection": "default"}, "other_connection"),
            ({**by_plan, "connection": "second"}, "plan_mismatch"),
            (members, "other_connection"),
        ):
            answer = await raw.call(url, "launch_cohort_interviews", arguments, token=token)
            assert answer["result"]["structuredContent"]["code"] == code, answer
        answer = await raw.approve(url, "launch_cohort_interviews", members, state, token=token)
        assert answer["error"]["code"] == -32602, answer
        await world.idle()
    assert started(world) == []
