"""From a webhook or a call to Amplitude: what is read, decided, sent and told (interface 3.2 and 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connector.sandbox import SandboxOptions
from connector.sandbox.koji.webhooks import event_body, signature_headers
from tests.support.harness import HurriedClock, StandingClock, World, message, open_world, until

pytestmark = pytest.mark.e2e

KEYS = {
    "interview_id", "status", "reason", "user_id", "event_type", "event_insert_id", "identify_insert_id",
    "quality_score", "sentiment", "themes", "themes_text", "theme_top_1", "theme_top_2", "transcript_url",
    "completed_at", "synced_at",
}  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def test_force_reads_koji_anew_also_right_after_another_read(world: World) -> None:
    await world.interview("int-1", themes=["a draft"])
    assert (await world.get("get_interview_analysis", interview_id="int-1"))["themes"] == ["a draft"]
    world.sandbox.koji.store.interviews["int-1"].result = replace(
        world.sandbox.koji.store.interviews["int-1"].result, themes=("the last word",)
    )
    preview = await world.get("preview_interview_sync", interview_id="int-1", force=True)
    assert preview["request"]["events"][1]["event_properties"]["themes"] == ["the last word"]
    forced = await world.get("sync_interview_to_amplitude", interview_id="int-1", force=True, wait_seconds=10)
    assert forced["themes"] == ["the last word"]


@pytest.mark.parametrize(
    "written", ["next Tuesday", "Nov 20, 2026, 3:00 PM", "1.79517E+12x", 12, "2026-13-01T00:00:00Z", {}]
)
async def test_an_unreadable_completion_is_refused_and_an_absent_one_is_not(
    world: World, written: Any
) -> None:
    interview = message("int-1")
    refused = await world.call(
        "sync_interview_to_amplitude", interview={**interview, "completed_at": written}
    )
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/interview")
    assert "completed_at" in refused.json()["detail"]
    assert world.stored() == []
    for absent in (None, ""):
        taken = await world.get(
            "sync_interview_to_amplitude", interview={**interview, "completed_at": absent}, wait_seconds=10
        )
        assert taken["status"] == "synced"


@pytest.mark.parametrize("written", ["4,2", "4.2/5", 6, True, {"score": 4}])
async def test_a_score_that_cannot_be_read_is_refused_by_name(world: World, written: Any) -> None:
    interview = {**message("int-1"), "quality_score": written}
    refused = await world.call("sync_interview_to_amplitude", interview=interview)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/interview")
    assert "quality_score" in refused.json()["detail"]


async def test_both_writes_arrive_in_one_request_in_order(world: World) -> None:
    await world.deliver(message("int-1"))
    receipt = await world.ended("int-1")
    assert receipt.keys() >= KEYS
    identify, event = world.stored()
    assert (identify["event_type"], event["event_type"]) == ("$identify", "koji.interview_completed")
    assert event["user_properties"]["last_interview_at"] == "2026-11-20T10:00:00Z"
    assert len(world.requests) == 1
    assert receipt["request"] == {
        "events": [
            {"event_type": "$identify", "user_id": "person-001@example.com", "time": identify["time"],
             "insert_id": "koji:int-1:identify", "user_properties": identify["sent_properties"]},
            {"event_type": "koji.interview_completed", "user_id": "person-001@example.com", "time": event["time"],
             "insert_id": "koji:int-1:completed", "event_properties": event["event_properties"]},
        ],
        "options": None,
    }  # fmt: skip
    (attempt,) = receipt["attempts"]
    assert (attempt["outcome"], attempt["status"], attempt["identify"]) == ("accepted", 200, True)
    assert receipt["themes_text"] == "pricing confusion, slow import, missing export"


async def test_what_an_interview_lacks_is_unset_in_the_same_write(world: World) -> None:
    await world.deliver(message("int-1", sentiment=None, themes=[]), message("int-2", 1, sentiment="mixed"))
    await world.ended("int-1", "int-2")
    body = message("int-3", 3, sentiment=None)
    await world.deliver(body)
    await world.ended("int-3")
    (identify,) = world.stored("$identify", "person-003@example.com")
    assert identify["sent_properties"]["$unset"] == {"last_interview_sentiment": "-"}
    assert "sentiment" not in world.stored("koji.interview_completed", "person-003@example.com")[0]["event_properties"]  # fmt: skip


@pytest.mark.parametrize("payload", ["thin", "full"])
@pytest.mark.parametrize("envelope", ["top", "data"])
@pytest.mark.parametrize("scheme", ["sha256", "standard-webhooks"])
async def test_a_webhook_of_the_stand_in_ends_at_amplitude(
    tmp_path: Path, payload: str, envelope: str, scheme: str
) -> None:
    async with open_world(tmp_path) as world:
        await world.interview("int-1", state="completed")
        endpoint = {"url": "http://127.0.0.1:9/", "payload": payload, "envelope": envelope, "scheme": scheme}
        await world.control("PUT", "/koji/webhook", {**endpoint, "verify": False})
        body, headers = _message(world, "int-1")
        answer = await world.client.post("/webhooks/koji", content=body, headers=headers)
        assert answer.json()["status"] == "accepted"
        receipt = await world.ended("int-1")
        assert (receipt["status"], receipt["user_id"]) == ("synced", "person-001@example.com")
        assert world.completed() == ["int-1"]
        assert len(world.sandbox.koji.calls) == (1 if payload == "thin" else 0)


def _message(world: World, interview_id: str) -> tuple[bytes, dict[str, str]]:
    """Return the stand-in's webhook as it would send it."""
    koji = world.sandbox.koji
    endpoint = koji.sender.endpoint
    assert endpoint is not None
    now = world.clock.seconds()
    interview = koji.store.interviews[interview_id]
    body = event_body(
        koji.store, interview, "interview.analysis_ready", endpoint, delivery_id="msg_1", now=now
    )
    return body, dict(signature_headers(endpoint, body, delivery_id="msg_1", now=now))


