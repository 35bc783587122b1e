"""Cards (MCP Apps): for clients that show them, and for no others; the answers stay the same."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.types import TextResourceContents

from connector.domain.launches.eligibility import SkipReason
from connector.operations import OPERATIONS
from mcp_server import cards
from mcp_server.tools.catalogue import tool
from tests.mcp.clients import SETTINGS, WAYS, Era, a_client, http_client, people, text_of, values_of
from tests.oauth.asking import Asking
from tests.support.harness import QUICK, TOKEN, World, open_world

pytestmark = pytest.mark.e2e

IDENTIFIER = "io.modelcontextprotocol/ui"
HTML = "text/html;profile=mcp-app"
BOUND = {"plan_cohort_launch", "launch_cohort_interviews", "get_launch"}
DECLARED = advertise(IDENTIFIER, {"mimeTypes": [HTML]})
LEGACY_HTTP = ("http", "legacy")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        yield opened


async def bound(client: Client) -> tuple[set[str], bool]:
    """Return the tools that are bound to the card, and whether it is listed as a resource."""
    tools = (await client.list_tools()).tools
    listed = {str(one.uri) for one in (await client.list_resources()).resources}
    assert all(one.meta in (None, {"ui": {"resourceUri": cards.URI}}) for one in tools)
    return {one.name for one in tools if one.meta}, cards.URI in listed


@pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])
async def test_only_a_client_that_may_show_cards_hears_of_them(
    world: World, folder: Path, way: tuple[str, Era]
) -> None:
    async with a_client(way, world, folder, extensions=[DECLARED]) as client:
        assert await bound(client) == (BOUND, True)
        announced = client.server_capabilities.extensions
        assert announced == ({IDENTIFIER: {}} if way[1] == "auto" else None), "a handshake has no room for it"
    cannot_tell = way == LEGACY_HTTP
    for extensions in (
        [],
        [advertise(IDENTIFIER, {"mimeTypes": ["text/other"]})],
        [advertise("com.example/x")],
    ):
        async with a_client(way, world, folder, extensions=extensions) as client:
            assert await bound(client) == ((BOUND, True) if cannot_tell else (set(), False))


async def test_a_declaration_without_types_is_one(world: World) -> None:
    async with http_client(world, extensions=[advertise(IDENTIFIER)]) as client:
        assert await bound(client) == (BOUND, True)


async def test_a_narrowed_list_keeps_its_cards(world: World) -> None:
    async with Asking.of(world) as asking:
        answer: httpx.Response = await asking.list_tools(TOKEN, "?tools=get_launch,list_syncs")
    metas = {one["name"]: one.get("_meta") for one in answer.json()["result"]["tools"]}
    assert metas == {"get_launch": None, "list_syncs": None}  # a client that declared nothing


@pytest.mark.parametrize("extensions", [[], [DECLARED]], ids=["undeclared", "declared"])
async def test_the_page_is_read_with_its_policy(world: World, extensions: list[Any]) -> None:
    async with http_client(world, extensions=extensions) as client:
        (page,) = (await client.read_resource(cards.URI)).contents
    assert isinstance(page, TextResourceContents)
    assert (page.uri, page.mime_type) == (cards.URI, HTML)
    assert page.meta == {"ui": {"csp": {"connectDomains": [], "resourceDomains": []}, "prefersBorder": True}}
    assert page.text.startswith("<!doctype html>")
    assert all(f'"{reason}": ' in page.text for reason in SkipReason)


async def test_the_answer_is_the_same_with_and_without_a_card(world: World) -> None:
    launched = await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=20)
    asked = {"launch_id": launched["launch_id"]}
    async with http_client(world) as plain, http_client(world, extensions=[DECLARED]) as showing:
        answers = [await client.call_tool("get_launch", asked) for client in (plain, showing)]
        plan = await showing.call_tool("plan_cohort_launch", {"members": people(1, 2, 3)})
    assert text_of(answers[0]) == text_of(answers[1])
    assert values_of(answers[0]) == values_of(answers[1])
    # what the plan's card shows stands in the text too
    values = values_of(plan)
    for shown in (
        "members_total: 3",
        "to_invite: 1",
        "already_invited: 2",
        "credits_estimate: 1",
        "eta_seconds: ",
    ):
        assert shown in text_of(plan)
    assert values["plan_token"] in text_of(plan)


async def test_consent_keeps_its_doors(world: World) -> None:
    """A client that shows cards launches without a question by a plan's token only."""
    async with http_client(world, extensions=[DECLARED]) as client:
        answer = await client.call_tool("launch_cohort_interviews", {"members": people(1)})
        assert answer.is_error
        assert answer.structured_content["code"] == "consent_required"


def test_the_page_loads_nothing_and_writes_no_markup() -> None:
    page = cards.contents().text
    assert (
        re.findall(r"(?:https?:)?//[\w.-]+|\bsrc\s*=|\bhref\s*=|url\(|@import|<link|<img|<iframe", page) == []
    )
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", page) == []
    assert (
        re.findall(r"fetch\(|XMLHttpRequest|WebSocket|EventSource|import\(|localStorage|cookie", page) == []
    )
    assert re.findall(r"overflow(?:-[xy])?\s*:\s*(?:auto|scroll)", page) == [], "no nested scrolling"
    assert len(page) < 16_000


def test_every_tool_has_what_a_directory_asks_for() -> None:
    for one in map(tool, OPERATIONS):
        assert one.title
        assert re.fullmatch(r"[a-z_]{1,64}", one.name)
        hints = one.annotations
        assert hints is not None
        stated = (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
        assert None not in stated


async def test_the_text_says_what_it_costs_who_sends_and_what_to_do_when_no_person_is_left(
    world: World,
) -> None:
    async with http_client(world) as client:
        asked = {"members": people(1), "mode": "voice", "locale": "de"}
        planned = await client.call_tool("plan_cohort_launch", asked)
        assert "Mode voice, 3 credits each, in the language de." in text_of(planned)
        begun = {"plan_token": values_of(planned)["plan_token"], "wait_seconds": 20}
        launched = await client.call_tool("launch_cohort_interviews", begun)
        launch_id = values_of(launched)["launch_id"]
        for answer in (launched, await client.call_tool("get_launch", {"launch_id": launch_id})):
            said = values_of(answer)["warnings"][0]
            assert said in text_of(answer)
            assert "you send these links" in said
            assert f"{world.settings.public_url}/console/launches/{launch_id}," in said
            assert f"koji-amplitude get-launch --launch-id {launch_id} --output csv" in said
        empty = values_of(await client.call_tool("plan_cohort_launch", {"members": people(1)}))
    assert empty["to_invite"] == 0
    assert "reinvite_after_days" in empty["next"]
