"""Launches from outside: plan, launch, start, answer, and the result in Amplitude."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.errors import LedgerUnavailable
from connector.ledger.access.idempotency import Idempotency
from tests.support.harness import DAY, QUICK, World, open_world, until

pytestmark = pytest.mark.e2e

PROJECT = QUICK.koji_project_id


def people(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com", "name": f"Person {n:03}", **more}
        for n in numbers
    ]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=PROJECT,
        CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="1000",
        CONNECTOR_MAX_CREDITS_PER_DAY="10000",
    ) as opened:
        yield opened


def started(world: World) -> list[Any]:
    return list(world.sandbox.koji.store.interviews.values())


async def called_off(world: World, launch_id: str, people: int) -> None:
    """Wait until everybody is called off: one whose start is on its way is so after its answer."""

    async def seen() -> bool:
        launch = await world.get("get_launch", launch_id=launch_id)
        return bool(launch["cancelled"] == people and launch["waiting"] == 0)

    await until(seen)


async def test_a_launch_of_members_starts_each_once_and_its_results_reach_amplitude(world: World) -> None:
    launched = await world.get(
        "launch_cohort_interviews", members=people(1, 2, 3), variant="B", mode="text", locale="de"
    )
    assert launched["status"] == "finished", launched
    assert (launched["members_total"], launched["to_invite"], launched["invited"]) == (3, 3, 3)
    assert launched["credits_estimate"] == 3
    assert [one["user_id"] for one in launched["invitations"]] == ["user-001", "user-002", "user-003"]
    koji = started(world)
    assert [one.display_name for one in koji] == ["Person 001", "Person 002", "Person 003"]
    assert all(one.external_id.startswith("inv_") for one in koji)
    assert koji[0].metadata == {
        "email": "person-001@example.com",
        "launch_id": launched["launch_id"],
        "variant": "B",
    }
    link = launched["invitations"][0]["interview_link"]
    assert link == (
        f"{world.sandbox_url}/koji/api/v1/embed/{PROJECT}?external_id={koji[0].external_id}&mode=text&language=de"
    )


async def test_an_answer_is_the_invited_persons_by_external_id(world: World) -> None:
    launched = await world.get("launch_cohort_interviews", members=people(1), variant="B", mode="text")
    interview = started(world)[0]
    body = {
        "event": "interview.analysis_ready",
        "interview_id": "another-id",
        "external_id": interview.external_id,
        "themes": ["price"],
        "quality_score": 4.1,
        "sentiment": "positive",
        "completed_at": "2026-11-20T10:00:00Z",
    }
    await world.deliver(body)
    receipt = await world.ended("another-id")
    assert receipt["status"] == "synced", receipt
    assert receipt["user_id"] == "user-001"
    (event,) = world.stored("koji.interview_completed")
    properties = event["event_properties"]
    assert properties["launch_id"] == launched["launch_id"]
    assert properties["variant"] == "B"
    assert properties["mode"] == "text"
    seen = await world.get("get_launch", launch_id=launched["launch_id"])
    assert seen["invitations"][0]["state"] == "completed"
    assert seen["invitations"][0]["interview_id"] == "another-id"
    assert seen["interview_id"] == "another-id"


async def test_a_cohort_is_planned_and_launched_by_its_token(world: World) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    plan = await world.get(
        "plan_cohort_launch", cohort_id="onboarding-drop-off", max_interviews=10, wait_seconds=20
    )
    assert plan["status"] == "planned", plan
    assert plan["cohort_name"] == "Onboarding drop-off"
    assert (plan["members_total"], plan["to_invite"], plan["skipped"]) == (12, 10, {"over_limit": 2})
    assert started(world) == []
    launched = await world.get("launch_cohort_interviews", plan_token=plan["plan_token"], wait_seconds=20)
    assert launched["launch_id"] == plan["launch_id"]
    assert (launched["status"], launched["invited"]) == ("finished", 10)
    again = await world.get("launch_cohort_interviews", plan_token=plan["plan_token"])
    assert again["launch_id"] == plan["launch_id"]
    assert len(started(world)) == 10


async def test_nobody_is_asked_twice_by_whatever_alias(world: World) -> None:
    await world.get("launch_cohort_interviews", members=[{"email": "Ada@Example.com "}])
    linked = await world.get(
        "launch_cohort_interviews", members=[{"email": "ada@example.com", "user_id": "u-ada"}]
    )
    assert linked["skipped"] == {"already_invited": 1}
    by_id = await world.get("launch_cohort_interviews", members=[{"user_id": "u-ada"}])
    assert by_id["skipped"] == {"already_invited": 1}
    assert by_id["status"] == "finished"
    assert len(started(world)) == 1
    again = await world.get("start_interview", user_id="u-ada")
    assert again["status"] == "already_invited"
    assert again["interview_link"]
    assert len(started(world)) == 1


async def test_a_single_start_is_flat_and_its_repeat_is_the_same_link(world: World) -> None:
    first = await world.get("start_interview", email="ada@example.com", name="Ada", mode="voice")
    assert first["status"] == "started", first
    assert first["interview_id"] == started(world)[0].interview_id
    second = await world.get("start_interview", email="ada@example.com")
    assert second["status"] == "already_invited"
    assert second["interview_link"] == first["interview_link"]
    assert second["launch_id"] == first["launch_id"]


async def test_an_interview_is_completed_with_the_token_of_its_start(world: World) -> None:
    first = await world.get("start_interview", email="ada@example.com")
    done = await world.get("complete_interview", interview_id=first["interview_id"], reason="respondent_left")
    assert (done["status"], done["analysis_status"]) == ("completed", "processing")
    again = await world.get("complete_interview", interview_id=first["interview_id"])
    assert again["completed_at"] == done["completed_at"]
    lost = await world.call("complete_interview", interview_id="not-ours")
    assert (lost.status_code, lost.json()["code"]) == (409, "no_session_token")
    assert "dashboard" in lost.json()["detail"]


async def test_reinviting_after_days(world: World) -> None:
    await world.get("start_interview", email="ada@example.com")
    world.move(10 * DAY)
    early = await world.get("start_interview", email="ada@example.com", reinvite_after_days=30)
    assert (early["status"], early["reason"]) == ("skipped", "recently_interviewed")
    assert early["until"] is not None
    shown = {"members": [{"user_id": "u-ada", "email": "ada@example.com"}], "reinvite_after_days": 30}
    (example,) = (await world.get("plan_cohort_launch", **shown))["skipped_examples"]
    assert (example["rule"], example["until"]) == ("reinvite_after_days", early["until"])
    late = await world.get("start_interview", email="ada@example.com", reinvite_after_days=7)
    assert late["status"] == "started"
    assert len(started(world)) == 2


async def test_who_waits_in_a_paused_launch_is_not_queued_again(world: World) -> None:
    world.sandbox.koji.switches.credits_exhausted = True
    paused = await world.get("launch_cohort_interviews", members=people(1))
    assert paused["waiting"] == 1
    world.move(10 * DAY)
    for days in (0, 7):
        again = await world.get("launch_cohort_interviews", members=people(1), reinvite_after_days=days)
        assert again["skipped"] == {"recently_interviewed": 1}, again
        assert [one["until"] for one in again["skipped_examples"]] in ([], [None])
        single = await world.get("start_interview", user_id="user-001", reinvite_after_days=days)
        assert (single["status"], single["reason"]) == ("skipped", "recently_interviewed")


@pytest.mark.parametrize(
    ("fault", "code"), [("credits", "koji_credits"), ("key", "koji_key"), ("permission", "koji_permission")]
)
async def test_a_refusal_of_the_key_pauses_the_launch_until_somebody_resumes_it(
    world: World, fault: str, code: str
) -> None:
    switches = world.sandbox.koji.switches
    before = switches.permissions
    if fault == "credits":
        switches.credits_exhausted = True
    elif fault == "permission":
        switches.permissions = frozenset({"interview:read"})
    else:
        await world.fault("koji", "status", status=401, route="start", times=None)
    paused = await world.get("launch_cohort_interviews", members=people(1, 2))
    assert (paused["status"], paused["pause_reason"]) == ("paused", code)
    assert (paused["waiting"], paused["invited"]) == (2, 0)
    assert paused["message"]
    refused = await world.call("start_interview", email="other@example.com")
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    switches.credits_exhausted = False
    switches.permissions = before
    await world.control("DELETE", "/koji/faults")
    resumed = await world.get("resume_launch", launch_id=paused["launch_id"], wait_seconds=10)
    assert (resumed["status"], resumed["invited"]) == ("finished", 2)
    assert len(started(world)) == 2


async def test_doubtful_starts_are_not_repeated_and_have_two_exits(world: World) -> None:
    await world.fault("koji", "status_after_accept", status=504, route="start", times=1)
    await world.fault("koji", "cut_after_accept", route="start", times=1)
    launched = await world.get("launch_cohort_interviews", members=people(1, 2, 3, 4), wait_seconds=10)
    assert (launched["status"], launched["in_doubt"], launched["invited"]) == ("finished", 2, 2)
    assert len(started(world)) == 4
    assert launched["warnings"]
    # one of them comes back
    lost = started(world)[0]
    await world.deliver(
        {
            "event": "interview.completed",
            "interview_id": lost.interview_id,
            "external_id": lost.external_id,
            "quality_score": 4,
            "themes": ["price"],
        }
    )
    await world.ended(lost.interview_id)
    seen = await world.get("get_launch", launch_id=launched["launch_id"])
    assert (seen["in_doubt"], seen["invited"]) == (1, 3)
    given_up = await world.get("resume_launch", launch_id=launched["launch_id"], in_doubt="give_up")
    assert (given_up["in_doubt"], given_up["failed"], given_up["status"]) == (0, 1, "finished")
    again = await world.get("launch_cohort_interviews", members=people(2))
    assert again["skipped"] == {"already_invited": 1}


async def test_retrying_a_doubtful_start(world: World) -> None:
    await world.fault("koji", "status", status=500, route="start", times=1)
    launched = await world.get("launch_cohort_interviews", members=people(1))
    assert launched["in_doubt"] == 1
    retried = await world.get(
        "resume_launch", launch_id=launched["launch_id"], in_doubt="retry", wait_seconds=10
    )
    assert (retried["status"], retried["invited"], retried["in_doubt"]) == ("finished", 1, 0)


async def test_koji_refuses_one_person(world: World) -> None:
    await world.fault("koji", "status", status=422, route="start", body={"error": "no such locale"}, times=1)
    launched = await world.get("launch_cohort_interviews", members=people(1, 2))
    assert (launched["status"], launched["failed"], launched["invited"]) == ("finished", 1, 1)
    failed = await world.get("get_launch", launch_id=launched["launch_id"], state="failed")
    assert failed["invitations"][0]["reason"] == "refused_by_koji"
    again = await world.get("launch_cohort_interviews", members=people(1))
    assert again["invited"] == 1


async def test_cancelling_frees_who_was_not_sent(world: World) -> None:
    await world.fault("koji", "status", status=503, route="start", times=None)
    launched = await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=1)
    assert launched["pause_reason"] == "koji_unreachable", launched
    assert launched["resumes_at"]
    assert (await world.get("cancel_launch", launch_id=launched["launch_id"]))["status"] == "cancelled"
    await called_off(world, launched["launch_id"], 2)
    await world.control("DELETE", "/koji/faults")
    world.move(120)
    again = await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=10)

    async def both_invited() -> bool:
        # it is still paused when it was asked for before Koji's silence was seen to end
        world.move(61)
        return bool((await world.get("get_launch", launch_id=again["launch_id"]))["invited"] == 2)

    await until(both_invited)


async def test_while_koji_is_silent_a_single_start_is_refused_and_goes_once_it_answers(world: World) -> None:
    await world.fault("koji", "status", status=503, times=None)
    first = await world.call("start_interview", email="one@example.com", wait_seconds=1)
    assert first.json()["status"] == "pending"
    for _ in range(4):
        refused = await world.call("start_interview", email="two@example.com")
        assert (refused.status_code, refused.json()["code"]) == (409, "koji_unreachable"), refused.text
        world.move(61)
    await world.get("cancel_launch", launch_id=first.json()["launch_id"])
    await called_off(world, first.json()["launch_id"], 1)
    await world.control("DELETE", "/koji/faults")

    async def answered() -> bool:
        world.move(61)
        return (await world.call("start_interview", email="two@example.com")).status_code == 200

    await until(answered)
    assert [one.email for one in started(world)] == ["two@example.com"]


@pytest.mark.parametrize("invite_by", ["start", "link"])
async def test_calls_at_once_for_one_person_all_get_the_link(world: World, invite_by: str) -> None:
    await world.reconfigure({"KOJI_INVITE_BY": invite_by, "KOJI_PROJECT_ID": "project-1"})
    calls = [world.call("start_interview", email="ada@example.com", wait_seconds=10) for _ in range(4)]
    told = [answer.json() for answer in await asyncio.gather(*calls)]
    assert len({one["interview_link"] for one in told}) == 1
    assert told[0]["interview_link"]
    assert sorted(one["status"] for one in told) == ["already_invited"] * 3 + ["started"]


async def test_a_person_who_waits_in_a_launch_is_pending_until_the_start(world: World) -> None:
    await world.hold("koji", "start")
    await world.call("launch_cohort_interviews", members=people(1, 2), wait_seconds=0)
    await world.held("koji")
    asked = {"user_id": "user-002", "idempotency_key": "k"}
    early = await world.call("start_interview", **asked, wait_seconds=0)
    assert (early.status_code, early.json()["status"]) == (202, "pending")
    assert early.json()["status_url"]
    call = asyncio.create_task(world.call("start_interview", user_id="user-002", wait_seconds=20))
    await world.release("koji")
    told = (await call).json()
    assert told["status"] == "already_invited"
    assert told["interview_link"]
    later = await world.get("start_interview", **asked)
    assert (later["status"], later["interview_link"]) == ("already_invited", told["interview_link"])


async def test_the_days_credits_hold_a_launch_until_the_next_day(world: World) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "4"})
    launched = await world.get(
        "launch_cohort_interviews", members=people(1, 2, 3), mode="voice", wait_seconds=5
    )
    assert (launched["status"], launched["pause_reason"], launched["invited"]) == (
        "paused",
        "daily_credits",
        1,
    )
    assert launched["resumes_at"].endswith("T00:00:00Z")
    refused = await world.call("start_interview", email="other@example.com", mode="voice")
    assert (refused.status_code, refused.json()["code"]) == (409, "daily_credits")
    world.move(DAY)

    async def two() -> bool:
        world.context.wake()
        return bool((await world.get("get_launch", launch_id=launched["launch_id"]))["invited"] == 2)

    await until(two)


async def test_links_without_any_call(world: World) -> None:
    await world.reconfigure({"KOJI_INVITE_BY": "link", "KOJI_API_KEY": ""})
    launched = await world.get("launch_cohort_interviews", members=people(1, 2), mode="text", wait_seconds=10)
    assert (launched["status"], launched["invited"]) == ("finished", 2)
    assert started(world) == []
    first = launched["invitations"][0]
    assert first["interview_id"] is None
    assert "external_id=inv_" in first["interview_link"]


async def test_an_anonymous_answer_cannot_be_joined_to_its_invitation(world: World) -> None:
    first = await world.get("start_interview", email="ada@example.com")
    interview = started(world)[0]
    await world.deliver(
        {
            "event": "interview.analysis_ready",
            "interview_id": interview.interview_id,
            "external_id": interview.external_id,
            "anonymous": True,
            "themes": ["price"],
            "quality_score": 4,
        }
    )
    receipt = await world.ended(interview.interview_id)
    assert (receipt["status"], receipt["reason"]) == ("skipped", "anonymous")
    seen = await world.get("get_launch", launch_id=first["launch_id"])
    assert seen["invitations"][0]["interview_id"] is None
    assert seen["invitations"][0]["interview_link"] is None
    again = await world.get("start_interview", email="ada@example.com")
    assert again["status"] == "already_invited"


async def test_a_silent_interview_is_read_and_at_last_expired(world: World) -> None:
    await world.get("launch_cohort_interviews", members=people(1, 2))
    spoken = started(world)[0]
    world.sandbox.koji.finish(spoken, analysis_seconds=0.0)
    world.move(3_700)
    receipt = await world.ended(spoken.interview_id)
    assert receipt["status"] == "synced", receipt
    assert receipt["user_id"] == "user-001"
    for days in (1, 1, 3, 5, 8, 17, 1):
        world.move(days * DAY)

        async def quiet() -> bool:
            due = await world.context.ledger.invitations.next_due(["default"])
            world.clock.move(13)
            world.context.wake()
            return due is None or due > world.clock.now()

        await until(quiet)
    (launch,) = (await world.get("list_launches"))["items"]
    states = (await world.get("get_launch", launch_id=launch["launch_id"]))["invitations"]
    assert [one["state"] for one in states] == ["completed", "expired"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "named"),
    [
        ({}, 422, "invalid_input", "cohort_id"),
        ({"members": people(1), "cohort_id": "x"}, 422, "invalid_input", "cohort_id"),
        ({"cohort_id": "no-such"}, 404, "cohort_not_found", "cohort_id"),
        ({"members": people(1), "max_interviews": 1001}, 422, "invalid_input", "max_interviews"),
        ({"members": [{"email": "not an address"}]}, 422, "invalid_input", "members.0.email"),
        ({"plan_token": "plan_lau_x.forged"}, 422, "plan_invalid", "plan_token"),
        ({"members": [{"nobody": 1}]}, 422, "invalid_input", "members"),
    ],
)
async def test_bad_input_starts_nobody(
    world: World, fields: dict[str, Any], status: int, code: str, named: str
) -> None:
    answer = await world.call("launch_cohort_interviews", **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert named in answer.json()["detail"]
    assert started(world) == []


async def test_a_plan_that_is_contradicted_expired_or_gone(world: World) -> None:
    plan = await world.get("plan_cohort_launch", members=people(1, 2), mode="text")
    token = plan["plan_token"]
    for contradiction in ({"mode": "voice"}, {"max_interviews": 1}, {"variant": "C"}):
        answer = await world.call("launch_cohort_interviews", plan_token=token, **contradiction)
        assert (answer.status_code, answer.json()["code"]) == (422, "plan_mismatch")
        assert next(iter(contradiction)) in answer.json()["detail"]
    world.clock.move(601)
    late = await world.call("launch_cohort_interviews", plan_token=token)
    assert (late.status_code, late.json()["code"]) == (409, "plan_expired")
    world.move(3_600)

    async def gone() -> bool:
        world.context.wake()
        return (await world.call("launch_cohort_interviews", plan_token=token)).status_code == 404

    await until(gone)
    assert started(world) == []


async def test_no_link_is_refused_before_anybody_is_started(world: World) -> None:
    await world.reconfigure({"KOJI_PROJECT_ID": ""})
    refused = await world.call("launch_cohort_interviews", members=people(1))
    assert (refused.status_code, refused.json()["code"]) == (422, "no_link")
    world.sandbox.koji.switches.link_in_start = True
    allowed = await world.get("launch_cohort_interviews", members=people(1), allow_without_link=True)
    assert allowed["invitations"][0]["interview_link"].startswith("https://koji.so/i/")
    assert allowed["warnings"]


async def test_rows_that_are_skipped_are_counted_with_their_reasons(world: World) -> None:
    await world.get("start_interview", user_id="user-009")
    members = [*people(1), {"name": "Nobody"}, *people(1), {"user_id": "user-009"}, *people(2, 3)]
    plan = await world.get("plan_cohort_launch", members=members, max_interviews=2)
    assert plan["skipped"] == {
        "no_identifier": 1,
        "duplicate_in_cohort": 1,
        "already_invited": 1,
        "over_limit": 1,
    }
    assert plan["members_total"] == 6 == plan["to_invite"] + sum(plan["skipped"].values())
    example = {"user_id": "user-009", "reason": "already_invited", "rule": None, "until": None}
    assert example in plan["skipped_examples"]


async def test_a_single_start_learns_every_alias_that_comes_with_a_known_one(world: World) -> None:
    first = await world.get("start_interview", user_id="user-ada", email="ada@example.com")
    for whom in (
        {"user_id": "user-ada", "email": "new@example.com"},
        {"email": "new@example.com"},
        {"email": "new@example.com", "user_id": "user-new"},
        {"user_id": "user-new"},
    ):
        again = await world.get("start_interview", **whom)
        assert (again["status"], again["launch_id"]) == ("already_invited", first["launch_id"]), whom
    assert len(started(world)) == 1
    await world.get("forget_respondent", user_id="user-ada", wait_seconds=20)
    last = await world.get("start_interview", email="new@example.com", reinvite_after_days=0)
    assert (last["status"], last["reason"]) == ("skipped", "suppressed")


async def test_an_anonymous_word_before_the_answer_to_the_start_joins_nobody(world: World) -> None:
    await world.fault("koji", "slow", route="start", seconds=1.0)
    call = asyncio.create_task(world.get("start_interview", email="ada@example.com", wait_seconds=10))

    async def begun() -> bool:
        return len(started(world)) == 1

    await until(begun)
    (interview,) = started(world)
    await world.deliver({"event": "interview.analysis_ready", "interview_id": interview.interview_id,
                      "external_id": interview.external_id, "anonymous": True})  # fmt: skip
    told = await call
    await world.idle()
    seen = await world.get("get_launch", launch_id=told["launch_id"])
    assert seen["invitations"][0]["interview_id"] is None
    assert seen["invitations"][0]["interview_link"] is None


async def test_all_who_answered_anonymously_look_the_same(world: World) -> None:
    await world.get("launch_cohort_interviews", members=people(1, 2, 3))
    one, two, three = started(world)
    told = {"event": "interview.analysis_ready", "themes": ["x"], "quality_score": 4}
    await world.deliver({**told, "interview_id": one.interview_id, "external_id": one.external_id})
    await world.seen(one.interview_id, status="synced")
    for which in (one, two):
        mark = {**told, "interview_id": which.interview_id, "external_id": which.external_id}
        await world.deliver({**mark, "anonymous": True, "event": "interview.completed"})
    (launch,) = (await world.get("list_launches"))["items"]

    async def same() -> bool:
        seen = await world.get("get_launch", launch_id=launch["launch_id"])
        states = {item["email"]: item["state"] for item in seen["invitations"]}
        links = [item["interview_link"] for item in seen["invitations"]].count(None)
        return set(states.values()) == {"started"} and links == 2

    await until(same)
    assert three.interview_id


@pytest.mark.parametrize(
    ("operation", "whom"),
    [
        ("start_interview", {"email": "ada@example.com"}),
        ("launch_cohort_interviews", {"members": [{"email": "ada@example.com"}, {"user_id": "user-bob"}]}),
    ],
)
async def test_a_repeat_after_a_lost_answer_invites_nobody_again(
    world: World, monkeypatch: pytest.MonkeyPatch, operation: str, whom: dict[str, Any]
) -> None:
    call = {**whom, "reinvite_after_days": 0, "idempotency_key": "one"}
    store = Idempotency.store
    lost: list[str] = []

    async def lose_it(self: Idempotency, *given: Any) -> None:
        if not lost:
            lost.append("answer")
            raise LedgerUnavailable("The ledger cannot be written now; call again in a few seconds.")
        await store(self, *given)

    monkeypatch.setattr(Idempotency, "store", lose_it)
    assert (await world.call(operation, **call)).status_code == 503
    people_started = len(started(world))
    assert people_started >= 1
    again = await world.get(operation, **call)
    assert again["interview_link"] or again["invited"] == 2
    assert len(started(world)) == people_started
    assert await world.get(operation, **call) == again
    other = await world.get(operation, **{**call, "idempotency_key": "two"})
    assert other["launch_id"] != again["launch_id"]
