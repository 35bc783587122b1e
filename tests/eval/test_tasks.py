"""The scripted reader solves every task from texts alone, and a model's answers are handled as its API writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.types import Tool

from tests.eval.desk import Desk, judged, scores
from tests.eval.model import Model
from tests.eval.scene import open_scene
from tests.eval.scripted import scripted
from tests.eval.tasks import TASKS

pytestmark = pytest.mark.e2e


@pytest.mark.proof
async def test_the_scripted_reader_solves_thirty_of_thirty(tmp_path: Path) -> None:
    found = [score async for score in scores(scripted, tmp_path)]
    assert {score.task.name: (score.wrong, score.calls) for score in found if score.wrong} == {}
    assert len(found) == len(TASKS) == 30


async def test_the_score_sees_what_should_not_have_happened(tmp_path: Path) -> None:
    async def does_too_much(desk: Desk, _: str) -> str:
        await desk.call("start_interview", {"email": "person-081@example.com"})
        await desk.call("sync_interview_to_amplitude", {"interview_id": "int-late", "wait_seconds": 0})
        return ""

    async def does_nothing(_: Desk, words: str) -> str:
        return f"I did all of this: {words}"

    by_name = {task.name: task for task in TASKS}
    async with open_scene(tmp_path) as scene:
        (missing, happened) = (await judged(by_name["cohorts"], scene, does_too_much)).wrong[1:]
        assert missing == "does not say Power users"
        assert "person-081@example.com" in happened
        assert (await judged(by_name["launch"], scene, does_nothing)).wrong
        assert (await judged(by_name["end"], scene, does_nothing)).wrong


class Told(Desk):
    """A desk without a server."""

    async def call(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        self.calls.append(f"{name} {arguments}")
        return "two cohorts", False


async def test_a_model_uses_tools_and_is_answered_once() -> None:
    used = {"type": "tool_use", "id": "t1", "name": "list_cohorts", "input": {"limit": 5}}
    answers = [
        httpx.Response(529, headers={"retry-after": "0"}),
        *(
            httpx.Response(
                200,
                json={"content": parts, "stop_reason": why, "usage": {"input_tokens": 3, "output_tokens": 2}},
            )
            for parts, why in [
                ([used], "tool_use"),
                ([{"type": "text", "text": "Two. Shall I go on?"}], "end_turn"),
                ([{"type": "text", "text": "Done."}], "end_turn"),
            ]
        ),
    ]
    asked: list[dict[str, Any]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return answers[len(asked) - 1]

    tool = Tool(name="list_cohorts", description="List.", input_schema={"type": "object"})
    desk = Told(None, {"list_cohorts": tool}, "Be careful.", yes=True)  # type: ignore[arg-type]  # no client is needed
    model = Model(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert (await model(desk, "Which cohorts?")).endswith("Done.")
    assert desk.calls == ["list_cohorts {'limit': 5}"]
    assert asked[-1]["messages"][2]["content"][0]["content"] == "two cohorts"
    assert asked[-1]["messages"][-1] == {"role": "user", "content": "Yes, go on."}
    assert "Be careful." in asked[0]["system"]
    assert model.tokens == 15
