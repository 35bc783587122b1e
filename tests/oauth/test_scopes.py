"""What a grant lets its client do, and how it learns what it lacks."""

from __future__ import annotations

import pytest

from connector.operations import OPERATIONS
from connector.service.execution.operation import Effect
from tests.console.visitor import Visitor
from tests.oauth.asking import CHOSEN, Asking
from tests.support.harness import TOKEN, World

pytestmark = pytest.mark.e2e


async def test_a_missing_scope_is_named_in_status_header_and_body(asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person)
    answer = await asking.call(given["access_token"], "launch_cohort_interviews", cohort_id="abc")
    assert answer.status_code == 403
    told = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in told
    assert 'scope="read send"' in told
    assert "/.well-known/oauth-protected-resource/mcp" in told
    body = answer.json()
    assert (body["jsonrpc"], body["id"]) == ("2.0", 7)
    assert body["error"]["data"] == {"scope": "send"}
    assert "launch_cohort_interviews needs the scope send" in body["error"]["message"]


async def test_connector_tokens_are_answered_as_before(world: World, asking: Asking) -> None:
    answer = await asking.call(TOKEN, "launch_cohort_interviews")
    assert answer.status_code == 200


async def test_only_tools_of_the_grant_are_listed(asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person, {**CHOSEN, "scope_write": "on"})
    listed = (await asking.list_tools(given["access_token"])).json()["result"]["tools"]
    may = {op.name for op in OPERATIONS if op.effect in (Effect.READ, Effect.WRITE)}
    assert {tool["name"] for tool in listed} == may


@pytest.mark.parametrize("tool", ["get_overview", "no_such_tool"])
async def test_other_calls_reach_the_server(asking: Asking, person: Visitor, tool: str) -> None:
    given = await asking.tokens(person)
    answer = await asking.call(given["access_token"], tool)
    assert answer.status_code == 200
    assert answer.json()["id"] == 7


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"method": "tools/call"}', b"[" * 9_000])
async def test_what_is_no_call_is_refused_by_the_server(asking: Asking, person: Visitor, body: bytes) -> None:
    given = await asking.tokens(person)
    headers = {"Authorization": f"Bearer {given['access_token']}", "Content-Type": "application/json"}
    answer = await asking.client.post("/mcp", content=body, headers=headers)
    assert answer.status_code in (400, 406)


async def test_a_connection_that_was_not_chosen_is_closed(asking: Asking, person: Visitor) -> None:
    given = await asking.tokens(person)
    answer = (await asking.call(given["access_token"], "list_syncs", connection="shop")).json()["result"]
    assert answer["isError"]
    assert answer["structuredContent"]["code"] == "other_connection"
