"""Many past interviews: read within the limit, newest judged over all, never the user table by accident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.results.run import CHUNK
from connector.sandbox import SandboxOptions
from connector.sandbox.koji.project import RefusedError
from connector.sandbox.koji.store import Interview
from tests.support.harness import HurriedClock, World, message, open_world, until

pytestmark = pytest.mark.e2e

HOUR = 3600


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as one:
        yield one


async def past(world: World, *interview_ids: str, number: int = 1, omit: bool = True, **fields: Any) -> None:
    for interview_id in interview_ids:
        await world.interview(interview_id, number, **fields)
    if omit:
        await world.control("POST", "/koji/switches", {"read_omits": ["completed_at"]})


async def finished(world: World, **fields: Any) -> dict[str, Any]:
    run: dict[str, Any] = await world.get("backfill_interviews", **fields)
    assert run["status"] == "finished", run
    return run


async def test_a_csv_is_read_and_sent_in_ascending_order(world: World) -> None:
    await past(world, "int-1", "int-2", "int-3")
    csv = (
        "Interview_ID, completed_at\r\n"
        "int-2,2026-10-02T10:00:00Z\r\n"
        "\r\n"
        "int-3,2026-10-03T12:00:00+02:00\r\n"
        "int-1,2026-10-01 10:00\r\n"
    )
    run = await finished(world, csv="\ufeff" + csv)
    assert (run["total"], run["synced"], run["pending"], run["eta_seconds"]) == (3, 3, 0, 0)
    assert world.completed() == ["int-1", "int-2", "int-3"]
    events = world.stored("koji.interview_completed")
    assert all(one["$skip_user_properties_sync"] is True for one in events)
    assert [one["insert_id"] for one in world.stored("$identify")] == ["koji:int-3:identify"]
    assert world.properties("person-001@example.com")["last_interview_at"] == "2026-10-03T10:00:00Z"
    assert await world.get("get_run", run_id=run["run_id"]) == run


async def test_a_newer_live_interview_keeps_the_user_properties(world: World) -> None:
    await world.deliver(message("int-live", 1, completed_at="2026-11-20T10:00:00Z"))
    await world.ended("int-live")
    await past(world, "int-old")
    await finished(world, csv="interview_id,completed_at\nint-old,2026-01-01T00:00:00Z")
    assert world.properties("person-001@example.com")["last_interview_at"] == "2026-11-20T10:00:00Z"
    assert len(world.stored("$identify")) == 1


async def test_the_newest_is_judged_over_the_whole_backfill_not_over_what_was_read_first(
    tmp_path: Path,
) -> None:
    options = SandboxOptions(koji_rate_limit_per_minute=20, throttle_events_per_second=None)
    clock = HurriedClock()
    async with open_world(tmp_path, options=options, clock=clock, KOJI_RATE_LIMIT_PER_MINUTE="20") as world:
        ids = [f"int-{n:02}" for n in range(30)]
        await past(world, *ids, omit=False)
        answer = await world.call("backfill_interviews", interview_ids=ids, wait_seconds=0)
        assert answer.status_code == 202
        body = answer.json()
        assert body["status"] == "running"
        assert body["eta_seconds"] > 0
        assert body["status_url"].endswith(f"/actions/get_run?run_id={body['run_id']}")
        await world.ended(*ids, seconds=20)
        assert len(world.stored("$identify")) == 1
        assert sorted(world.completed()) == ids
        assert world.sandbox.koji.max_calls_in_any_window(60) <= 20


async def test_an_interview_without_a_time_of_completion_is_skipped(world: World) -> None:
    await past(world, "int-1", "int-2")
    run = await finished(world, interview_ids=["int-1", "int-2", "int-missing"])
    assert run["skipped"] == {"no_completion_time": 2}
    assert run["failed"] == {"not_found_in_koji": 1}
    assert world.requests == []
    run = await finished(world, csv="interview_id,completed_at\nint-1,2026-10-01T10:00:00Z")
    assert run["synced"] == 1


async def test_an_email_from_the_csv_names_the_person_where_koji_does_not(world: World) -> None:
    await world.control("POST", "/koji/switches", {"read_omits": ["respondent", "completed_at"]})
    await world.interview("int-1")
    run = await finished(
        world, csv="interview_id,completed_at,email\nint-1,2026-10-01T10:00:00Z,told@example.com"
    )
    assert run["synced"] == 1
    assert world.stored("koji.interview_completed")[0]["user_id"] == "told@example.com"


async def test_rows_of_one_interview_fill_each_other_and_a_placeholder_is_no_address(world: World) -> None:
    await world.control("POST", "/koji/switches", {"read_omits": ["respondent", "completed_at"]})
    await world.interview("int-1")
    await world.interview("int-2")
    csv = (
        "interview_id,completed_at,email\n"
        "int-1,NULL,n/a\n"
        "int-1,0000-00-00 00:00:00,\n"
        "int-1,NaT,\n"
        "int-1,2026-10-01T10:00:00Z,\n"
        "int-1,,Told <told@example.com>\n"
        "int-1,2026-10-02T10:00:00Z,other@example.com\n"
        "int-1,,\n"
        "int-2,2026-10-01T10:00:00Z,N/A\n"
    )
    run = await finished(world, csv=csv)
    assert (run["total"], run["synced"], run["skipped"], run["failed"]) == (2, 1, {"anonymous": 1}, {})
    [event] = world.stored("koji.interview_completed")
    assert (event["user_id"], event["time"]) == ("told@example.com", 1_790_848_800_000)


@pytest.mark.parametrize("written", ["not an email", '"told@example.com, two@example.com"', "@example.com"])
async def test_an_unreadable_address_is_refused_with_its_line(world: World, written: str) -> None:
    answer = await world.call("backfill_interviews", csv=f"interview_id,email\nint-1,\nint-2,{written}\n")
    assert answer.status_code == 422
    assert answer.json()["detail"] == "csv: line 3: email is no e-mail address; nothing was started."


async def test_what_was_synced_before_is_counted_and_not_sent_again(world: World) -> None:
    await world.deliver(message("int-1"))
    await world.ended("int-1")
    run = await finished(world, interview_ids=["int-1", "int-1"])
    assert (run["total"], run["synced"]) == (1, 1)
    assert len(world.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"interview_ids": ["int-1"], "csv": "interview_id\nint-1"},
        {"interview_ids": ["int 1"]},
        {"csv": "id\nint-1"},
        {"csv": "interview_id,score\nint-1,4"},
        {"csv": "interview_id\n"},
        {"csv": "interview_id,completed_at\nint-1,soon"},
        {"csv": 'interview_id,completed_at\nint-1,"Nov 30, 2026, 3:00 PM"'},
        {"csv": "interview_id,email\n,a@example.com"},
        {"csv": 'interview_id\n"int-1'},
    ],
)
async def test_what_cannot_be_read_starts_nothing(world: World, fields: dict[str, Any]) -> None:
    answer = await world.call("backfill_interviews", **fields)
    assert answer.status_code == 422
    assert "a@example.com" not in answer.text
    assert (await world.get("list_syncs"))["items"] == []


async def test_a_backfill_goes_on_after_a_restart(world: World) -> None:
    await past(world, "int-1", "int-2", omit=False)
    await world.restart(workers=False)
    answer = await world.call("backfill_interviews", interview_ids=["int-1", "int-2"], wait_seconds=0)
    run_id = answer.json()["run_id"]
    await world.restart()
    await world.ended("int-1", "int-2")
    assert (await world.get("get_run", run_id=run_id))["synced"] == 2


async def test_a_call_answers_before_the_worker_begins_and_a_restart_loses_nothing(world: World) -> None:
    ids = [f"int-{n}" for n in range(2 * CHUNK + 1)]
    await world.deliver(*(message(one, quality_score=None, themes=None) for one in ids[:2]))
    await world.idle()
    await world.restart(workers=False)
    for operation, asked in (("backfill_interviews", ids), ("replay_syncs", ids[:2])):
        answer = await world.call(operation, interview_ids=asked, wait_seconds=0)
        assert answer.status_code == 202, answer.text
        run = answer.json()
        assert (run["pending"], run["total"]) == (len(asked), len(asked))
        assert run["eta_seconds"] >= 1
    assert await world.context.ledger.syncs.find("default", ids[-1]) is None
    await world.restart()

    async def begun() -> bool:
        return await world.context.ledger.runs.next_chunk(["default"], ()) is None

    await until(begun)
    assert await world.context.ledger.syncs.find("default", ids[-1]) is not None


async def test_a_run_of_another_connection_is_not_found(world: World) -> None:
    answer = await world.call("get_run", run_id="run_0")
    assert answer.status_code == 404


async def test_one_interview_that_koji_cannot_show_does_not_hold_a_backfill_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await past(world, "int-1", "int-2", "int-broken", omit=False)
    show = world.sandbox.koji.interview

    def broken(interview_id: str) -> Interview:
        if interview_id == "int-broken":
            raise RefusedError(500, "internal_error", "Something failed.")
        return show(interview_id)

    with monkeypatch.context() as trouble:
        trouble.setattr(world.sandbox.koji, "interview", broken)
        await world.call(
            "backfill_interviews", interview_ids=["int-broken", "int-1", "int-2"], wait_seconds=0
        )

        async def others_arrived() -> bool:
            world.move(61)
            return sorted(world.completed()) == ["int-1", "int-2"]

        await until(others_arrived)

    async def broken_arrived() -> bool:
        world.move(61)
        return sorted(world.completed()) == ["int-1", "int-2", "int-broken"]

    await until(broken_arrived)
    assert (await world.ended("int-broken"))["status"] == "synced"