async def test_an_analysis_that_is_late_is_read_again_after_growing_waits(tmp_path: Path) -> None:
    slow = SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=60)
    async with open_world(tmp_path, options=slow, clock=StandingClock()) as world:
        await world.interview("int-1", state="processing")
        await world.deliver({"event": "interview.completed", "interview_id": "int-1"})
        receipt = await world.seen("int-1", reason="analysis_not_ready")
        assert receipt["status"] == "pending"
        for reads, seconds in enumerate((5, 7.5, 11.3, 16.9, 25.4), start=1):
            await until(partial(_has_read, world, reads))
            world.move(seconds - 1)
            await world.idle()
            assert not await _has_read(world, reads + 1)
            world.move(1.5)
        assert (await world.ended("int-1"))["status"] == "synced"
        assert len(world.sandbox.koji.calls) == 6


async def _has_read(world: World, times: int) -> bool:
    sync = await world.context.ledger.syncs.find("default", "int-1")
    return sync is not None and sync.reads >= times


async def _calls(world: World, wanted: int) -> bool:
    return len(world.sandbox.koji.calls) >= wanted


async def test_an_analysis_that_never_comes_is_given_up_after_a_day(tmp_path: Path) -> None:
    never = SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=10 * 86_400)
    async with open_world(tmp_path, options=never) as world:
        await world.interview("int-1", state="processing")
        await world.deliver({"event": "interview.completed", "interview_id": "int-1"})
        await world.seen("int-1", reason="analysis_not_ready")
        world.move(86_000)
        await until(lambda: _calls(world, 2))
        assert (await world.call("get_sync", interview_id="int-1")).json()["status"] == "pending"
        world.move(700)
        receipt = await world.ended("int-1")
        assert (receipt["status"], receipt["reason"]) == ("skipped", "no_quality_score")


async def test_a_failed_analysis_is_skipped_at_once_and_reopened_by_a_later_word(world: World) -> None:
    await world.interview("int-1", quality_score=None)
    await world.deliver({"event": "interview.completed", "interview_id": "int-1"})
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"]) == ("skipped", "analysis_failed")
    await world.deliver(message("int-1", analysis_status="completed"))
    await world.seen("int-1", status="synced", reason=None)
    assert world.completed() == ["int-1"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"quality_score": 2.9}, "below_quality_gate"),
        ({"event": "interview.failed_quality_gate", "quality_score": None}, "below_quality_gate"),
        ({"anonymous": True}, "anonymous"),
        ({"is_anonymous": "yes", "quality_score": 1}, "anonymous"),
        ({"respondent_email": None, "external_id": "somebody's"}, "anonymous"),
    ],
)
async def test_what_does_not_belong_in_amplitude_is_skipped_without_reading_koji(
    world: World, fields: dict[str, Any], reason: str
) -> None:
    await world.deliver(message("int-1", **fields))
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"], receipt["request"]) == ("skipped", reason, None)
    assert world.sandbox.koji.calls == []
    assert world.requests == []
    if reason == "anonymous":
        assert receipt["user_id"] is None
        assert [one["body"] for one in receipt["received"]] == [None]


