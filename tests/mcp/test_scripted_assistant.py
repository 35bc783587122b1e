"""A small program that knows only what a model is shown closes the loop: tool descriptions, results, errors.

It reads the texts: which tool a sentence names, and which arguments stand beside it. It knows no field of ours
but those that the tools' own schemas name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult, Tool

from tests.mcp.clients import SETTINGS, WAYS, Era, a_client, started, text_of
from tests.support.harness import QUICK, World, open_world

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IDS = ["-".join(way) for way in WAYS]
COHORT = "Dropped off in week one"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        members = [
            {"user_id": f"user-{n:03}", "properties": {"email": f"person-{n:03}@example.com"}}
            for n in range(3)
        ]
        cohort = {"id": "c-77", "name": COHORT, "members": members}
        await opened.control("POST", "/amplitude/cohorts", cohort)
        yield opened


@dataclass
class Assistant:
    """Calls tools for a goal, and writes down which."""

    client: Client
    tools: dict[str, Tool]
    log: list[str] = field(default_factory=list)

    async def call(self, name: str, **arguments: Any) -> tuple[str, bool]:
        self.log.append(name)
        answer = await self.client.call_tool(name, arguments)
        return text_of(answer), bool(answer.is_error)

    def tool_for(self, *words: str) -> str:
        """Choose the first tool whose description holds these words."""
        return next(
            name
            for name, tool in self.tools.items()
            if all(word in (tool.description or "") for word in words)
        )

    def named_in(self, text: str) -> str:
        """Return the tool that a sentence names first."""
        found = [(text.index(name), name) for name in self.tools if name in text]
        return min(found)[1]

    def arguments_in(self, text: str, tool: str) -> dict[str, str]:
        """Return the values that stand beside the names of the tool's arguments."""
        known = self.tools[tool].input_schema["properties"]
        pairs = re.findall(r"\b(\w+) (plan_lau_\S+|lau_\w+|run_\w+|[0-9a-f]{8}-\S+)", text)
        return {name: value for name, value in pairs if name in known}


def next_of(text: str) -> str:
    """Return the sentence that says what comes next."""
    return text[text.index("Next: ") :]


def field_of(text: str, name: str) -> str:
    found = re.search(rf"\b{name}: (\S+?)(;|$)", text, re.MULTILINE)
    assert found, (name, text)
    return found[1]


async def close_the_loop(assistant: Assistant, world: World) -> None:
    # which cohort
    text, _ = await assistant.call(assistant.tool_for("choose a cohort_id"))
    (row,) = [line for line in text.splitlines() if COHORT in line]
    cohort_id = field_of(row, "id")

    # launch; where that is refused, the refusal says what to do
    text, failed = await assistant.call("launch_cohort_interviews", cohort_id=cohort_id, wait_seconds=0)
    if failed:
        text, failed = await assistant.call(
            assistant.named_in(text.partition("consent_required")[2]), cohort_id=cohort_id
        )
        assert not failed, text
        launch = assistant.named_in(next_of(text))
        text, failed = await assistant.call(launch, **assistant.arguments_in(next_of(text), launch))
    assert not failed, text

    # progress
    for _ in range(200):
        if "Next: " not in text or field_of(text, "status") == "finished":
            break
        look = assistant.named_in(next_of(text))
        text, failed = await assistant.call(look, **assistant.arguments_in(next_of(text), look))
        assert not failed, text
        await asyncio.sleep(0.05)
    assert field_of(text, "status") == "finished", text
    assert field_of(text, "invited") == "3"

    # respondents answer
    interview_id = started(world)[0].interview_id
    assert interview_id in text
    end = assistant.tool_for("End an interview")
    _, failed = await assistant.call(end, interview_id=interview_id)
    assert not failed

    # what was learnt
    read = assistant.tool_for("why a respondent")
    for _ in range(200):
        text, failed = await assistant.call(read, interview_id=interview_id)
        assert not failed, text
        if "not ready" not in next_of(text):
            break
        await asyncio.sleep(0.05)
    assert "themes: " in text

    # to Amplitude, and the receipt
    sync = assistant.named_in(next_of(text))
    text, failed = await assistant.call(sync, **assistant.arguments_in(next_of(text), sync))
    assert not failed, text
    for _ in range(200):
        receipt = assistant.named_in(next_of(text)) if "Next: " in text else None
        if receipt is None:
            break
        text, failed = await assistant.call(receipt, **assistant.arguments_in(next_of(text), receipt))
        assert not failed, text
        await asyncio.sleep(0.05)
    assert field_of(text, "status") == "synced", text


@pytest.mark.parametrize("way", WAYS, ids=IDS)
@pytest.mark.parametrize("can_ask", [True, False], ids=["asked", "plans"])
async def test_closes_the_loop(world: World, tmp_path: Path, way: tuple[str, Era], can_ask: bool) -> None:
    async def person(context: Any, params: ElicitRequestParams) -> ElicitResult:
        assert COHORT in params.message
        return ElicitResult(action="accept", content={})

    folder = tmp_path / "stdio"
    folder.mkdir()
    asking = {"elicitation_callback": person} if can_ask else {}
    async with a_client(way, world, folder, **asking) as client:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assistant = Assistant(client, tools)
        await close_the_loop(assistant, world)
    planned = "plan_cohort_launch" in assistant.log
    assert planned is (not can_ask or way == ("http", "legacy"))
    assert len(started(world)) == 3
    (event,) = world.stored("koji.interview_completed")
    assert event["user_id"] == "user-000"
