"""Every trouble that Amplitude makes: nobody's interview is lost, none counts twice, and the receipt says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connector.sandbox import SandboxOptions, faults
from tests.support.harness import DAY, World, message, open_world, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def together(world: World, *letters: dict[str, Any]) -> None:
    """Store webhooks while no worker runs, so that they are sent together."""
    await world.restart(workers=False)
    answers = await asyncio.gather(*(world.send(one) for one in letters))
    assert {one.json()["status"] for one in answers} == {"accepted"}
    await world.restart()


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [message(f"int-{number:03}", number, **fields) for number in range(count)]


async def all_synced(world: World, letters: list[dict[str, Any]], *, but: set[str] = frozenset()) -> None:  # type: ignore[assignment]  # an empty frozenset is an empty set
    wanted = sorted({one["interview_id"] for one in letters} - but)

    async def arrived() -> bool:
        return sorted(world.completed()) == wanted

    await until(arrived)
    await world.ended(*wanted)


async def test_one_bad_interview_among_500_is_parked_with_amplitudes_words(world: World) -> None:
    letters = many(500)
    letters[250]["respondent_email"] = "\u200bnull"
    letters[77]["themes"] = ["<script>alert(1)</script>"]
    await world.fault("amplitude", "waf", text="<script>", times=None)
    await together(world, *letters)
    await all_synced(world, letters, but={"int-077", "int-250"})
    assert (await world.get("get_sync", interview_id="int-250"))["reason"] == "invalid_user_id"
    receipt = await world.get("get_sync", interview_id="int-077")
    assert (receipt["status"], receipt["reason"]) == ("failed", "rejected_by_amplitude")
    assert receipt["attempts"][-1]["status"] == 403
    assert "Forbidden" in receipt["attempts"][-1]["words"]
    assert len(world.requests) < 30
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-077", wait_seconds=2,
                              themes="<script>", quality_score=4, respondent_email="person-077@example.com")  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_refused")
    assert answer.json()["result"]["reason"] == "rejected_by_amplitude"


async def test_amplitude_names_only_the_first_bad_event_of_a_field(tmp_path: Path) -> None:
    async with open_world(tmp_path, AMPLITUDE_MIN_ID_LENGTH="3") as world:
        letters = many(60)
        short = {"int-007", "int-031", "int-059"}
        for one in letters:
            if one["interview_id"] in short:
                one["respondent_email"] = f"u{one['interview_id'][-2:]}"
        await together(world, *letters[:1])
        await world.ended("int-000")
        # the project's own rule is stricter than the setting says
        await world.restart(workers=False)
        await world.deliver(*letters[1:])
        with StrictIds(world):
            await world.restart()
            await all_synced(world, letters, but=short)
            for interview_id in short:
                receipt = await world.get("get_sync", interview_id=interview_id)
                assert (receipt["status"], receipt["reason"]) == ("failed", "rejected_by_amplitude")
                assert "user_id" in receipt["attempts"][-1]["words"]
                assert "Invalid id length" in receipt["attempts"][-1]["words"]


class StrictIds:
    """Let the stand-in want five characters whatever the request asks for."""

    def __init__(self, world: World) -> None:
        self._project = world.sandbox.amplitude
        self._usual = self._project._parsed

    def __enter__(self) -> None:
        def without_options(raw: bytes) -> dict[str, Any]:
            request = self._usual(raw)
            request.pop("options", None)
            return request

        self._project._parsed = without_options  # type: ignore[method-assign]  # the stand-in has no such switch

    def __exit__(self, *_: object) -> None:
        self._project._parsed = self._usual  # type: ignore[method-assign]  # see above


async def test_requests_stay_below_amplitudes_size(world: World) -> None:
    letters = many(
        450, themes=["x" * 1000 + str(n) for n in range(3)], transcript_url="https://koji.so/" + "y" * 900
    )
    await together(world, *letters)
    await all_synced(world, letters)
    assert {one["status"] for one in world.requests} == {200}
    assert max(one["bytes"] for one in world.requests) <= 1_000_000
    assert len(world.requests) < 12


async def test_a_request_that_is_too_large_is_halved(world: World) -> None:
    letters = many(40)
    await world.fault("amplitude", "status", status=413, times=3)
    await together(world, *letters)
    await all_synced(world, letters)
    assert [one["status"] for one in world.requests][:4] == [413, 413, 413, 200]


async def test_a_single_interview_that_is_too_large_is_parked(world: World) -> None:
    await world.fault("amplitude", "status", status=413)
    await world.deliver(message("int-1"))
    receipt = await world.ended("int-1")
    assert (receipt["reason"], receipt["attempts"][-1]["words"]) == (
        "rejected_by_amplitude",
        "Payload too large",
    )


async def test_a_throttled_user_is_held_30_seconds_while_the_others_go_on(world: World) -> None:
    await world.control("POST", "/amplitude/rules", {"throttled_ids": ["person-003@example.com"]})
    letters = many(10)
    await together(world, *letters)
    await all_synced(world, letters, but={"int-003"})
    held = await world.get("get_sync", interview_id="int-003")
    assert (held["status"], held["reason"]) == ("pending", "throttled")
    await world.control("POST", "/amplitude/rules", {"throttled_ids": []})
    sent = len(world.requests)
    world.move(25)
    await world.deliver(message("int-later", 11))
    await world.ended("int-later")
    assert "int-003" not in world.completed()
    assert len(world.requests) == sent + 1
    world.move(6)
    assert (await world.ended("int-003"))["status"] == "synced"


async def test_a_user_over_the_daily_quota_waits_for_the_window(world: World) -> None:
    await world.control("POST", "/amplitude/rules", {"over_daily_quota": ["person-001@example.com"]})
    await together(world, message("int-1", 1), message("int-2", 2))
    await world.ended("int-2")
    await world.control("POST", "/amplitude/rules", {"over_daily_quota": []})
    world.move(3_000)
    await world.deliver(message("int-3", 3))
    await world.ended("int-3")
    assert "int-1" not in world.completed()
    world.move(700)
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_silenced_user_is_parked_and_the_others_go(world: World) -> None:
    await world.control("POST", "/amplitude/rules", {"silenced_users": ["person-003@example.com"]})
    letters = many(10)
    await together(world, *letters)
    await all_synced(world, letters, but={"int-003"})
    receipt = await world.ended("int-003")
    assert receipt["reason"] == "rejected_by_amplitude"
    assert "silenced" in receipt["attempts"][-1]["words"]


async def test_the_stand_ins_own_throttle_is_lived_with(tmp_path: Path) -> None:
    strict = SandboxOptions(
        throttle_events_per_second=30, throttle_window_seconds=1, koji_rate_limit_per_minute=None
    )
    async with open_world(tmp_path, options=strict) as world:
        letters = [
            message(f"int-{n:03}", 1, completed_at=f"2026-11-20T10:{n // 60:02}:{n % 60:02}Z")
            for n in range(45)
        ]
        await together(world, *letters)

        async def arrived() -> bool:
            world.move(31)
            return len(world.completed()) == 45

        await until(arrived)
        assert world.properties("person-001@example.com")["last_interview_at"] == "2026-11-20T10:00:44Z"


async def test_a_429_that_names_nobody_makes_everybody_wait(world: World) -> None:
    await world.fault("amplitude", "throttle_unnamed")
    await world.deliver(message("int-1"))
    await world.seen("int-1", reason="throttled")
    world.move(31)
    assert (await world.ended("int-1"))["status"] == "synced"


@pytest.mark.parametrize(
    ("kind", "fields", "counted"),
    [
        ("status", {"status": 500}, False),
        ("status_after_accept", {"status": 500}, True),
        ("status_after_accept", {"status": 502}, True),
        ("status_after_accept", {"status": 504}, True),
        ("status", {"status": 408}, False),
        ("status", {"status": 503}, False),
        ("cut", {}, False),
        ("cut_after_accept", {}, True),
        ("not_json", {}, False),
    ],
)
async def test_a_request_of_unknown_outcome_is_sent_again_and_counts_once(
    world: World, kind: str, fields: dict[str, Any], *, counted: bool
) -> None:
    await world.fault("amplitude", kind, **fields)
    letters = many(5)
    await together(world, *letters)

    async def arrived() -> bool:
        world.move(2)
        found = await world.get("list_syncs", status="synced")
        return len(found["items"]) == 5

    await until(arrived)
    assert sorted(world.completed()) == [one["interview_id"] for one in letters]
    assert world.sandbox.amplitude.store.duplicates == (10 if counted else 0)
    receipt = await world.get("get_sync", interview_id="int-000")
    first, last = receipt["attempts"][0], receipt["attempts"][-1]
    certain = fields.get("status") == 503
    assert first["outcome"] == ("unavailable" if certain else "unknown")
    assert last["outcome"] == "accepted"


async def test_a_slow_answer_is_waited_for(world: World) -> None:
    await world.fault("amplitude", "slow", seconds=0.3)
    await world.deliver(message("int-1"))
    receipt = await world.ended("int-1")
    assert len(receipt["attempts"]) == 1


async def test_a_redirect_pauses_the_lane_and_says_what_to_set(world: World) -> None:
    await world.fault("amplitude", "redirect", location="https://elsewhere.example.com/2/httpapi", times=2)
    await world.deliver(message("int-1"))
    await world.seen("int-1", reason="amplitude_paused")
    found = await world.get("check_connection")
    assert "AMPLITUDE_INGESTION_URL" in found["next_step"]
    await world.get("check_connection")
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_bad_key_pauses_the_lane_and_loses_nothing(world: World) -> None:
    world.sandbox.amplitude.options = wrong = SandboxOptions(amplitude_api_key="another-key")
    letters = many(8)
    await together(world, *letters)
    await world.seen("int-000", reason="amplitude_paused")
    tries = len(world.requests)
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-000")
    assert (answer.status_code, answer.json()["code"]) == (502, "credentials_rejected")
    assert "AMPLITUDE_API_KEY" in answer.json()["detail"]
    assert answer.json()["result"]["status"] == "pending"
    found = await world.get("check_connection")
    assert found["ok"] is False
    assert "AMPLITUDE_API_KEY" in found["next_step"]
    assert len(world.requests) == tries + 1, "only the check itself was sent"
    assert wrong.amplitude_api_key not in str(found)
    world.sandbox.amplitude.options = SandboxOptions()
    assert (await world.get("check_connection"))["ok"] is True
    await all_synced(world, letters)
    assert (
        next(c for c in (await world.get("check_connection"))["checks"] if c["name"] == "syncs")["status"]
        == "ok"
    )


async def test_a_paused_lane_tries_again_every_ten_minutes_and_at_start(world: World) -> None:
    world.sandbox.amplitude.options = SandboxOptions(amplitude_api_key="another-key")
    await world.deliver(message("int-1"))
    await world.seen("int-1", reason="amplitude_paused")
    tries = len(world.requests)
    world.move(590)
    await world.deliver(message("int-2", 2))
    await world.idle()
    assert len(world.requests) == tries
    world.move(20)

    async def tried(more: int) -> bool:
        return len(world.requests) == tries + more

    await until(lambda: tried(1))
    await until(world.context.ledger.leases.pauses)
    await world.restart()
    await until(lambda: tried(2))
    await until(world.context.ledger.leases.pauses)
    world.sandbox.amplitude.options = SandboxOptions()
    world.move(610)
    await world.ended("int-1", "int-2")
    assert await world.context.ledger.leases.pauses() == [], "a pause that is over is forgotten"
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert answer.status_code == 200


async def test_a_send_of_unknown_outcome_is_given_up_after_six_days_unless_forced(world: World) -> None:
    await world.fault("amplitude", "status_after_accept", status=500, times=None)
    await world.deliver(message("int-1"))

    await until(lambda: _attempts(world))
    world.move(5.9 * DAY)
    await until(lambda: _attempts(world, 1))
    world.move(0.2 * DAY)
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"]) == ("failed", "outcome_unknown")
    await world.control("DELETE", "/amplitude/faults")
    sent = len(world.requests)
    run = await world.get("replay_syncs")
    assert run["failed"] == {"outcome_unknown": 1}
    assert len(world.requests) == sent
    answer = await world.call("sync_interview_to_amplitude", interview_id="int-1")
    assert (answer.status_code, answer.json()["code"]) == (502, "outcome_unknown")
    await world.interview("int-1")
    run = await world.get("replay_syncs", force=True)
    assert run["synced"] == 1
    assert world.completed() == ["int-1"]


@pytest.mark.parametrize("status", [503, None])
async def test_a_refusal_that_is_certain_is_tried_again_for_ever(world: World, status: int | None) -> None:
    usual = world.environment.get("AMPLITUDE_INGESTION_URL", f"{world.sandbox_url}/amplitude")
    if status is None:
        await world.restart(AMPLITUDE_INGESTION_URL="http://127.0.0.1:9")
    else:
        await world.fault("amplitude", "status", status=status, times=None)
    await world.deliver(message("int-1"))
    for day in range(30):
        await until(partial(_attempts, world, min(day, 15)))
        world.move(DAY)
    assert (await world.get("get_sync", interview_id="int-1"))["status"] == "pending"
    if status is None:
        await world.restart(AMPLITUDE_INGESTION_URL=usual)
    else:
        await world.control("DELETE", "/amplitude/faults")

    async def arrived() -> bool:
        world.move(61)
        return world.completed() == ["int-1"]

    await until(arrived)


async def _attempts(world: World, more_than: int = 0) -> int:
    sync = await world.context.ledger.syncs.find("default", "int-1")
    found = 0 if sync is None else len(sync.attempts)
    return found if found > more_than else 0


async def test_no_answer_of_amplitude_leaks_a_key_or_an_address(world: World) -> None:
    body = {"code": 400, "error": "Invalid field values on some events: person-001@example.com",
            "events_with_invalid_fields": {"sandbox-amplitude-key": [1]}}  # fmt: skip
    await world.fault("amplitude", "status", status=400, body=body)
    await world.deliver(message("int-1"))
    receipt = await world.ended("int-1")
    words = str(receipt["attempts"])
    assert "person-001" not in words
    assert "sandbox-amplitude-key" not in words


async def test_fewer_events_than_sent_are_marked(world: World) -> None:
    body = {"code": 200, "events_ingested": 1}
    await world.fault("amplitude", "status", status=200, body=body, times=None)
    await world.deliver(message("int-1"))
    first = await world.seen("int-1", reason="events_missing")
    assert first["status"] == "pending"
    assert first["attempts"][0]["words"] == "Amplitude took 1 of the 2 events of this request."
    assert await counted(world) == "ok"
    world.move(5)
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"], len(receipt["attempts"])) == ("synced", None, 2)
    assert "fewer events" in receipt["warning"]
    assert receipt["request"] == first["request"]
    assert await counted(world) == "warn"
    assert [one["interview_id"] for one in (await world.get("list_syncs", reason="events_missing"))["items"]]


async def counted(world: World) -> Any:
    checks = (await world.get("check_connection"))["checks"]
    return next(check["status"] for check in checks if check["name"] == "events_ingested")


async def test_fewer_events_than_sent_are_sent_once_more(world: World) -> None:
    body = {"code": 200, "events_ingested": 1}
    await world.fault("amplitude", "status", status=200, body=body)
    await world.deliver(message("int-1"))
    await world.seen("int-1", reason="events_missing")
    world.move(4)
    await world.idle()
    assert world.completed() == []
    world.move(1)
    receipt = await world.ended("int-1")
    assert (receipt["status"], receipt["reason"], receipt["warning"]) == ("synced", None, None)
    assert world.completed() == ["int-1"]
    assert await counted(world) == "ok"


def asking_to_wait(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Let the stand-ins' scripted answers ask to wait."""
    real = faults._instead

    def asking(*args: Any) -> Any:
        answer = real(*args)
        answer.headers["Retry-After"] = str(seconds)
        return answer

    monkeypatch.setattr(faults, "_instead", asking)


