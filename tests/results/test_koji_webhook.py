"""Every row of the table in interface 4.1: what is asked, what is answered, what happens."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.errors import LedgerUnavailable
from tests.support.harness import World, message, open_world, sign

pytestmark = pytest.mark.e2e

LIMIT = 1024 * 1024
UNNAMED = message("int-1", interview_id=None, event=None)
PROBLEM = {"type", "title", "status", "detail", "code", "message", "errors", "request_id"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == PROBLEM
    assert (body["status"], body["code"], body["message"]) == (status, code, body["detail"])
    assert len(body["detail"]) <= 250
    assert body["request_id"] == answer.headers["x-request-id"] != ""


async def listed(world: World, **fields: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await world.get("list_syncs", **fields))["items"]
    return items


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_over_one_mebibyte_is_413_however_it_is_sent(world: World) -> None:
    big = b" " * LIMIT + b"1"
    is_problem(await world.client.post("/webhooks/koji", content=big, headers=sign(big)), 413, "too_large")
    in_parts = await world.client.post("/webhooks/koji", content=chunks(big[:700_000], big[700_000:]))
    is_problem(in_parts, 413, "too_large")


async def test_a_body_of_exactly_one_mebibyte_is_taken(world: World) -> None:
    whole = message("int-1")
    whole["padding"] = "x" * (LIMIT - len(json.dumps({**whole, "padding": ""})))
    assert len(json.dumps(whole)) == LIMIT
    assert (await world.send(whole)).json()["status"] == "accepted"


async def test_a_body_in_parts_is_put_together_before_it_is_verified(world: World) -> None:
    body = json.dumps(message("int-1")).encode()
    answer = await world.client.post(
        "/webhooks/koji", content=chunks(body[:7], body[7:9], body[9:]), headers=sign(body)
    )
    assert answer.json() == {"status": "accepted", "duplicate": False, "interview_id": "int-1"}


@pytest.mark.parametrize("path", ["/webhooks/koji", "/webhooks/koji/default"])
async def test_the_verification_of_a_new_endpoint_is_200_and_does_nothing(world: World, path: str) -> None:
    for answer in (
        await world.client.post(path),
        await world.client.post(path, headers=sign(b"")),
        await world.client.get(path),
        await world.client.head(path),
    ):
        assert answer.status_code == 200
    assert (await world.client.head(path)).content == b""
    assert await listed(world) == []
    assert (await world.get("check_connection"))["refused_webhooks"] == []


async def test_another_method_is_405_and_an_unknown_connection_404(world: World) -> None:
    put = await world.client.put("/webhooks/koji", content=b"{}")
    is_problem(put, 405, "method_not_allowed")
    assert put.headers["allow"] == "GET, HEAD, POST"
    nowhere = await world.send(message("int-1"), path="/webhooks/koji/elsewhere")
    is_problem(nowhere, 404, "unknown_connection")


@pytest.mark.parametrize(
    "ping",
    [
        {},
        [],
        "hello",
        7,
        None,
        {"event": "ping"},
        {"type": "webhook.test", "data": {"id": "evt_1"}},
        {"event": "study.published", "study_id": "s-1"},
        {"message": "this is a test"},
    ],
)
async def test_an_unsigned_ping_is_ignored(world: World, ping: Any) -> None:
    answer = await world.client.post("/webhooks/koji", content=json.dumps(ping))
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert await listed(world) == []
    assert (await world.get("check_connection"))["refused_webhooks"] == []


@pytest.mark.parametrize(
    "refused",
    [
        b'{"event": "interview.analysis_ready"}',
        b'{"interview_id": "int-1"}',
        b'{"data": {"conversation_id": "int-1"}}',
        b'{"event": "ping", "payload": {"interviewId": "int-1"}}',
        b'{"data": {"id": "int-1"}}',
        b'{"type": "event", "event_type": "interview.completed"}',
        b"not json",
        b'{"interview_id": ',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"event": "ping", "x": "' + b"a" * 4_096 + b'"}',
    ],
)
async def test_anything_else_without_a_signature_is_401(world: World, refused: bytes) -> None:
    is_problem(await world.client.post("/webhooks/koji", content=refused), 401, "unauthenticated")
    wrong = await world.client.post("/webhooks/koji", content=refused, headers=sign(refused, "another"))
    is_problem(wrong, 401, "unauthenticated")
    assert await listed(world) == []


async def test_an_event_header_makes_an_unsigned_body_an_interview(world: World) -> None:
    answer = await world.client.post("/webhooks/koji", json={}, headers={"X-Event": "interview.completed"})
    is_problem(answer, 401, "unauthenticated")


async def test_without_a_configured_secret_nothing_is_believed(tmp_path: Path) -> None:
    async with open_world(tmp_path, KOJI_WEBHOOK_SECRET="") as world:
        for secret in ("sandbox-webhook-secret", "${KOJI_WEBHOOK_SECRET}", " "):
            answer = await world.send(message("int-1"), secret=secret)
            is_problem(answer, 401, "unauthenticated")
            assert "KOJI_WEBHOOK_SECRET is not set" in answer.json()["detail"]
        assert (await world.client.post("/webhooks/koji", json={"event": "ping"})).status_code == 200
        refused = (await world.get("check_connection"))["refused_webhooks"]
        assert "KOJI_WEBHOOK_SECRET is not set" in refused[0]["setting"]


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe\x00", b'{"interview_id": "int-1"', b"[" * 100_000])
async def test_a_signed_body_that_is_not_json_is_400(world: World, body: bytes) -> None:
    is_problem(await world.send(body), 400, "malformed_json")
    assert await listed(world) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"event": "ping"},
        {"event": "webhook.test", "data": {"id": "evt_1"}},
        {"event": "study.published", "study_id": "s-1", "interview_id": "int-1"},
        {"type": "report.generated", "data": {"id": "rep_1"}},
    ],
)
async def test_signed_events_about_something_else_are_ignored(world: World, body: Any) -> None:
    answer = await world.send(body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert await listed(world) == []


@pytest.mark.parametrize(
    "body",
    [
        {"event": "interview.completed"},
        {"event": "interview.analysis_ready", "data": {"session": {"uuid": "int-1"}}},
        {"session": {"uuid": "int-1"}, "score": 4},
        ["interview.completed", "int-1"],
        "int-1",
        None,
    ],
)
async def test_what_cannot_be_read_is_stored_listed_and_shown(world: World, body: Any) -> None:
    answer = await world.send(body)
    assert (answer.status_code, answer.json()) == (200, {"status": "unreadable"})
    (item,) = await listed(world, status="unreadable")
    assert (item["status"], item["interview_id"]) == ("unreadable", None)
    assert await listed(world) == [item]
    found = await world.get("check_connection")
    check = next(one for one in found["checks"] if one["name"] == "unreadable_webhooks")
    assert check["status"] == "fail"
    assert "KOJI_FIELD_ALIASES" in check["message"]
    if isinstance(body, dict):
        assert all(key in check["message"] for key in body)
    assert "int-1" not in json.dumps(found)


async def test_an_unreadable_webhook_is_replayed_after_an_alias_is_set(world: World) -> None:
    odd = message("", interview_id=None, session={"uuid": "int-odd"})
    assert (await world.send(odd)).json() == {"status": "unreadable"}
    assert (await world.get("replay_syncs", status="unreadable"))["total"] == 0
    await world.restart(KOJI_FIELD_ALIASES="interview_id=session.uuid")
    run = await world.get("replay_syncs", status="unreadable")
    assert (run["status"], run["total"], run["synced"]) == ("finished", 1, 1)
    assert world.completed() == ["int-odd"]
    assert await listed(world, status="unreadable") == []
    assert (await world.get("replay_syncs", status="unreadable"))["total"] == 0


async def test_an_alias_of_the_connection_tells_an_unsigned_interview_from_a_ping(tmp_path: Path) -> None:
    toml = '[connections.second]\nkoji_field_aliases = "interview_id=session.uuid"\n'
    async with open_world(tmp_path, toml=toml) as world:
        for path in ("/webhooks/koji", "/webhooks/koji/second"):
            answer = await world.client.post(path, json={"session": {"uuid": "int-1"}})
            assert answer.status_code == 401
        answer = await world.client.post("/webhooks/koji/default", json={"session": {"uuid": "int-1"}})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "event", ["interview.completed", "interview.quality_scored", "session.ended", "analysis_ready", None]
)
async def test_an_interview_id_is_accepted_with_any_event_name_or_none(
    world: World, event: str | None
) -> None:
    answer = await world.send(message("int-1", event=event))
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "accepted", "duplicate": False, "interview_id": "int-1"},
    )
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_the_same_body_and_event_is_a_duplicate_and_another_body_is_not(world: World) -> None:
    first = message("int-1")
    assert (await world.send(first)).json()["duplicate"] is False
    assert (await world.send(first)).json()["duplicate"] is True
    assert (await world.send(first, scheme="timestamped")).json()["duplicate"] is True
    assert (await world.send({**first, "sentiment": "mixed"})).json()["duplicate"] is False
    by_header = message("int-2", event=None)
    for event, duplicate in (("interview.completed", False), ("interview.analysis_ready", False)):
        answer = await world.send(by_header, headers={"X-Koji-Event": event})
        assert answer.json()["duplicate"] is duplicate
    again = await world.send(by_header, headers={"X-Koji-Event": "interview.completed"})
    assert again.json()["duplicate"] is True
    await world.ended("int-1", "int-2")
    assert sorted(world.completed()) == ["int-1", "int-2"]


async def test_the_same_webhook_id_is_a_duplicate_whatever_the_body(world: World) -> None:
    first = await world.send(message("int-1"), scheme="standard-webhooks", webhook_id="msg_7")
    later = {**message("int-1"), "delivered_at": "later"}
    again = await world.send(later, scheme="standard-webhooks", webhook_id="msg_7")
    other = await world.send(later, scheme="standard-webhooks", webhook_id="msg_8")
    assert [one.json()["duplicate"] for one in (first, again, other)] == [False, True, False]


@pytest.mark.parametrize("scheme", ["hex", "base64", "timestamped"])
async def test_a_webhook_id_that_no_signature_covers_proves_nothing(world: World, scheme: str) -> None:
    same = {"webhook-id": "msg_7", "svix-id": "msg_7"}
    answers = [await world.send(message(f"int-{n}", n), scheme=scheme, headers=same) for n in (1, 2)]
    assert [one.json()["duplicate"] for one in answers] == [False, False]
    await world.ended("int-1", "int-2")
    assert sorted(world.completed()) == ["int-1", "int-2"]


async def test_of_two_ids_the_signed_one_counts(world: World) -> None:
    def signed(number: int) -> Any:
        return world.send(
            message(f"int-{number}", number),
            scheme="standard-webhooks",
            webhook_id=f"msg_{number}",
            headers={"svix-id": "msg_x"},
        )

    assert [(await signed(n)).json()["duplicate"] for n in (1, 2)] == [False, False]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x-unknown"])
@pytest.mark.parametrize("over", ["json", "bytes"])
async def test_a_compressed_webhook_is_refused_by_name(world: World, encoding: str, over: str) -> None:
    plain = json.dumps(message("int-1")).encode()
    packed = gzip.compress(plain)
    await world.restart(AMPLITUDE_COHORT_WEBHOOK_TOKEN="cohort-token")
    signed = sign(plain if over == "json" else packed)
    for path in ("/webhooks/koji", "/webhooks/amplitude/cohorts"):
        headers = {**signed, "X-API-Key": "cohort-token", "Content-Encoding": encoding}
        answer = await world.client.post(path, content=packed, headers=headers)
        is_problem(answer, 415, "unsupported_content_encoding")
        assert "switch compression off" in answer.json()["detail"]
    whole = await world.send(plain, headers={"Content-Encoding": "identity"})
    assert whole.json()["status"] == "accepted"


async def test_duplicates_that_arrive_together_are_stored_once(world: World) -> None:
    answers = await asyncio.gather(*(world.send(message("int-1")) for _ in range(20)))
    assert sorted(one.json()["duplicate"] for one in answers) == [False] + [True] * 19
    receipt = await world.ended("int-1")
    assert len(receipt["received"]) == 1
    assert world.completed() == ["int-1"]


async def test_the_same_body_on_two_connections_is_no_duplicate(tmp_path: Path) -> None:
    toml = '[connections.second]\nkoji_webhook_secret = "second-secret"\namplitude_api_key = "sandbox-amplitude-key"\n'
    async with open_world(tmp_path, toml=toml) as world:
        first = await world.send(message("int-1"))
        second = await world.send(message("int-1"), secret="second-secret")
        assert [one.json()["duplicate"] for one in (first, second)] == [False, False]
        await world.ended("int-1")
        await world.ended("int-1", connection="second")
        assert world.completed() == ["int-1"], "one Amplitude project counts an interview once"


async def test_the_answer_waits_for_nobody(world: World) -> None:
    await world.hold("amplitude")
    await world.hold("koji")
    async with asyncio.timeout(60):
        assert (await world.send(message("int-1"))).status_code == 200
        assert (await world.send({"interview_id": "int-2"})).status_code == 200
    await world.release("amplitude")
    await world.release("koji")


async def test_a_store_that_fails_is_503_and_the_next_delivery_arrives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_delivery: Any) -> bool:
        raise LedgerUnavailable("The ledger cannot keep up; call again in a few seconds.", retry_after=2)

    with monkeypatch.context() as broken:
        broken.setattr(world.context.ledger.inbox, "accept", full)
        answer = await world.send(message("int-1"))
        is_problem(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"] == "2"
    again = await world.send(message("int-1"))
    assert again.json() == {"status": "accepted", "duplicate": False, "interview_id": "int-1"}
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_store_that_cannot_be_written_is_503_and_work_goes_on_once_it_can(world: World) -> None:
    file = world.folder / "ledger.db"
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("ALTER TABLE inbox RENAME TO inbox_away")
        answer = await world.send(message("int-1"))
        is_problem(answer, 503, "store_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        ledger.execute("ALTER TABLE inbox_away RENAME TO inbox")
    assert (await world.send(message("int-1"))).json()["duplicate"] is False
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_stopping_server_takes_no_webhook(world: World) -> None:
    world.context.stopping.set()
    answer = await world.send(message("int-1"))
    is_problem(answer, 503, "stopping")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_body_that_nothing_can_be_made_of_holds_nobody_up(world: World) -> None:
    monsters = [
        {**message("int-big"), "quality_score": 10**400},
        {
            **message("int-deep"),
            "data": {"stats": {"duration_seconds": 10**400, "respondent_messages": "1e999"}},
        },
        {**message("int-time"), "completed_at": 10**400, "timestamp": "9999-12-31T23:59:59-23:59"},
        {**message("int-nul"), "themes": ["\x00", "\ud800"], "sentiment": "\udfff"},
    ]
    for monster in monsters:
        assert (await world.send(json.dumps(monster).encode())).json()["status"] == "accepted"
    await world.deliver(message("int-1"))
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_compressed_body_is_verified_as_it_came(world: World) -> None:
    packed = gzip.compress(json.dumps(message("int-1")).encode())
    is_problem(await world.send(packed), 400, "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        {"event": "interview.analysis_ready", "data": {"id": "int-1", **UNNAMED}},
        {"type": "interview.analysis_ready", "data": {"interview": message("int-1", event=None)}},
        {"topic": "interview.analysis_ready", "payload": {"interviewId": "int-1", **UNNAMED}},
        {"event_type": "interview.analysis_ready", "interview": {"id": "int-1"}, **UNNAMED},
        {
            "event_name": "interview.analysis_ready",
            "conversation_id": "int-1",
            "respondent": {"email": "person-001@example.com"},
            "analysis": {
                "themes": [{"name": "pricing confusion"}, {"label": "slow import"}, {"title": "missing export"}],
                "sentiment": {"label": "Negative"},
                "qualityScore": "4.2",
            },
            "metadata": {"completedAt": 1_795_168_800},
            "transcriptUrl": "https://www.koji.so/interviews/int-1",
        },
        {
            "id": "evt_1",
            "name": "interview.analysis_ready",
            "data": {
                "id": "int-1",
                "respondentEmail": "person-001@example.com",
                "analysis": {"themes": "pricing confusion\nslow import\nmissing export", "quality_score": 4.2},
                "metadata": {"sentiment": "NEGATIVE", "completed_at": "2026-11-20T11:00:00+01:00"},
                "transcript_url": "https://www.koji.so/interviews/int-1",
            },
        },
    ],
)  # fmt: skip
async def test_every_envelope_arrives_at_amplitude_as_the_same_event(world: World, body: Any) -> None:
    assert (await world.send(body)).json()["interview_id"] == "int-1"
    assert (await world.ended("int-1"))["status"] == "synced"
    identify, event = world.stored()
    assert identify["sent_properties"] == {
        "$set": {
            "last_interview_at": "2026-11-20T10:00:00Z",
            "last_interview_sentiment": "negative",
            "last_interview_themes": ["pricing confusion", "slow import", "missing export"],
            "last_interview_quality": 4.2,
        }
    }
    assert event["event_properties"] == {
        "theme_top_1": "pricing confusion",
        "theme_top_2": "slow import",
        "themes": ["pricing confusion", "slow import", "missing export"],
        "sentiment": "negative",
        "quality_score": 4.2,
        "transcript_url": "https://www.koji.so/interviews/int-1",
        "interview_id": "int-1",
    }
    assert (event["event_type"], event["user_id"]) == ("koji.interview_completed", "person-001@example.com")
    assert (event["insert_id"], identify["insert_id"]) == ("koji:int-1:completed", "koji:int-1:identify")
    assert (event["time"], identify["time"]) == (1_795_168_800_000, 1_795_168_799_999)
    assert "ip" not in event


async def test_an_id_that_is_a_large_number_keeps_its_digits(world: World) -> None:
    number = 12345678901234567890123
    answer = await world.send(message(number))  # type: ignore[arg-type]
    assert answer.json() == {"status": "accepted", "duplicate": False, "interview_id": str(number)}
    given = {"interview_id": number, "themes": ["pricing"], "quality_score": 4.2}
    for asked in (given, {"interview": message(number)}):  # type: ignore[arg-type]
        preview = await world.get("preview_interview_sync", **asked)
        assert preview["interview_id"] == str(number)
