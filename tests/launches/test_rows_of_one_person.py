"""A person who stands in several rows is invited once, with all that the rows tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.launches import cohort_message as the_message
from tests.launches.test_cohort_webhook import COHORT_TOKEN, cohort_message, seen, settled, tell
from tests.support.harness import QUICK, World, message, open_world

pytestmark = pytest.mark.e2e

ANN = [
    {"email": "ann@example.com"},
    {"user_id": "user-ann", "email": "ann@example.com"},
    {"name": "Ann", "email": "ANN@example.com"},
]
BOB = [{"user_id": "user-bob"}, {"user_id": "user-bob", "email": "bob@example.com", "name": "Bob"}]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        KOJI_DEFAULT_MODE="text",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN,
    ) as opened:
        yield opened


def invited_as(launch: Any) -> list[tuple[str | None, ...]]:
    return [(one["user_id"], one["email"], one["name"]) for one in launch["invitations"]]


async def user_of_the_answer(world: World, number: int = 0) -> str:
    """Let the person of a start answer; return the Amplitude user."""
    external_id = list(world.sandbox.koji.store.interviews.values())[number].external_id
    await world.deliver(message(f"int-{number}", external_id=external_id, respondent_email=None))
    assert (await world.ended(f"int-{number}"))["status"] == "synced"
    user: str = world.stored("koji.interview_completed")[-1]["user_id"]
    return user


@pytest.mark.parametrize("chunk", [1, 2, 4_096])
async def test_rows_fill_each_other_and_the_plan_is_what_is_launched(
    world: World, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(the_message, "_CHUNK", chunk)
    planned = await world.get("plan_cohort_launch", members=[*ANN, *BOB])
    assert (planned["to_invite"], planned["skipped"]) == (2, {"duplicate_in_cohort": 3})
    warnings = str(planned["warnings"])
    assert "no e-mail" not in warnings
    assert "came with" not in warnings
    launched = await world.get("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=20)
    assert invited_as(launched) == [
        ("user-ann", "ann@example.com", "Ann"),
        ("user-bob", "bob@example.com", "Bob"),
    ]
    started = [
        (one.display_name, one.metadata["email"]) for one in world.sandbox.koji.store.interviews.values()
    ]
    assert started == [("Ann", "ann@example.com"), ("Bob", "bob@example.com")]
    assert await user_of_the_answer(world) == "user-ann"


async def test_a_plan_warns_of_people_without_an_address_from_the_first_on(world: World) -> None:
    some = [{"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com"} for n in range(3)]
    planned = await world.get("plan_cohort_launch", members=[*some, *some, {"user_id": "user-alone"}])
    assert planned["warnings"][-1] == (
        "1 of 4 people to invite have no e-mail address; the list of links has none for them."
    )
    launched = await world.get("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=20)
    assert not any("address" in warning for warning in launched["warnings"])
    alone = [{"user_id": f"alone-{n:03}"} for n in range(3)]
    planned = await world.get("plan_cohort_launch", members=[*some, *alone, *alone[:2]])
    assert planned["warnings"][-1].startswith("3 of 3 people to invite have no e-mail address")
    planned = await world.get("plan_cohort_launch", members=alone)
    assert planned["warnings"][-1].startswith("0 of 3 people came with an e-mail address: no e-mail")


async def test_a_later_call_teaches_the_user_id_that_the_result_goes_to(world: World) -> None:
    first = await world.get("start_interview", email="late@example.com", wait_seconds=20)
    assert first["status"] == "started"
    for user_id in ("late-0001", "late-0002"):
        again = await world.get("start_interview", email="late@example.com", user_id=user_id, name="Late")
        assert (again["status"], again["interview_id"]) == ("already_invited", first["interview_id"])
    assert await user_of_the_answer(world) == "late-0001"


async def test_a_user_id_that_comes_after_the_result_changes_nothing(world: World) -> None:
    await world.get("start_interview", email="late@example.com", wait_seconds=20)
    assert await user_of_the_answer(world) == "late@example.com"
    await world.get("start_interview", email="late@example.com", user_id="late-0001")
    synced = await world.get("sync_interview_to_amplitude", interview_id="int-0", force=True, dry_run=True)
    assert "late-0001" not in str(synced)


async def test_a_second_message_brings_the_address_while_the_invitation_waits(world: World) -> None:
    await world.reconfigure({"CONNECTOR_COHORT_APPROVE_ABOVE": "0"})
    await tell(world, cohort_message(0, [{"user_id": "user-bob"}]))
    waits = await seen(world, waiting=1, status="paused")
    row = {"user_id": "user-bob", "user_properties": {"email": "bob@example.com", "name": "Bob"}}
    await tell(world, cohort_message(1, [row], at=1_790_000_060))
    await settled(world)
    await world.get("resume_launch", launch_id=waits["launch_id"])
    started = await seen(world, invited=1)
    assert invited_as(started) == [("user-bob", "bob@example.com", "Bob")]
    (interview,) = world.sandbox.koji.store.interviews.values()
    assert interview.metadata["email"] == "bob@example.com"
