"""Calls: when they answer what, and what they promise (interface 3.2 and 4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.sandbox import SandboxOptions
from tests.support.harness import StandingClock, World, message, open_world

pytestmark = pytest.mark.e2e

SYNC = "sync_interview_to_amplitude"
TOLD = {"themes": ["a", "b"], "quality_score": 4, "respondent_email": "person-009@example.com"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def followed(world: World, answer: httpx.Response) -> httpx.Response:
    """Ask the address that a 202 names."""
    assert answer.status_code == 202, answer.text
    return await world.client.get(answer.json()["status_url"].removeprefix(world.settings.public_url))


async def test_a_call_reads_koji_and_answers_200_when_amplitude_has_it(world: World) -> None:
    await world.interview("int-1", sentiment="mixed", themes=["a", "b", "c"], quality_score=3.5)
    answer = await world.call(SYNC, interview_id="int-1")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["sentiment"], body["quality_score"]) == ("synced", "mixed", 3.5)
    assert (body["themes_text"], body["theme_top_1"], body["theme_top_2"]) == ("a, b, c", "a", "b")
    assert body["event_insert_id"] == "koji:int-1:completed"
    assert "status_url" not in body
    again = await world.call(SYNC, interview_id="int-1")
    assert (again.status_code, again.json()["synced_at"]) == (200, body["synced_at"])
    assert len(world.requests) == 1


@pytest.mark.parametrize(
    "themes", [["slow import", "pricing"], "slow import\npricing", "slow import, pricing"]
)
async def test_values_beside_an_id_are_believed_and_koji_is_not_read(world: World, themes: Any) -> None:
    given = {**TOLD, "themes": themes, "sentiment": "Mixed", "completed_at": "2026-11-01T00:00:00Z",
             "transcript_url": "https://example.com/t"}  # fmt: skip
    body = await world.get(SYNC, interview_id="int-1", **given)
    assert (body["status"], body["themes"]) == ("synced", ["slow import", "pricing"])
    assert (body["sentiment"], body["completed_at"]) == ("mixed", "2026-11-01T00:00:00Z")
    assert world.sandbox.koji.calls == []
    (received,) = (await world.get("get_sync", interview_id="int-1"))["received"]
    assert received["source"] == "call"


async def test_a_whole_interview_is_taken_in_the_shape_of_a_webhook(world: World) -> None:
    body = await world.get(SYNC, interview=message("int-1"))
    assert (body["interview_id"], body["status"]) == ("int-1", "synced")
    assert world.sandbox.koji.calls == []


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"interview": message("int-1"), "interview_id": "int-1"}, "/interview"),
        ({"interview": message("int-1"), "themes": ["a"]}, "/interview"),
        ({"interview": {"themes": ["a"]}}, "/interview"),
        ({}, "/interview_id"),
        ({"themes": ["a"]}, "/interview_id"),
        ({"interview_id": "int-1", "quality_score": 6}, "/quality_score"),
        ({"interview_id": "int-1", "completed_at": "yesterday"}, "/completed_at"),
        ({"interview_id": "int-1", "wait_seconds": 26}, "/wait_seconds"),
        ({"interview_id": "int-1", "callback_url": "http://127.0.0.1:9/"}, "/callback_url"),
    ],
)
async def test_what_cannot_be_right_is_422_by_name(
    world: World, fields: dict[str, Any], pointer: str
) -> None:
    answer = await world.call(SYNC, **fields)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_a_skip_is_a_200(world: World) -> None:
    await world.interview("int-1", quality_score=2.0)
    answer = await world.call(SYNC, interview_id="int-1")
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "skipped", "below_quality_gate")  # fmt: skip


async def test_an_unfinished_sync_is_202_with_an_address_that_tells_its_end(tmp_path: Path) -> None:
    options = SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=30)
    async with open_world(tmp_path, options=options, clock=StandingClock()) as world:
        await world.interview("int-1", state="processing")
        call = asyncio.create_task(world.call(SYNC, interview_id="int-1", wait_seconds=1))
        await world.seen("int-1", status="pending", reason="analysis_not_ready")
        world.move(0.9)
        await world.idle()
        assert not call.done()
        world.move(0.2)
        answer = await call
        pending = await followed(world, answer)
        assert (pending.status_code, pending.json()["status"]) == (200, "pending")
        world.move(40)
        await world.ended("int-1")
        assert (await followed(world, answer)).json()["status"] == "synced"


@pytest.mark.proof
async def test_no_call_takes_longer_than_it_may(world: World) -> None:
    await world.fault("koji", "slow", seconds=9.2, times=None)
    await world.fault("amplitude", "slow", seconds=9.2, times=None)
    began = time.monotonic()
    answers = await asyncio.gather(
        world.call(SYNC, interview_id="int-1"),
        world.call("preview_interview_sync", interview_id="int-2"),
        world.call("get_interview_analysis", interview_id="int-3"),
        world.call("check_connection"),
        world.call("backfill_interviews", interview_ids=["int-4"]),
    )
    assert time.monotonic() - began < 10
    assert [one.status_code for one in answers] == [202, 503, 503, 200, 202]
    assert {c["status"] for c in answers[3].json()["checks"][:3]} == {"unknown"}
    assert all(one.headers["retry-after"] for one in answers[1:3])


@pytest.mark.parametrize("operation", [SYNC, "preview_interview_sync", "get_interview_analysis"])
async def test_a_key_that_koji_refuses_is_502(tmp_path: Path, operation: str) -> None:
    async with open_world(tmp_path, KOJI_API_KEY="a-wrong-key") as world:
        answer = await world.call(operation, interview_id="int-1")
        assert (answer.status_code, answer.json()["code"]) == (502, "credentials_rejected")
        assert "KOJI_API_KEY" in answer.json()["detail"]
        assert "a-wrong-key" not in answer.text


@pytest.mark.parametrize("operation", [SYNC, "preview_interview_sync", "get_interview_analysis"])
async def test_an_address_that_redirects_is_502_and_named(world: World, operation: str) -> None:
    await world.control("POST", "/koji/switches", {"redirect_to": "https://www.koji.example.com"})
    answer = await world.call(operation, interview_id="int-1")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_refused")
    assert "KOJI_BASE_URL" in answer.json()["detail"]


async def test_a_preview_shows_what_is_then_sent(world: World) -> None:
    await world.interview("int-1")
    shown = await world.get("preview_interview_sync", interview_id="int-1")
    dry = await world.get(SYNC, interview_id="int-1", dry_run=True)
    assert (shown["decision"], shown["reason"]) == ("sync", None)
    assert dry == shown
    assert (await world.call("get_sync", interview_id="int-1")).status_code == 404
    assert world.requests == []
    world.move(3)
    await world.get(SYNC, interview_id="int-1")
    receipt = await world.get("get_sync", interview_id="int-1")
    assert receipt["request"] == shown["request"]
    identify, event = world.stored()
    assert identify["sent_properties"] == shown["request"]["events"][0]["user_properties"]
    assert event["event_properties"] == shown["request"]["events"][1]["event_properties"]
    assert "sandbox-amplitude-key" not in str(shown)


async def test_force_reads_again_and_sends_again_without_counting_twice(world: World) -> None:
    await world.interview("int-1", themes=["a"])
    await world.get(SYNC, interview_id="int-1")
    frozen = (await world.get("get_sync", interview_id="int-1"))["request"]
    await world.interview("int-1", themes=["b"], quality_score=5.0)
    world.move(3)
    body = await world.get(SYNC, interview_id="int-1", force=True)
    assert body["status"] == "synced"
    assert body["warning"] is None
    assert len(world.sandbox.koji.calls) == 2
    assert world.sandbox.amplitude.store.duplicates == 2
    assert world.completed() == ["int-1"]
    assert (await world.get("get_sync", interview_id="int-1"))["request"] == frozen
    world.move(8 * 86_400)
    assert "count it twice" in (await world.get(SYNC, interview_id="int-1", force=True))["warning"]


async def test_force_overrides_neither_the_gate_nor_anonymity(world: World) -> None:
    await world.interview("int-1", quality_score=2.0)
    await world.interview("int-2", anonymous=True)
    for interview_id, reason in (("int-1", "below_quality_gate"), ("int-2", "anonymous")):
        for _ in range(2):
            body = await world.get(SYNC, interview_id=interview_id, force=True)
            assert (body["status"], body["reason"]) == ("skipped", reason)
            world.move(3)
    assert world.requests == []


async def test_a_call_on_a_skip_reads_again_and_reopens_it(world: World) -> None:
    await world.interview("int-1", quality_score=2.0)
    await world.get(SYNC, interview_id="int-1")
    await world.interview("int-1", quality_score=4.5)
    world.move(3)
    assert (await world.get(SYNC, interview_id="int-1"))["status"] == "synced"


async def test_an_idempotency_key_repeats_the_answer_and_does_nothing_again(world: World) -> None:
    fields = {"interview_id": "int-1", **TOLD}
    first = await world.call(SYNC, **fields, idempotency_key="k-1")
    again = await world.call(SYNC, **fields, idempotency_key="k-1", wait_seconds=0)
    other = await world.call(SYNC, **{**fields, "quality_score": 5}, idempotency_key="k-1")
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert len(world.requests) == 1


async def test_a_repeated_202_tells_the_present_state(tmp_path: Path) -> None:
    options = SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=30)
    async with open_world(tmp_path, options=options) as world:
        await world.interview("int-1", state="processing")
        fields = {"interview_id": "int-1", "idempotency_key": "k-1"}
        assert (await world.call(SYNC, **fields, wait_seconds=0)).status_code == 202
        assert (await world.call(SYNC, **fields)).status_code == 202
        world.move(40)
        await world.ended("int-1", seconds=15)
        again = await world.call(SYNC, **fields)
        assert (again.status_code, again.json()["status"]) == (200, "synced")
        assert again.headers["idempotency-replayed"] == "true"


async def test_lists_are_paged_and_filtered_without_gaps(world: World) -> None:
    for number in range(7):
        await world.deliver(message(f"int-{number}", number, quality_score=4 if number % 2 else 1))
        await world.send({"event": "interview.completed", "n": number})
        world.move(60)
    await world.ended(*(f"int-{n}" for n in range(7)))
    seen: list[str | None] = []
    cursor = None
    while True:
        page = await world.get("list_syncs", limit=3, **({"cursor": cursor} if cursor else {}))
        assert page["has_more"] is (page["next_cursor"] is not None)
        seen += [one["interview_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [one for one in seen if one] == [f"int-{n}" for n in reversed(range(7))]
    assert seen.count(None) == 7
    assert len((await world.get("list_syncs", status="synced"))["items"]) == 3
    assert len((await world.get("list_syncs", reason="below_quality_gate"))["items"]) == 4
    oldest = (await world.get("get_sync", interview_id="int-2"))["received"][0]["received_at"]
    early = await world.get("list_syncs", status="unreadable", until=oldest, limit=2)
    assert len(early["items"]) == 2
    assert early["has_more"] is False
    answer = await world.call("list_syncs", cursor="bm90IG91cnM=")
    assert answer.status_code == 422


async def test_an_analysis_is_shown_and_waited_for(tmp_path: Path) -> None:
    options = SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=1.5)
    async with open_world(tmp_path, options=options) as world:
        await world.interview("int-1", state="processing", themes=["a", "b"], structured_answers=[
            {"questionId": "q_1", "structuredValue": 8, "followUpInsights": ["x"]}])  # fmt: skip
        at_once = await world.get("get_interview_analysis", interview_id="int-1")
        assert (at_once["analysis_status"], at_once["themes"]) == ("processing", [])
        later = await world.get("get_interview_analysis", interview_id="int-1", wait_seconds=6,
                                include_transcript=True)  # fmt: skip
        assert (later["analysis_status"], later["themes_text"]) == ("completed", "a, b")
        assert later["structured_answers"][0]["question_id"] == "q_1"
        assert later["structured_answers"][0]["follow_up_insights"] == ["x"]
        assert later["respondent"]["email"] == "person-001@example.com"
        assert later["transcript"]
        await world.interview("int-2", anonymous=True)
        assert (await world.get("get_interview_analysis", interview_id="int-2"))["respondent"] is None
        missing = await world.call("get_interview_analysis", interview_id="int-3")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found_in_koji")


async def test_an_analysis_shows_nobody_who_was_ever_marked_anonymous(world: World) -> None:
    await world.interview("int-1")
    assert (await world.get("get_interview_analysis", interview_id="int-1"))["respondent"] is not None
    await world.deliver(message("int-1"))
    assert (await world.ended("int-1"))["status"] == "synced"
    await world.deliver(message("int-1", anonymous=True))
    await world.seen("int-1", status="synced", user_id=None)
    shown = await world.get("get_interview_analysis", interview_id="int-1")
    assert (shown["respondent"], shown["quality_score"]) == (None, 4.0)
    await world.context.ledger.retention.prune(world.clock.now() + 1, world.clock.now())
    assert (await world.get("get_interview_analysis", interview_id="int-1"))["respondent"] is None


async def test_replay_names_what_it_never_heard_of(world: World) -> None:
    answer = await world.call("replay_syncs", interview_ids=["int-1"])
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["pointer"] == "/interview_ids/0"
    both = await world.call("replay_syncs", interview_ids=["int-1"], status="failed")
    assert both.status_code == 422