async def test_the_gate_is_inclusive_and_the_score_is_not_rounded(world: World) -> None:
    await world.deliver(message("int-1", 1, quality_score=3), message("int-2", 2, quality_score=2.999999))
    assert (await world.ended("int-1"))["status"] == "synced"
    assert (await world.ended("int-2"))["reason"] == "below_quality_gate"
    await world.deliver(message("int-3", 3, quality_score=4.123456789))
    await world.ended("int-3")
    assert world.properties("person-003@example.com")["last_interview_quality"] == 4.123456789


async def test_a_null_email_is_read_from_koji_unless_it_means_anonymous(tmp_path: Path) -> None:
    body = {**message("int-1"), "respondent_email": None}
    async with open_world(tmp_path) as world:
        await world.deliver(body)
        assert (await world.ended("int-1"))["reason"] == "anonymous"
        assert world.sandbox.koji.calls == []


async def test_a_trusted_external_id_is_the_user(tmp_path: Path) -> None:
    async with open_world(tmp_path, CONNECTOR_TRUST_EXTERNAL_ID="true") as world:
        await world.deliver(message("int-1", respondent_email=None, external_id="user-of-theirs"))
        assert (await world.ended("int-1"))["user_id"] == "user-of-theirs"
        null_and_id = {**message("int-2", external_id="user-of-theirs"), "respondent_email": None}
        await world.deliver(null_and_id)
        assert (await world.ended("int-2"))["status"] == "synced"
        await world.restart(CONNECTOR_NULL_EMAIL_IS_ANONYMOUS="true")
        await world.deliver({**null_and_id, "interview_id": "int-3"})
        assert (await world.ended("int-3"))["reason"] == "anonymous"


@pytest.mark.parametrize("email", ["a@b", "null", "Anonymous", "UNKNOWN", "none"])
async def test_a_user_id_that_amplitude_refuses_is_never_sent(world: World, email: str) -> None:
    await world.deliver(message("int-1", respondent_email=email), message("int-2", 2))
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"]) == ("failed", "invalid_user_id")
    await world.ended("int-2")
    assert world.completed() == ["int-2"]
    assert {one["status"] for one in world.requests} == {200}
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1", respondent_email=email,
                              themes="a", quality_score=4)  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_user_id")
    assert answer.json()["result"]["interview_id"] == "int-1"


async def test_a_shorter_id_is_sent_where_the_setting_allows_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, AMPLITUDE_MIN_ID_LENGTH="2") as world:
        await world.deliver(message("int-1", respondent_email="a@b"))
        receipt = await world.ended("int-1")
        assert receipt["status"] == "synced"
        assert receipt["request"]["options"] == {"min_id_length": 2}


async def test_the_newest_interview_owns_the_user_properties_whatever_the_order_of_arrival(
    tmp_path: Path,
) -> None:
    second = (
        '[connections.second]\nkoji_webhook_secret = "second-secret"\n'
        'amplitude_api_key = "sandbox-amplitude-key"\n'
    )
    async with open_world(tmp_path, toml=second) as world:
        for day, secret, name in ((12, "sandbox-webhook-secret", "default"), (10, "second-secret", "second"),
                                  (11, "sandbox-webhook-secret", "default"), (14, "second-secret", "second"),
                                  (13, "sandbox-webhook-secret", "default")):  # fmt: skip
            body = message(f"int-{day}", 1, completed_at=f"2026-11-{day}T10:00:00Z", themes=[f"day {day}"])
            assert (await world.send(body, secret=secret)).status_code == 200
            assert (await world.ended(f"int-{day}", connection=name))["status"] == "synced"
        assert world.properties("person-001@example.com")["last_interview_at"] == "2026-11-14T10:00:00Z"
        assert [one["insert_id"] for one in world.stored("$identify")] == [
            "koji:int-12:identify",
            "koji:int-14:identify",
        ]
        assert len(world.completed()) == 5
        old = await world.get("get_sync", interview_id="int-11")
        assert [one["event_type"] for one in old["request"]["events"]] == ["koji.interview_completed"]


async def test_interviews_of_one_user_that_come_together_are_sent_in_order_of_completion(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, workers=False) as world:
        for day in (14, 10, 12):
            await world.deliver(message(f"int-{day}", 1, completed_at=f"2026-11-{day}T10:00:00Z"))
        await world.restart()
        await world.ended("int-10", "int-12", "int-14")
        assert world.completed() == ["int-10", "int-12", "int-14"]
        assert len(world.stored("$identify")) == 1
        assert len(world.requests) == 1