async def test_a_lane_that_is_asked_to_wait_a_day_probes_after_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking_to_wait(monkeypatch, DAY)
    await world.fault("amplitude", "status", status=503)
    await world.deliver(message("int-1"))
    await world.seen("int-1", reason="amplitude_unavailable")
    world.move(3_500)
    await world.idle()
    assert world.completed() == []
    world.move(200)
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_a_limit_of_one_user_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asking_to_wait(monkeypatch, DAY)
    letters = [message("int-1", 1), message("int-2", 2)]
    body = {
        "code": 429,
        "error": "Too many requests",
        "exceeded_daily_quota_users": {"person-001@example.com": 9},
    }
    await world.fault("amplitude", "status", status=429, body=body)
    await together(world, *letters)
    assert (await world.ended("int-2"))["status"] == "synced"
    assert (await world.get("get_sync", interview_id="int-1"))["reason"] == "throttled"
    world.move(3_700)
    assert (await world.ended("int-1"))["status"] == "synced"


async def test_what_is_sent_again_is_what_was_sent_first(world: World) -> None:
    await world.fault("amplitude", "status_after_accept", status=500)
    await world.deliver(message("int-1"))
    await until(partial(_attempts, world))
    frozen = (await world.get("get_sync", interview_id="int-1"))["request"]
    await world.deliver(message("int-1", sentiment="mixed", respondent_email="person-002@example.com"))

    async def ended() -> bool:
        world.move(2)
        return bool((await world.get("get_sync", interview_id="int-1"))["status"] == "synced")

    await until(ended)
    receipt = await world.get("get_sync", interview_id="int-1")
    assert (receipt["request"], len(receipt["received"])) == (frozen, 2)
    assert world.completed() == ["int-1"]
    assert [one["event_properties"]["sentiment"] for one in world.stored("koji.interview_completed")] == [
        "negative"
    ]


async def test_a_resend_drops_the_user_properties_once_newer_ones_were_sent(world: World) -> None:
    await world.control("POST", "/amplitude/rules", {"throttled_ids": ["person-001@example.com"]})
    await world.deliver(message("int-old", 1, completed_at="2026-11-10T10:00:00Z"))
    await world.seen("int-old", reason="throttled")
    await world.control("POST", "/amplitude/rules", {"throttled_ids": []})
    await world.deliver(message("int-new", 1, completed_at="2026-11-12T10:00:00Z"))
    await world.ended("int-new")
    world.move(31)
    receipt = await world.ended("int-old")
    assert [one["insert_id"] for one in world.stored("$identify")] == ["koji:int-new:identify"]
    assert [one["event_type"] for one in receipt["request"]["events"]] == ["koji.interview_completed"]
    assert receipt["attempts"][-1]["identify"] is False
