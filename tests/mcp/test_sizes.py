"""Answers for models stay small, and pages lose nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.types import Tool

from connector.operations import OPERATIONS
from connector.sandbox.koji import store
from mcp_server.answers.render import LARGEST, size
from mcp_server.cards import with_card
from mcp_server.tools.catalogue import tool
from tests.mcp.clients import SETTINGS, http_client, people, text_of, values_of
from tests.support.harness import QUICK, World, message, open_world

pytestmark = pytest.mark.e2e

TOKEN_CHARACTERS = 4
CONCISE = 2_000 * TOKEN_CHARACTERS
DETAILED = 20_000 * TOKEN_CHARACTERS
LISTED = 12_000 * TOKEN_CHARACTERS
LONG = "a theme that goes on for quite a while, as themes of people with much to say do, "


def characters(one: Tool) -> int:
    whole = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(whole, separators=(",", ":"), ensure_ascii=False))


def test_tools_list_is_under_12_000_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    each = {op.name: characters(with_card(tool(op))) for op in OPERATIONS}
    total = sum(each.values())
    with capsys.disabled():
        print(f"\ntools/list: {total:,} characters, about {total // TOKEN_CHARACTERS:,} tokens")
    assert total < LISTED, each


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    said = [{"speaker": "respondent", "text": f"{n} " + "word " * 400} for n in range(1_000)]
    monkeypatch.setattr(store, "transcript", lambda _: said)
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        yield opened


async def fill(world: World) -> None:
    for n in range(30):
        await world.deliver(message(f"interview-{n:03}", n, themes=[f"{LONG}{m}" for m in range(5)]))
        await world.get("launch_cohort_interviews", members=people(100 + n), wait_seconds=0)
    await world.get("launch_cohort_interviews", members=people(*range(200, 260)), wait_seconds=20)
    answers = [
        {
            "questionId": f"q{n}",
            "questionText": f"Question {n}: {LONG}",
            "questionType": "open_ended",
            "qualitativeAnswer": "word " * 300,
            "confidence": "high",
        }
        for n in range(60)
    ]
    await world.interview(
        "long-1",
        themes=[f"{LONG * 3}{n}" for n in range(40)],
        insights=["insight " * 100] * 80,
        structured_answers=answers,
    )


async def test_answers_are_short_unless_more_is_asked_for(world: World) -> None:
    await fill(world)
    launches = (await world.get("list_launches"))["items"]
    largest = max(launches, key=lambda one: one["invited"])
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_launches", {}),
        ("list_syncs", {}),
        ("list_audit", {}),
        ("get_overview", {}),
        ("get_theme_report", {"until": "2027-01-01"}),
        ("suggest_theme_keys", {}),
        ("list_connections", {}),
        ("check_connection", {}),
        ("get_launch", {"launch_id": largest["launch_id"]}),
        ("get_sync", {"interview_id": "interview-001"}),
        ("get_interview_analysis", {"interview_id": "long-1"}),
        ("get_interview_analysis", {"interview_id": "long-1", "include_transcript": True}),
        ("plan_cohort_launch", {"members": people(*range(400, 500))}),
        ("launch_cohort_interviews", {"members": people(*range(200, 260)), "dry_run": True}),
    ]
    async with http_client(world) as client:
        sizes = {}
        for name, arguments in calls:
            answer = await client.call_tool(name, arguments)
            values_of(answer)
            sizes[f"{name} {sorted(arguments)}"] = size(answer)
        assert not {name: length for name, length in sizes.items() if length >= CONCISE}
        detailed = {"interview_id": "long-1", "response_format": "detailed", "include_transcript": True}
        answer = await client.call_tool("get_interview_analysis", detailed)
        assert CONCISE < size(answer) < DETAILED
        for name in ("list_syncs", "list_launches", "list_audit", "get_launch"):
            more = {"launch_id": largest["launch_id"]} if name == "get_launch" else {}
            assert size(await client.call_tool(name, {"limit": 50, **more})) <= LARGEST < DETAILED


async def test_a_transcript_is_read_page_by_page_and_whole(world: World) -> None:
    await world.interview("long-1")
    asked: dict[str, Any] = {
        "interview_id": "long-1",
        "response_format": "detailed",
        "include_transcript": True,
    }
    seen: list[int] = []
    async with http_client(world) as client:
        while True:
            answer = await client.call_tool("get_interview_analysis", asked)
            assert size(answer) < DETAILED
            spoken = [line for line in text_of(answer).splitlines() if line.startswith("respondent: ")]
            seen += [int(line.split()[1]) for line in spoken]
            cursor = values_of(answer)["next_cursor"]
            if cursor is None:
                break
            assert cursor in text_of(answer)
            asked["cursor"] = cursor
    assert seen == list(range(1_000))


async def test_pages_of_a_list_lose_no_row(world: World) -> None:
    for n in range(23):
        await world.deliver(message(f"interview-{n:03}", n))
    await world.ended("interview-022")
    seen: list[str] = []
    arguments: dict[str, Any] = {}
    async with http_client(world) as client:
        while True:
            page = values_of(await client.call_tool("list_syncs", arguments))
            assert len(page["items"]) <= 10
            seen += [one["interview_id"] for one in page["items"]]
            if not page["has_more"]:
                break
            arguments = {"cursor": page["next_cursor"]}
        many = await client.call_tool("list_syncs", {"limit": 51})
    assert sorted(seen) == [f"interview-{n:03}" for n in range(23)]
    assert many.is_error
    assert "at most 50" in text_of(many)
