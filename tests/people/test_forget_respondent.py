"""Forgetting a person: what goes, what stays out, and what is said about the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.launches.launch import InvitationState
from connector.domain.results.interview import Stage
from connector.domain.results.sync import ListFilter
from tests.support.harness import QUICK, World, message, open_world, until

pytestmark = pytest.mark.e2e

EMAIL, USER, NAME = "wilma.forgotten@example.com", "user-wilma-77", "Wilma Forgotten"
WHO = {"email": EMAIL, "user_id": USER, "name": NAME}
OTHERS = [{"email": f"person-{n:03}@example.com", "user_id": f"user-{n:03}"} for n in range(1, 4)]
OURS = {f"last_interview_{name}" for name in ("at", "sentiment", "themes", "quality")}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
        CONNECTOR_TRUST_EXTERNAL_ID="true",
    ) as opened:
        yield opened


async def forget(world: World, **who: Any) -> Any:
    told = await world.get("forget_respondent", wait_seconds=20, **who)
    assert told["status"] == "finished", told
    return told


def left_in_files(world: World, *texts: str) -> list[tuple[str, str]]:
    """Return (file, text) of what is found in the bytes of the ledger, in whatever letter case."""
    return [
        (path.name, text)
        for path in world.folder.iterdir()
        if path.is_file() and path.name.startswith("ledger")
        for text in texts
        if text.lower().encode() in path.read_bytes().lower()
    ]


async def lived(world: World) -> str:
    """Let somebody leave traces everywhere: invited, interviewed, synced, told of, planned again."""
    launched = await world.get(
        "start_interview", **WHO, metadata={"crm": f"{USER}-crm"}, idempotency_key=f"start {EMAIL}"
    )
    interview_id: str = launched["interview_id"]
    (started,) = world.sandbox.koji.store.interviews.values()
    await world.deliver(message(interview_id, respondent_email=EMAIL, external_id=started.external_id))
    await world.ended(interview_id)
    await world.deliver(message("int-by-mail", respondent_email=EMAIL.upper(), quality_score=2))
    await world.ended("int-by-mail")
    await world.deliver(message("int-by-id", respondent_email=None, external_id=USER))
    await world.ended("int-by-id")
    await world.send({"event": "interview.completed", "id": {"said": f"I am {EMAIL}"}}, webhook_id="odd")
    await world.get("plan_cohort_launch", members=[WHO, *OTHERS], reinvite_after_days=0)
    await world.get("plan_cohort_launch", members=[WHO, *OTHERS])
    await world.get("sync_interview_to_amplitude", interview_id=interview_id, idempotency_key=USER)
    return interview_id


async def test_nothing_of_a_forgotten_person_is_found_in_the_files_bytes(world: World) -> None:
    interview_id = await lived(world)
    assert set(world.properties(USER)) >= OURS
    (started,) = world.sandbox.koji.store.interviews.values()
    link_and_token = (started.external_id, started.session_token)
    texts = (EMAIL, USER, NAME, "Wilma", f"{USER}-crm", "embed/")
    assert left_in_files(world, EMAIL, USER, NAME)

    told = await forget(world, email=EMAIL)
    assert left_in_files(world, *texts) == []
    assert link_and_token[1] is None or left_in_files(world, link_and_token[1]) == []
    places = {one["place"] for one in told["done"]}
    assert places == {
        "invitations", "cancelled", "interviews", "deliveries", "launches", "unset", "suppression",
    }  # fmt: skip
    assert (told["total"], told["pending"], told["skipped"]) == (3, 0, {"suppressed": 3})
    words = " ".join(told["left_to_people"])
    assert interview_id in words
    assert "Koji" in words
    assert "Amplitude" in words
    assert told == {**await world.get("get_run", run_id=told["run_id"])}


async def test_a_value_that_few_people_have_goes_with_the_person(world: World) -> None:
    others = [{"user_id": f"u{n}", "properties": {"nick": "Many", "team": "Many"}} for n in range(6)]
    one = {**WHO, "properties": {"nick": "Only-of-them", "team": "Alone-of-them"}}
    launched = await world.get(
        "launch_cohort_interviews",
        members=[one, *others],
        segment_by="nick",
        quota={"property": "team", "per_value": 10},
        idempotency_key="one",
        wait_seconds=20,
    )
    assert left_in_files(world, "Only-of-them", "Alone-of-them")
    await forget(world, email=EMAIL)
    assert left_in_files(world, "Only-of-them", "Alone-of-them") == []
    shown = await world.get("get_launch", launch_id=launched["launch_id"])
    assert [(cell["value"], cell["available"]) for cell in shown["quota_cells"]] == [("Many", 6)]
    assert [(each["value"], each["cohort"]) for each in shown["segments"]] == [("Many", 6)]


async def test_our_user_properties_are_unset_and_nothing_is_sent_again(world: World) -> None:
    interview_id = await lived(world)
    await forget(world, user_id=USER)
    assert not OURS & set(world.properties(USER))
    counted = world.completed()
    synced = await world.get("get_sync", interview_id=interview_id)
    assert (synced["status"], synced["user_id"], synced["themes"]) == ("synced", None, [])
    for body in (
        message(interview_id, respondent_email=EMAIL),
        message("int-by-mail", respondent_email=EMAIL, quality_score=5),
        message("int-late", respondent_email=f" {EMAIL.title()} "),
        message("int-late-2", respondent_email=None, external_id=USER),
    ):
        await world.deliver(body)
    for one in ("int-late", "int-late-2", "int-by-mail"):
        receipt = await world.ended(one)
        assert (receipt["status"], receipt["reason"]) == ("skipped", "suppressed"), receipt
    for how in ({}, {"force": True}, {"themes": ["x"], "quality_score": 5, "respondent_email": EMAIL}):
        again = await world.get("sync_interview_to_amplitude", interview_id="int-late", **how)
        assert (again["status"], again["reason"]) == ("skipped", "suppressed"), (how, again)
    previewed = await world.get(
        "preview_interview_sync", interview_id="new", themes=["x"], quality_score=5, respondent_email=EMAIL
    )
    assert (previewed["decision"], previewed["reason"]) == ("skip", "suppressed")
    assert world.completed() == counted
    assert not OURS & set(world.properties(USER))

    async def log_emptied() -> bool:
        return left_in_files(world, EMAIL, USER) == []

    await until(log_emptied)


async def test_a_forgotten_person_is_never_invited_again_under_any_alias(world: World) -> None:
    await lived(world)
    await forget(world, email=EMAIL)
    before = len(world.sandbox.koji.store.interviews)
    members = [
        {"email": EMAIL.upper()},
        {"user_id": USER, "email": "wilma.new@example.com"},
        {"user_id": "someone-else", "email": EMAIL},
        OTHERS[0],
    ]
    plan = await world.get("plan_cohort_launch", members=members, reinvite_after_days=0)
    assert (plan["to_invite"], plan["skipped"]) == (1, {"suppressed": 2, "duplicate_in_cohort": 1})
    # what a row said of somebody who was forgotten is learned: it is the same person
    again = await world.get("plan_cohort_launch", members=[{"email": "wilma.new@example.com"}])
    assert again["skipped"] == {"suppressed": 1}
    started = await world.get("start_interview", email=EMAIL)
    assert (started["status"], started["reason"]) == ("skipped", "suppressed")
    assert len(world.sandbox.koji.store.interviews) == before
    assert left_in_files(world, EMAIL, USER, "wilma.new") == []


async def test_who_waits_or_is_planned_is_called_off(world: World) -> None:
    await world.fault("koji", "status", status=401, times=1000)
    launched = await world.get("launch_cohort_interviews", members=[WHO, *OTHERS])
    plan = await world.get("plan_cohort_launch", members=[{**WHO, "user_id": "user-wilma-88"}])
    assert plan["skipped"] == {"already_invited": 1}

    async def paused() -> bool:
        return bool((await world.get("get_launch", launch_id=launched["launch_id"]))["status"] == "paused")

    await until(paused)
    told = await forget(world, user_id="user-wilma-88")
    assert {"place": "cancelled", "what": "1 that were not started are called off"} in told["done"]
    await world.control("DELETE", "/koji/faults")
    await world.get("resume_launch", launch_id=launched["launch_id"])

    async def finished() -> bool:
        seen = await world.get("get_launch", launch_id=launched["launch_id"])
        return bool(seen["status"] == "finished" and seen["cancelled"] == 1 and seen["invited"] == 3)

    await until(finished)
    assert all(one.display_name != NAME for one in world.sandbox.koji.store.interviews.values())


async def test_a_stored_plan_does_not_start_whom_it_planned_before(world: World) -> None:
    plan = await world.get("plan_cohort_launch", members=[WHO, *OTHERS])
    assert plan["to_invite"] == 4
    await forget(world, email=EMAIL)
    launched = await world.get("launch_cohort_interviews", plan_token=plan["plan_token"], wait_seconds=20)
    assert (launched["invited"], launched["skipped"]) == (3, {"suppressed": 1})


async def test_an_interview_under_way_comes_back_to_nobody(world: World) -> None:
    await world.get("start_interview", **WHO)
    (started,) = world.sandbox.koji.store.interviews.values()
    await forget(world, email=EMAIL)
    body = message(started.interview_id, respondent_email=None, external_id=started.external_id)
    await world.deliver(body)
    receipt = await world.ended(started.interview_id)
    assert (receipt["status"], receipt["reason"]) == ("skipped", "suppressed")
    other = message("under-another-id", respondent_email=None, external_id=started.external_id)
    await world.deliver(other)
    assert (await world.ended("under-another-id"))["reason"] == "suppressed"
    assert world.completed() == []


async def test_the_analysis_of_a_forgotten_person_has_no_content(world: World) -> None:
    await world.interview("int-1", email=EMAIL)
    before = await world.get("get_interview_analysis", interview_id="int-1")
    assert before["themes"] == ["slow import"]
    await forget(world, email=EMAIL)
    after = await world.get("get_interview_analysis", interview_id="int-1", include_transcript=True)
    assert after["status"] == "suppressed"
    told = {name: value for name, value in after.items() if name not in ("interview_id", "status")}
    assert not any(told.values()), told


async def test_a_backfill_writes_nothing_of_a_forgotten_person(world: World) -> None:
    await world.interview("int-1", email=EMAIL)
    await world.interview("int-2", 2)
    await forget(world, email=EMAIL)
    run = await world.get("backfill_interviews", interview_ids=["int-1", "int-2"], wait_seconds=20)
    assert (run["synced"], run["skipped"]) == (1, {"suppressed": 1})
    assert world.completed() == ["int-2"]


async def test_a_repeated_call_runs_nothing_again_and_tells_no_more_than_it_said_itself(world: World) -> None:
    first = await world.get("start_interview", **WHO, idempotency_key=EMAIL)
    assert first["interview_link"]
    assert await world.get("start_interview", **WHO, idempotency_key=EMAIL) == first
    await forget(world, email=EMAIL)
    again = await world.get("start_interview", **WHO, idempotency_key=EMAIL)
    assert again == {**first, "interview_id": None, "interview_link": None, "opt_out_link": None}
    assert len(world.sandbox.koji.store.interviews) == 1
    assert left_in_files(world, EMAIL, USER, NAME) == []


async def test_forgetting_twice_is_harmless(world: World) -> None:
    await lived(world)
    first = await forget(world, email=EMAIL)
    second = await forget(world, email=EMAIL, user_id=USER)
    assert first["total"] == 3
    assert [one["place"] for one in second["done"]] == ["unset", "suppression"]
    assert left_in_files(world, EMAIL, USER, NAME) == []


async def test_what_is_in_flight_finishes_before_the_properties_are_unset(world: World) -> None:
    await world.deliver(message("warm-up", 1))
    await world.ended("warm-up")
    await world.fault("amplitude", "slow", seconds=1.5, times=1)
    await world.deliver(message("int-1", respondent_email=EMAIL))

    async def sending() -> bool:
        found = await world.context.ledger.syncs.find("default", "int-1")
        return found is not None and found.sending_since is not None

    await until(sending)
    running = await world.get("forget_respondent", email=EMAIL, wait_seconds=0)
    assert running["status"] == "running"

    async def finished() -> Any:
        told = await world.get("get_run", run_id=running["run_id"])
        return told if told["status"] == "finished" else None

    await until(finished)
    assert not OURS & set(world.properties(EMAIL))
    assert left_in_files(world, EMAIL) == []


async def test_amplitude_that_cannot_be_reached_is_tried_again_across_a_restart(world: World) -> None:
    await lived(world)
    await world.fault("amplitude", "status", status=503, times=1000)
    running = await world.get("forget_respondent", email=EMAIL)
    assert running["status"] == "running"
    await world.restart()
    await world.control("DELETE", "/amplitude/faults")

    async def finished() -> Any:
        world.move(61)
        told = await world.get("get_run", run_id=running["run_id"])
        return told["status"] == "finished"

    await until(finished)
    assert not OURS & set(world.properties(USER))
    assert left_in_files(world, EMAIL, USER) == []


async def test_without_amplitude_and_beside_other_connections_people_are_told(tmp_path: Path) -> None:
    toml = "[connections.second]\nkoji_api_key = 'sandbox-koji-key'\n"
    async with open_world(tmp_path, toml=toml, AMPLITUDE_API_KEY="", AMPLITUDE_SECRET_KEY="") as world:
        told = await forget(world, user_id=USER)
        words = " ".join(told["left_to_people"])
        assert "AMPLITUDE_API_KEY" in words
        assert "second" in words
        assert told["total"] == 0


async def test_what_was_left_without_a_key_is_unset_once_there_is_one(world: World) -> None:
    await world.deliver(message("int-1", respondent_email=EMAIL))
    await world.ended("int-1")
    await world.reconfigure({"AMPLITUDE_API_KEY": "", "AMPLITUDE_SECRET_KEY": ""})
    told = await forget(world, email=EMAIL)
    (words,) = [one for one in told["left_to_people"] if "AMPLITUDE_API_KEY" in one]
    assert "for 1 user ids" in words
    assert "with the user id" in words
    await world.reconfigure(
        {"AMPLITUDE_API_KEY": "sandbox-amplitude-key", "AMPLITUDE_SECRET_KEY": "sandbox-amplitude-secret"}
    )
    await forget(world, user_id=EMAIL)
    assert not OURS & set(world.properties(EMAIL))


async def test_bad_input_forgets_nobody(world: World) -> None:
    for fields in ({}, {"email": "no address"}, {"email": ""}, {"user_id": "x" * 1_025}):
        answer = await world.call("forget_respondent", **fields)
        assert answer.status_code == 422, answer.text
    plan = await world.get("plan_cohort_launch", members=[WHO])
    assert plan["to_invite"] == 1


# in flight


async def is_sending(world: World, launch_id: str) -> bool:
    found = await world.context.ledger.launches.invitations(
        launch_id, [InvitationState.SENDING], limit=1, after=-1
    )
    return bool(found)


async def ended_run(world: World, run_id: str) -> Any:
    async def finished() -> Any:
        told = await world.get("get_run", run_id=run_id)
        return told if told["status"] == "finished" else None

    return await until(finished)


async def test_a_start_in_flight_lands_and_leaves_nothing(world: World) -> None:
    await world.fault("koji", "slow", seconds=1.0, route="start", times=1)
    call = {**WHO, "metadata": {"crm": f"{USER}-crm"}, "idempotency_key": "start"}
    starting = asyncio.ensure_future(world.call("start_interview", **call))

    async def sent() -> bool:
        rows = await world.context.ledger.launches.listed("default", ListFilter(), limit=1, after=None)
        return bool(rows) and await is_sending(world, rows[0].id)

    await until(sent)
    running = await world.get("forget_respondent", email=EMAIL, wait_seconds=0)
    assert running["status"] == "running"
    answer = await starting
    assert answer.status_code == 200, answer.text
    await ended_run(world, running["run_id"])
    (started,) = world.sandbox.koji.store.interviews.values()
    assert left_in_files(world, EMAIL, USER, NAME, f"{started.external_id}&") == []
    again = await world.get("start_interview", **call)
    assert again["interview_link"] is None
    assert len(world.sandbox.koji.store.interviews) == 1


async def test_a_start_in_doubt_is_not_tried_again(world: World) -> None:
    await world.fault("koji", "cut_after_accept", route="start", times=1)
    launched = await world.get("launch_cohort_interviews", members=[WHO], wait_seconds=20)
    assert launched["in_doubt"] == 1
    await forget(world, user_id=USER)
    again = await world.get("resume_launch", launch_id=launched["launch_id"], in_doubt="retry")
    assert (again["waiting"], again["in_doubt"]) == (0, 1)
    given_up = await world.get("resume_launch", launch_id=launched["launch_id"], in_doubt="give_up")
    assert (given_up["failed"], given_up["in_doubt"]) == (1, 0)
    (started,) = world.sandbox.koji.store.interviews.values()
    await world.deliver(message(started.interview_id, respondent_email=None, external_id=started.external_id))
    assert (await world.ended(started.interview_id))["reason"] == "suppressed"
    assert left_in_files(world, EMAIL, USER, NAME) == []


async def test_a_read_that_is_under_way_brings_nothing_back(world: World) -> None:
    await world.interview("int-1", email=EMAIL)
    await world.hold("koji", "read")
    await world.deliver({"event": "interview.completed", "interview_id": "int-1", "respondent_email": EMAIL})
    await world.held("koji")
    await forget(world, email=EMAIL)
    await world.release("koji")
    await world.idle()
    seen = await world.get("get_sync", interview_id="int-1")
    assert (seen["status"], seen["reason"], seen["themes"]) == ("skipped", "suppressed", [])
    assert world.completed() == []

    async def log_emptied() -> bool:
        return left_in_files(world, EMAIL, "slow import") == []

    await until(log_emptied)


async def test_a_backfill_that_holds_their_interview_goes_on_without_it(world: World) -> None:
    await world.interview("int-1", email=EMAIL)
    await world.interview("int-2", 2)
    await world.interview("int-3", 3)
    await world.hold("koji", "read", after=1)
    run = await world.get("backfill_interviews", interview_ids=["int-1", "int-2", "int-3"], wait_seconds=0)

    async def held() -> bool:
        found = await world.context.ledger.syncs.find("default", "int-1")
        return found is not None and found.stage is Stage.HOLD

    await until(held)
    await forget(world, email=EMAIL)
    await world.release("koji")

    async def finished() -> Any:
        told = await world.get("get_run", run_id=run["run_id"])
        return told if told["status"] == "finished" else None

    told = await until(finished)
    assert (told["synced"], told["skipped"]) == (2, {"suppressed": 1})
    assert sorted(world.completed()) == ["int-2", "int-3"]


# idempotency


async def test_a_forgetting_with_a_key_does_not_wait_for_itself(world: World) -> None:
    await lived(world)
    call = {"email": EMAIL, "idempotency_key": "forget", "wait_seconds": 20}
    first = await world.call("forget_respondent", **call)
    assert (first.status_code, first.json()["status"]) == (200, "finished")
    again = await world.call("forget_respondent", **call)
    assert (again.status_code, again.json()) == (200, first.json())
    assert left_in_files(world, EMAIL, USER, NAME) == []


async def test_answers_that_name_others_are_repeated_as_before(world: World) -> None:
    calls = [
        {"email": f"jo{EMAIL}", "idempotency_key": "suffix"},
        {"email": f"{EMAIL}.test", "idempotency_key": "prefix"},
        {"user_id": "A1", "email": "a.one@example.com", "idempotency_key": "another case"},
        {"user_id": "a12", "email": "a.twelve@example.com", "idempotency_key": "longer"},
    ]
    answers = [(await world.call("start_interview", **call)).json() for call in calls]
    members = [{"user_id": "a1", "email": EMAIL}]
    launch = {"members": members, "idempotency_key": "hers", "wait_seconds": 20}
    await world.get("launch_cohort_interviews", **launch)
    await forget(world, email=EMAIL, user_id="a1")
    for call, answer in zip(calls, answers, strict=True):
        assert (await world.call("start_interview", **call)).json() == answer
    again = await world.get("launch_cohort_interviews", **launch)
    assert [one["interview_link"] for one in again["invitations"]] == [None]
    for call in calls:
        plan = await world.get("plan_cohort_launch", members=[{"email": call["email"]}])
        assert plan["skipped"] == {"already_invited": 1}


# whom, and how they are written


@pytest.mark.parametrize(
    "user_id",
    ['o"hara\\1', "50%_of_them", "j\u00fcrgen/1", "\u65e5\u672c\u306e\u304a\u5ba2", "o'hara; --", "a b c d"],
)
async def test_odd_user_ids_are_forgotten_too(world: World, user_id: str) -> None:
    await world.deliver(message("int-1", respondent_email=None, external_id=user_id))
    await world.ended("int-1")
    await world.send({"event": "interview.completed", "user": {"id": user_id}}, webhook_id="odd")
    await world.get("start_interview", user_id=user_id, name=NAME, idempotency_key="start")
    assert set(world.properties(user_id)) >= OURS
    await forget(world, user_id=user_id)
    assert not OURS & set(world.properties(user_id))
    assert left_in_files(world, user_id, json.dumps(user_id), NAME) == []
    again = await world.get("start_interview", user_id=user_id)
    assert again["reason"] == "suppressed"


async def test_another_letter_case_of_an_address_is_the_same_person(world: World) -> None:
    await world.deliver(message("int-1", respondent_email="Wilma.Forgotten@Example.com"))
    await world.deliver(message("int-2", respondent_email=f"jo{EMAIL}"))
    await world.ended("int-1", "int-2")
    await world.get("start_interview", user_id="WILMA.Forgotten@example.com")
    await forget(world, email=EMAIL)
    assert not OURS & set(world.properties("Wilma.Forgotten@Example.com"))
    assert set(world.properties(f"jo{EMAIL}")) >= OURS
    assert (await world.get("get_sync", interview_id="int-2"))["user_id"] == f"jo{EMAIL}"
    kept = f"jo{EMAIL}".encode()
    for path in world.folder.glob("ledger*"):
        assert EMAIL.encode() not in path.read_bytes().lower().replace(kept, b"")


async def test_an_interview_with_an_address_and_an_id_is_found_by_the_id(world: World) -> None:
    await world.deliver(message("int-1", respondent_email=EMAIL, external_id=USER))
    await world.ended("int-1")
    await forget(world, user_id=USER)
    assert not OURS & set(world.properties(EMAIL))
    assert left_in_files(world, EMAIL, USER) == []


async def test_who_answered_through_somebody_elses_link_is_not_forgotten_with_them(world: World) -> None:
    await world.get("start_interview", **WHO)
    (started,) = world.sandbox.koji.store.interviews.values()
    other = "person-009@example.com"
    await world.deliver(
        message(started.interview_id, respondent_email=other, external_id=started.external_id),
        message("int-own", respondent_email=other),
    )
    await world.ended(started.interview_id, "int-own")
    await forget(world, email=EMAIL)
    assert (await world.get("get_sync", interview_id="int-own"))["user_id"] == other
    assert set(world.properties(other)) >= OURS
    assert not OURS & set(world.properties(USER))
    assert (await world.get("plan_cohort_launch", members=[{"email": other}]))["to_invite"] == 1


# what is asked for them afterwards


async def test_what_is_asked_for_them_afterwards_leaves_nothing(world: World) -> None:
    await forget(world, email=EMAIL, user_id=USER)
    many = [{"email": f"person-{n:04}@example.com"} for n in range(600)]
    plan = await world.get("plan_cohort_launch", members=[WHO, *many], wait_seconds=20)
    assert (plan["members_total"], plan["skipped"]["suppressed"]) == (601, 1)
    told = {"metadata": {"crm": f"{USER}-crm"}, "name": NAME}
    for whom in ({"email": EMAIL}, {"user_id": USER}, {"email": "wilma.new@example.com", "user_id": USER}):
        seen = await world.get("start_interview", **whom, **told)
        assert (seen["status"], seen["reason"]) == ("skipped", "suppressed")

    async def log_emptied() -> bool:
        return left_in_files(world, EMAIL, USER, NAME, "wilma.new") == []

    await until(log_emptied)


async def test_links_that_carry_names_and_addresses_are_erased(tmp_path: Path) -> None:
    template = "{base}/i/{external_id}?name={name}&email={email}"
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        KOJI_INVITE_BY="link",
        KOJI_API_KEY="",
        KOJI_LINK_TEMPLATE=template,
        KOJI_SEND_EMAIL="true",
    ) as world:
        launched = await world.get("start_interview", **WHO, idempotency_key="start")
        link = launched["interview_link"]
        assert "wilma.forgotten%40example.com" in link
        await world.get("start_interview", **OTHERS[0])
        await forget(world, user_id=USER)
        external_id = link.partition("?")[0].rpartition("/")[2]
        assert left_in_files(world, EMAIL, USER, NAME, "wilma", f"i/{external_id}") == []
        await world.deliver(message("int-1", respondent_email=None, external_id=external_id))
        assert (await world.ended("int-1"))["reason"] == "suppressed"
        world.move(31 * 86_400)

        async def expired() -> bool:
            seen = await world.get("get_launch", launch_id=launched["launch_id"])
            return bool(seen["status"] == "finished")

        await until(expired)


async def test_their_interview_can_be_asked_about_without_an_error(world: World) -> None:
    started = await world.get("start_interview", **WHO)
    await forget(world, email=EMAIL)
    ended = await world.call("complete_interview", interview_id=started["interview_id"])
    assert ended.status_code in {404, 409, 422}, ended.text
    for who in ({"user_id": "half \ud800"}, {"user_id": "nul \0"}, {"email": "h\ud800@example.com"}):
        answer = await world.client.post(
            "/actions/forget_respondent",
            content=json.dumps(who),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code in {200, 202, 400, 422}, answer.text
    replayed = await world.get("replay_syncs", status="skipped", force=True, wait_seconds=20)
    assert replayed["failed"] == {}
