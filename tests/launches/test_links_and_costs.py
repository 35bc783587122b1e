"""No person is started without a link by accident, and a plan tells the truth about time and money."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import DAY, QUICK, World, open_world, until

pytestmark = pytest.mark.e2e

PROJECT = QUICK.koji_project_id


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, options=QUICK, KOJI_PROJECT_ID=PROJECT, KOJI_DEFAULT_MODE="text"
    ) as opened:
        yield opened


def people(*numbers: int) -> list[dict[str, str]]:
    return [{"user_id": f"user-{n:03}", "email": f"person-{n:03}@example.com"} for n in numbers]


def started(world: World) -> int:
    return len(world.sandbox.koji.store.interviews)


async def plan(world: World, *numbers: int, **more: Any) -> Any:
    return await world.get("plan_cohort_launch", members=people(*numbers), **more)


async def paused(world: World, launch_id: str) -> Any:
    async def seen() -> Any:
        launch = await world.get("get_launch", launch_id=launch_id)
        return launch if launch["status"] == "paused" else None

    return await until(seen)


@pytest.mark.parametrize("invite_by", ["start", "link"])
async def test_a_server_without_the_project_id_starts_no_person(world: World, invite_by: str) -> None:
    await world.restart(workers=False, KOJI_INVITE_BY=invite_by)
    asked = await world.get("launch_cohort_interviews", members=people(1, 2, 3), wait_seconds=0)
    await world.restart(KOJI_INVITE_BY=invite_by, KOJI_PROJECT_ID="")  # a server that knows less
    launch = await paused(world, asked["launch_id"])
    assert (launch["pause_reason"], launch["waiting"], launch["invited"]) == ("no_link", 3, 0)
    assert launch["resumes_at"] is None
    assert "KOJI_PROJECT_ID" in launch["message"]
    assert started(world) == 0
    (told,) = (await world.client.get("/triggers/launch_paused")).json()
    assert told["pause_reason"] == "no_link"
    refused = await world.call("resume_launch", launch_id=launch["launch_id"])
    assert (refused.status_code, refused.json()["code"]) == (422, "no_link")
    await world.restart(KOJI_INVITE_BY=invite_by, KOJI_PROJECT_ID=PROJECT)
    resumed = await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=20)
    assert (resumed["status"], resumed["invited"]) == ("finished", 3)
    assert all(one["interview_link"] for one in resumed["invitations"])


async def test_a_single_start_by_a_server_without_the_project_id_is_called_off(world: World) -> None:
    await world.restart(workers=False)
    queued = await world.call("start_interview", **people(1)[0], wait_seconds=0)
    assert queued.json()["status"] == "pending"
    await world.restart(KOJI_PROJECT_ID="")
    launch = await paused(world, queued.json()["launch_id"])
    assert (launch["pause_reason"], started(world)) == ("no_link", 0)


async def test_a_link_that_could_not_be_made_is_made_once_the_project_id_is_set(world: World) -> None:
    await world.reconfigure({"KOJI_PROJECT_ID": ""})
    launch = await world.get(
        "launch_cohort_interviews", members=people(1, 2), allow_without_link=True, wait_seconds=20
    )
    assert [one["interview_link"] for one in launch["invitations"]] == [None, None]
    assert any("KOJI_PROJECT_ID" in warning for warning in launch["warnings"])
    await world.reconfigure({"KOJI_PROJECT_ID": PROJECT})
    seen = await world.get("get_launch", launch_id=launch["launch_id"])
    links = [one["interview_link"] for one in seen["invitations"]]
    assert len(set(links)) == 2
    assert all(PROJECT in link for link in links)
    again = await world.get("start_interview", **people(1)[0])
    assert (again["status"], again["interview_link"]) == ("already_invited", links[0])
    told = (await world.client.get("/triggers/invitation_created")).json()
    assert {one["interview_link"] for one in told} == set(links)


async def test_a_plan_says_what_fits_into_the_day_what_it_costs_and_who_sends(world: World) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "2"})
    planned = await plan(world, 1, 2, 3, 4, 5)
    last = datetime.fromtimestamp(world.clock.seconds(), UTC) + timedelta(days=2)
    time, kind, cost, sender = planned["warnings"]
    assert kind == "Mode text, 1 credit each, in the study's language."
    assert time.startswith(f"2 people today, the rest by {last.day} {last:%B}: ")
    assert "CONNECTOR_MAX_CREDITS_PER_DAY is 2" in time
    assert cost == "At most 5 Koji credits: an interview below quality 3 costs nothing."
    assert sender.startswith("You send these links: Koji sends nothing by itself")
    assert DAY <= planned["eta_seconds"] <= 2 * DAY + 60
    launched = await world.get("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=20)
    assert (launched["status"], launched["pause_reason"]) == ("paused", "daily_credits")
    assert DAY <= launched["eta_seconds"] <= 2 * DAY + 60, (
        "a pause that ends by itself is part of the forecast"
    )
    assert launched["warnings"] == [f"0 people today, the rest by {time.partition(' by ')[2]}"]


async def test_a_day_that_cannot_pay_for_one_interview_is_told(world: World) -> None:
    await world.reconfigure({"CONNECTOR_MAX_CREDITS_PER_DAY": "2"})
    planned = await plan(world, 1, mode="voice")
    assert planned["eta_seconds"] is None
    assert planned["warnings"][0].startswith("No interview can be started: one costs 3 credits")


async def test_the_likely_cost_follows_those_who_came_back(world: World) -> None:
    launch = await world.get("launch_cohort_interviews", members=people(*range(10)), wait_seconds=20)
    interviews = list(world.sandbox.koji.store.interviews.values())
    for one in interviews[:4]:
        body = {"event": "interview.analysis_ready", "themes": ["price"], "quality_score": 4}
        await world.deliver({**body, "interview_id": one.interview_id, "external_id": one.external_id})
        await world.seen(one.interview_id, status="synced")
    assert launch["invited"] == 10
    assert "About" not in str((await plan(world, 20))["warnings"]), "a day has to pass first"
    world.move(DAY + 1)
    (_, cost, _) = (await plan(world, *range(30, 50)))["warnings"]
    assert cost.endswith("About 8, if as many come back as before (4 of 10 people).")


async def test_a_plan_counts_the_user_ids_that_amplitude_does_not_take(world: World) -> None:
    members = [{"user_id": "u-1"}, {"user_id": "user-2"}, {"email": "three@example.com"}]
    warned = "1 person with a user id shorter than 5 characters, which Amplitude does not take: "
    planned = await world.get("plan_cohort_launch", members=members)
    assert [one.startswith(warned) for one in planned["warnings"]].count(True) == 1
    await world.reconfigure({"AMPLITUDE_MIN_ID_LENGTH": "3"})
    planned = await world.get("plan_cohort_launch", members=members)
    assert not any("shorter" in one for one in planned["warnings"])
