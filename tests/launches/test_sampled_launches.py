"""Launches that may invite fewer people than there are: drawn by a seed, or the first of the cohort."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.launches.launch import InvitationState
from connector.domain.people.same_person import Member
from connector.service import planning
from tests.support.harness import QUICK, World, open_world, until

pytestmark = pytest.mark.e2e

PEOPLE = [{"user_id": f"user-{n:03}", "email": f"p{n:03}@example.com"} for n in range(60)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
        CONNECTOR_COHORT_APPROVE_ABOVE="1000",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN="a-cohort-token",
    ) as opened:
        yield opened


def invited(launch: dict[str, Any]) -> list[str]:
    return [one["user_id"] for one in launch["invitations"]]


async def launched(world: World, **fields: Any) -> dict[str, Any]:
    """Launch on people who may be asked again and again; return the launch once it is finished."""
    asked = {"reinvite_after_days": 0, "max_interviews": 6, "wait_seconds": 20}
    launch: dict[str, Any] = await world.get(
        "launch_cohort_interviews", **{**asked, "members": PEOPLE, **fields}
    )
    assert launch["status"] == "finished", launch
    return launch


async def test_a_plan_says_how_its_people_are_drawn_and_a_seed_draws_them_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK", 7)
    plan = await world.get("plan_cohort_launch", members=PEOPLE, max_interviews=6)
    seed = plan["sample"]["seed"]
    assert plan["sample"] == {"method": "random", "seed": seed, "drawn_from": 60}
    assert (plan["to_invite"], plan["skipped"]) == (6, {"over_limit": 54})
    first = await launched(
        world, plan_token=plan["plan_token"], members=None, max_interviews=None, reinvite_after_days=None
    )
    again = await launched(world, members=PEOPLE[::-1], sample_seed=seed)
    assert sorted(invited(again)) == sorted(invited(first)) != [one["user_id"] for one in PEOPLE[:6]]
    assert again["sample"]["seed"] == seed
    assert set(invited(await launched(world))) != set(invited(first))


async def test_first_keeps_the_cohorts_order(world: World) -> None:
    launch = await launched(world, sample="first")
    assert invited(launch) == [one["user_id"] for one in PEOPLE[:6]]
    assert launch["sample"] == {"method": "first", "seed": None, "drawn_from": 60}


async def test_a_plan_is_launched_only_as_it_was_drawn(world: World) -> None:
    plan = await world.get("plan_cohort_launch", members=PEOPLE[:3], sample_seed="mine")
    refused = await world.call("launch_cohort_interviews", plan_token=plan["plan_token"], sample_seed="other")
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_mismatch")


async def test_of_people_who_gave_way_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "CHUNK", 5)
    ctx = world.context
    await launched(world)
    keyed = ctx.ledger.aliases.keyed(
        "default", [Member(one["user_id"], one["email"], None) for one in PEOPLE]
    )
    known = await ctx.ledger.aliases.history(keyed)
    assert sum(bool(each) for each in known) == 6


async def test_a_standing_launch_draws_each_days_people_from_all_who_wait(world: World) -> None:
    await world.restart(CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="6")
    users = [{"user_id": one["user_id"], "user_properties": {"email": one["email"]}} for one in PEOPLE]
    body = {
        "cohort_id": "c1",
        "cohort_name": "C",
        "in_cohort": True,
        "computed_time": "1790000000",
        "users": users,
    }
    sent = await world.client.post(
        "/webhooks/amplitude/cohorts", json=body, headers={"Authorization": "Bearer a-cohort-token"}
    )
    assert sent.status_code == 200

    async def day_is_full() -> Any:
        listed = (await world.get("list_launches"))["items"]
        return next((one for one in listed if one["invited"] == 6), None)

    launch = await until(day_is_full)
    assert launch["waiting"] == 54
    shown = await world.get("get_launch", launch_id=launch["launch_id"])
    assert invited(shown) != [one["user_id"] for one in PEOPLE[:6]]
    started, waiting = [
        [
            one.draw or 0
            for one in await world.context.ledger.launches.invitations(
                launch["launch_id"], [state], limit=100, after=-1
            )
        ]
        for state in (InvitationState.STARTED, InvitationState.WAITING)
    ]
    assert max(started) < min(waiting)


async def test_hooks_carry_the_sample_flat(world: World) -> None:
    sample = (await world.client.get("/triggers/launch_finished/sample")).json()
    assert {"sample_method", "sample_seed", "sample_drawn_from"} <= sample.keys()
    await launched(world, sample_seed="mine")
    (event, *_) = (await world.client.get("/triggers/launch_finished")).json()
    assert (event["sample_method"], event["sample_seed"], event["sample_drawn_from"]) == (
        "random",
        "mine",
        60,
    )
