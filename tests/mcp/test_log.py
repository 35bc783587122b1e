"""The log at its lowest level holds nothing of what an assistant is answered."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from connector import log
from connector.sandbox.koji import store
from tests.mcp.clients import ERAS, Era, http_client, people, values_of
from tests.support.harness import World

pytestmark = pytest.mark.e2e

WORDS = "I cancelled because of the price"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("era", ERAS)
async def test_no_words_tokens_or_links_are_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], era: Era
) -> None:
    monkeypatch.setattr(store, "transcript", lambda _: [{"speaker": "respondent", "text": WORDS}])
    await world.interview("said-1")
    monkeypatch.setattr(logging.getLogger("sse_starlette.sse"), "level", logging.DEBUG)
    log.configure("debug", stream_is_terminal=False)
    structlog.get_logger("x").debug("ours")
    whole = {"interview_id": "said-1", "include_transcript": True, "response_format": "detailed"}
    async with http_client(world, era) as client:
        said = values_of(await client.call_tool("get_interview_analysis", whole))
        plan = values_of(await client.call_tool("plan_cohort_launch", {"members": people(1)}))
        asked = {"plan_token": plan["plan_token"], "wait_seconds": 20}
        (one,) = values_of(await client.call_tool("launch_cohort_interviews", asked))["invitations"]
    assert WORDS in said["words"]
    shown = capsys.readouterr().err
    assert "ours" in shown
    assert [word for word in (WORDS, plan["plan_token"], one["interview_link"]) if word in shown] == []
