"""`/mcp?readonly=1`, `?tools=` and `?connection=` take away, and never add."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.operations import OPERATIONS
from connector.service.execution.operation import Effect
from connector.service.tokens import new_token
from tests.console.visitor import visiting
from tests.mcp.clients import ERAS, SETTINGS, http_client
from tests.oauth.asking import CHOSEN, Asking
from tests.support.harness import QUICK, TOKEN, World, open_world

pytestmark = pytest.mark.e2e

READS = {op.name for op in OPERATIONS if op.effect is Effect.READ}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    toml = '[connections.second]\nkoji_project_id = "p"\n'
    async with open_world(tmp_path, options=QUICK, toml=toml, **SETTINGS) as opened:
        yield opened


@pytest.fixture
async def asking(world: World) -> AsyncIterator[Asking]:
    async with Asking.of(world) as client:
        yield client


def tools(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {tool["name"] for tool in answer.json()["result"]["tools"]}


def code(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["structuredContent"].get("code")


async def test_readonly_leaves_what_reads(asking: Asking) -> None:
    assert tools(await asking.list_tools(TOKEN, "?readonly=1")) == READS
    assert tools(await asking.list_tools(TOKEN, "?readonly=0")) == {op.name for op in OPERATIONS}
    refused = await asking.call(TOKEN, "cancel_launch", "?readonly=1", launch_id="lau_1")
    assert code(refused) == "missing_scope"
    said = refused.json()["result"]["content"][0]["text"]
    assert "This address only reads (?readonly=1)." in said
    assert "token create" not in said


async def test_the_instructions_name_only_what_is_listed(world: World) -> None:
    for era in ERAS:
        for query, gone, there in (
            ("", "search", "launch_cohort_interviews, get_launch"),
            ("?readonly=1", "launch_cohort_interviews", "check_connection"),
            ("?tools=list_cohorts", "check_connection", "data between marks"),
        ):
            async with http_client(world, era, query=query) as client:
                assert client.instructions is not None
                assert gone not in client.instructions
                assert there in client.instructions
                assert ("user's yes" in client.instructions) is (query == "")


async def test_tools_leaves_those_named(world: World, asking: Asking) -> None:
    query = "?tools=list_cohorts,get_launch"
    assert tools(await asking.list_tools(TOKEN, query)) == {"list_cohorts", "get_launch"}
    assert code(await asking.call(TOKEN, "list_cohorts", query)) is None
    assert code(await asking.call(TOKEN, "list_syncs", query)) == "other_tools"
    assert tools(await asking.list_tools(TOKEN, "?tools=list_cohorts,cancel_launch&readonly=1")) == {
        "list_cohorts"
    }


async def test_connection_leaves_one(asking: Asking) -> None:
    query = "?connection=second"
    assert code(await asking.call(TOKEN, "list_syncs", query, connection="second")) is None
    assert code(await asking.call(TOKEN, "list_syncs", query, connection="default")) == "other_connection"


async def test_nothing_is_added(world: World, asking: Asking) -> None:
    text = new_token()
    token = Token("reader", token_digest(text).hex(), ("read",), ("default",), 0)
    await world.context.ledger.tokens.create(token)
    assert tools(await asking.list_tools(text, "?readonly=0&tools=launch_cohort_interviews,list_syncs")) == {
        "list_syncs"
    }
    assert (await asking.list_tools(text, "?connection=second")).status_code == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?readonly=true", 422),
        ("?readonly=", 422),
        ("?tools=none", 422),
        ("?tools=", 422),
        ("?connection=x", 404),
        ("?readonly=1&readonly=0", 422),
        ("?tools=list_cohorts&tools=cancel_launch", 422),
        ("?connection=default&connection=second", 422),
        ("?TOOLS=list_cohorts", 422),
        ("?tools[]=list_cohorts", 422),
        ("?read_only=1", 422),
        ("?Connection=second", 422),
        ("?x=1&x=2&session=7&token=none", 200),
    ],
)
async def test_a_value_that_cannot_be_meant_is_refused(asking: Asking, query: str, status: int) -> None:
    answer = await asking.list_tools(TOKEN, query)
    assert answer.status_code == status
    if status == 422:  # in a form that clients of MCP show
        error = answer.json()["error"]
        assert error["code"] == -32602
        assert error["message"].startswith(f"{query[1:].partition('=')[0]}: ")


async def test_a_grant_is_narrowed_and_its_client_is_not_told_to_ask_for_more(
    world: World, asking: Asking
) -> None:
    async with visiting(world.app, world.settings.public_url) as person:
        await person.sign_in()
        given = await asking.tokens(person, {**CHOSEN, "scope_send": "on"})
    text = given["access_token"]
    assert tools(await asking.list_tools(text, "?readonly=1")) == READS
    assert code(await asking.call(text, "launch_cohort_interviews", "?readonly=1")) == "missing_scope"
    assert (await asking.call(text, "cancel_launch", "?readonly=1")).status_code == 403
