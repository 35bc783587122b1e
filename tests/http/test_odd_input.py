"""Whatever strangers put into text or cursors, an answer is never a fault of ours (interface 4)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from connector.context import Koji
from tests.support.fakes import FakeKoji
from tests.support.harness import World, message, open_world

pytestmark = pytest.mark.e2e

HALF = "\ud83d"  # JavaScript cuts texts between the halves of an emoji


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def test_the_receipt_of_a_webhook_with_half_a_character_can_be_read(world: World) -> None:
    await world.deliver(
        message("int-1", themes=[f"slow import{HALF}"], note={f"key{HALF}": [f"cut{HALF}", "\0"]})
    )
    receipt = await world.ended("int-1")
    assert receipt["status"] == "synced"
    assert receipt["themes"] == ["slow import"]
    assert receipt["received"][0]["body"]["themes"] == ["slow import\ufffd"]


async def test_the_receipt_of_a_deeply_nested_webhook_can_be_read(world: World) -> None:
    nested: Any = "bottom"
    for _ in range(300):
        nested = {"a": [nested]}
    await world.deliver(message("int-1", note=nested))
    receipt = await world.ended("int-1")
    assert receipt["received"][0]["body"]["interview_id"] == "int-1"
    assert "bottom" not in json.dumps(receipt)


class OddKoji(FakeKoji):
    """A Koji whose insights were cut in the middle of an emoji."""

    async def read(
        self, interview_id: str, *, patience: float | None = None, fresh: bool = False
    ) -> Mapping[str, Any]:
        analysis = {"insights": [f"Cut{HALF}"], "themes": ["a"], "quality_score": 4}
        return {"interview_id": interview_id, "respondent_email": "a@example.com", "analysis": analysis}


async def test_an_analysis_with_half_a_character_can_be_read(world: World) -> None:
    cast("dict[str, Koji]", world.context.koji)["default"] = OddKoji()
    answer = await world.get("get_interview_analysis", interview_id="int-1")
    assert answer["insights"] == ["Cut\ufffd"]


@pytest.mark.parametrize(
    "position",
    [
        '[[1e999,"a"],null]',
        '[[99999999999999999999999,"a"],null]',
        "[null,99999999999999999999999]",
        '[[1,"a"],1e999]',
        '[[1,"\\ud800"],null]',
        '[["nan","a"],null]',
        "[" * 100_000,
    ],
)
async def test_a_forged_cursor_is_refused(world: World, position: str) -> None:
    cursor = base64.urlsafe_b64encode(position.encode()).decode()
    answer = await world.call("list_syncs", cursor=cursor)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/cursor")


@pytest.mark.parametrize("cursor", ["9" * 5_000, "x", "-1", "²"])
async def test_a_forged_cursor_of_a_transcript_is_refused(world: World, cursor: str) -> None:
    await world.interview("int-1")
    answer = await world.call(
        "get_interview_analysis", interview_id="int-1", include_transcript=True, cursor=cursor
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/cursor")