async def test_what_amplitude_accepted_stays_whatever_comes_later(world: World) -> None:
    await world.deliver(message("int-1"))
    await world.ended("int-1")
    changes: tuple[dict[str, Any], ...] = (
        {"quality_score": 1.0},
        {"respondent_email": "other@example.com"},
        {"anonymous": True},
    )
    for number, change in enumerate(changes):
        await world.deliver(message("int-1", **change), message(f"int-after-{number}", 7))
        await world.ended(f"int-after-{number}")
        receipt = await world.get("get_sync", interview_id="int-1")
        assert receipt["status"] == "synced"
    assert len(receipt["received"]) == 4
    assert len(world.stored(user_id="person-001@example.com")) == 2
    assert world.sandbox.amplitude.store.duplicates == 0


async def test_koji_is_read_within_its_limit_as_koji_counts(tmp_path: Path) -> None:
    strict = SandboxOptions(
        koji_rate_limit_per_minute=20, throttle_events_per_second=None, analysis_seconds=0
    )
    clock = HurriedClock()
    async with open_world(tmp_path, options=strict, clock=clock, KOJI_RATE_LIMIT_PER_MINUTE="20") as world:
        ids = [f"int-{number:03}" for number in range(50)]
        for number, interview_id in enumerate(ids):
            await world.interview(interview_id, number)
        answers = await asyncio.gather(*(world.send({"interview_id": one}) for one in ids))
        assert {one.json()["status"] for one in answers} == {"accepted"}
        await world.ended(*ids, seconds=20)
        koji = world.sandbox.koji
        assert [call.status for call in koji.calls] == [200] * 50
        assert koji.max_calls_in_any_window(60) <= 20
        assert sorted(world.completed()) == ids


async def test_reads_of_one_interview_at_the_same_time_are_one_call(world: World) -> None:
    await world.interview("int-1")
    answers = await asyncio.gather(
        *(world.call("get_interview_analysis", interview_id="int-1") for _ in range(5))
    )
    assert {one.status_code for one in answers} == {200}
    assert len(world.sandbox.koji.calls) == 1


async def test_without_a_koji_key_a_webhook_waits_and_a_call_is_409(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_API_KEY="") as world:
        await world.deliver({"interview_id": "int-1"})
        receipt = await world.seen("int-1", reason="not_configured")
        assert receipt["status"] == "pending"
        for operation in ("sync_interview_to_amplitude", "preview_interview_sync", "get_interview_analysis"):
            answer = await world.call(operation, interview_id="int-1")
            assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
            assert "KOJI_API_KEY" in answer.json()["detail"]
        await world.interview("int-1")
        await world.restart(KOJI_API_KEY="sandbox-koji-key")
        assert (await world.ended("int-1"))["status"] == "synced"


async def test_without_an_amplitude_key_a_webhook_waits_for_one(tmp_path: Path) -> None:
    async with open_world(tmp_path, AMPLITUDE_API_KEY="") as world:
        await world.deliver(message("int-1"))
        assert (await world.seen("int-1", reason="not_configured"))["status"] == "pending"
        answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
        assert "AMPLITUDE_API_KEY" in answer.json()["detail"]
        await world.restart(AMPLITUDE_API_KEY="sandbox-amplitude-key")
        assert (await world.ended("int-1"))["status"] == "synced"


async def test_an_interview_that_koji_does_not_know_has_failed(world: World) -> None:
    await world.deliver({"interview_id": "int-1"})
    assert (await world.ended("int-1"))["reason"] == "not_found_in_koji"
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found_in_koji")
    await world.interview("int-1")
    world.move(3)
    run = await world.get("replay_syncs", interview_ids=["int-1"])
    assert run["synced"] == 1


@pytest.mark.parametrize("fault", ["status", "not_json", "cut", "redirect"])
async def test_trouble_at_koji_loses_no_interview(world: World, fault: str) -> None:
    fields = {"location": "https://elsewhere.example.com/x"} if fault == "redirect" else {}
    await world.fault("koji", fault, **fields)
    await world.interview("int-1")
    await world.interview("int-2", 2)
    await world.deliver({"interview_id": "int-1"}, {"interview_id": "int-2"})
    await until(lambda: _calls(world, 1))
    await world.get("check_connection")

    async def both() -> bool:
        world.move(20)
        return sorted(world.completed()) == ["int-1", "int-2"]

    await until(both)
