"""Holdout and segments: who is kept out to compare with, and who answered."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.launches.sample import Holdout
from connector.domain.launches.segments import Reached, Segment, segments, wilson
from tests.support.harness import QUICK, World, message, open_world

PEOPLE = [
    {"user_id": f"user-{n:03}", "email": f"p{n:03}@example.com", "properties": {"plan": "ab"[n % 2]}}
    for n in range(80)
]


@pytest.mark.unit
class TestRules:
    @pytest.mark.parametrize("percent", [0, 10, 50])
    def test_a_share_is_held_out_and_a_larger_one_holds_the_same_people(self, percent: int) -> None:
        keys = random.Random(3)
        people = [(keys.getrandbits(62),) for _ in range(4_000)]
        held = {one for one in people if Holdout(percent, "seed").holds(one)}
        assert abs(len(held) - 40 * percent) < 130  # more than 4 standard deviations
        assert held <= {one for one in people if Holdout(percent + 5, "seed").holds(one)}

    def test_wilsons_interval(self) -> None:
        assert wilson(3, 10) == (0.1078, 0.6032)
        assert wilson(0, 10) == (0.0, 0.2775)
        assert wilson(10, 10) == (0.7225, 1.0)

    def test_nothing_is_claimed_below_ten(self) -> None:
        few, many = segments(
            {"few": 30, "many": 20, "none": 1}, {"few": Reached(9, 9, 9), "many": Reached(10, 3, 2)}
        )[:2]
        assert few == Segment("few", 30, 9, 9, 9, None, None, None)
        assert many == Segment("many", 20, 10, 3, 2, 0.3, 0.1078, 0.6032)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_CREDITS_PER_DAY="1000",
        CONNECTOR_COHORT_APPROVE_ABOVE="1000",
        AMPLITUDE_COHORT_WEBHOOK_TOKEN="t0ken",
    ) as opened:
        yield opened


async def held_out(world: World, launch: dict[str, Any]) -> set[str]:
    shown = await world.get("get_launch", launch_id=launch["launch_id"], state="holdout", limit=100)
    assert {one["state"] for one in shown["invitations"]} <= {"holdout"}
    assert all(one["interview_link"] is None for one in shown["invitations"])
    return {one["user_id"] for one in shown["invitations"]}


@pytest.mark.e2e
async def test_the_same_people_stay_out_over_runs_and_webhooks(world: World) -> None:
    first = await world.get("plan_cohort_launch", members=PEOPLE, holdout_percent=25)
    out = await held_out(world, first)
    assert 5 < len(out) < 40
    assert first["skipped"] == {"holdout": len(out)}
    assert (first["to_invite"], first["members_total"]) == (80 - len(out), 80)
    again = await world.get(
        "launch_cohort_interviews", members=PEOPLE[::-1], holdout_percent=25, sample_seed="x"
    )
    assert await held_out(world, again) == out
    await world.restart(toml="[connections.default]\nholdout_percent = 25")
    users = [{"user_id": one["user_id"], "user_properties": {"email": one["email"]}} for one in PEOPLE]
    body = {"cohort_id": "c1", "in_cohort": True, "computed_time": "1790000000", "users": users}
    await world.client.post(
        "/webhooks/amplitude/cohorts", json=body, headers={"Authorization": "Bearer t0ken"}
    )
    await world.idle()
    await world.client.post(
        "/webhooks/amplitude/cohorts",
        json={**body, "users": users[:40]},
        headers={"Authorization": "Bearer t0ken"},
    )
    await world.idle()
    standing = next(one for one in (await world.get("list_launches"))["items"] if one["cohort_id"] == "c1")
    assert sum(standing["skipped"].values()) == 120
    page = await world.get("get_launch", launch_id=standing["launch_id"], state="holdout", limit=100)
    assert sorted(one["user_id"] for one in page["invitations"]) == sorted(out)


@pytest.mark.e2e
async def test_those_held_out_stay_out_however_they_are_named(world: World) -> None:
    first = await world.get("launch_cohort_interviews", members=PEOPLE, holdout_percent=50, wait_seconds=20)
    out = [one for one in PEOPLE if one["user_id"] in await held_out(world, first)]
    assert len(out) > 20
    by_id, by_email = ([{name: one[name]} for one in out] for name in ("user_id", "email"))
    moved = [{**one, "email": f"new-{one['email']}"} for one in out]
    renamed = [{**one, "user_id": f"new-{one['user_id']}"} for one in out]
    learnt = [{"email": one["email"]} for one in moved]
    for members in (by_id, by_email, moved, renamed, learnt):
        planned = await world.get("plan_cohort_launch", members=members, holdout_percent=50)
        assert planned["skipped"] == {"holdout": len(out)}
        launched = await world.get("launch_cohort_interviews", members=members, holdout_percent=50)
        assert launched["skipped"] == planned["skipped"]
    smaller = await world.get("plan_cohort_launch", members=by_id, holdout_percent=25)
    again = await world.get("plan_cohort_launch", members=by_email, holdout_percent=25)
    assert 0 < smaller["to_invite"] == again["to_invite"] < len(out)
    await world.restart(toml="[connections.default]\nholdout_percent = 50")
    users = [{"user_id": one["user_id"]} for one in out]
    body = {"cohort_id": "c1", "in_cohort": True, "computed_time": "1790000000", "users": users}
    await world.client.post(
        "/webhooks/amplitude/cohorts", json=body, headers={"Authorization": "Bearer t0ken"}
    )
    await world.idle()
    standing = next(one for one in (await world.get("list_launches"))["items"] if one["cohort_id"] == "c1")
    assert standing["skipped"] == {"holdout": len(out)}


@pytest.mark.e2e
async def test_a_person_named_by_id_first_keeps_that_draw(world: World) -> None:
    by_id = [{"user_id": one["user_id"]} for one in PEOPLE]
    first = await world.get("launch_cohort_interviews", members=by_id, holdout_percent=50)
    out = await held_out(world, first)
    later = await world.get(
        "plan_cohort_launch", members=PEOPLE, holdout_percent=50, reinvite_after_days=0, max_interviews=100
    )
    assert await held_out(world, later) == out


@pytest.mark.e2e
async def test_those_held_out_may_be_invited_by_a_launch_without_a_holdout(world: World) -> None:
    first = await world.get("launch_cohort_interviews", members=PEOPLE, holdout_percent=25)
    out = await held_out(world, first)
    later = await world.get("plan_cohort_launch", members=PEOPLE)
    assert later["to_invite"] == len(out)


@pytest.mark.e2e
async def test_an_erased_person_is_shown_no_more(world: World) -> None:
    plan = await world.get("plan_cohort_launch", members=PEOPLE, holdout_percent=25)
    gone = min(await held_out(world, plan))
    await world.get("forget_respondent", user_id=gone, wait_seconds=20)
    assert gone not in await held_out(world, plan)
    later = await world.get("plan_cohort_launch", members=[{"user_id": gone}], holdout_percent=25)
    assert later["skipped"] == {"suppressed": 1}


@pytest.mark.e2e
async def test_segments_show_who_answered(world: World) -> None:
    launch = await world.get(
        "launch_cohort_interviews", members=PEOPLE, max_interviews=40, segment_by="plan", wait_seconds=20
    )
    assert {one["value"]: one["cohort"] for one in launch["segments"]} == {"a": 40, "b": 40}
    shown = await world.get("get_launch", launch_id=launch["launch_id"], limit=100)
    for one in [each for each in shown["invitations"] if int(each["user_id"][-3:]) % 2 == 0][:3]:
        ours = world.sandbox.koji.store.interviews[one["interview_id"]].external_id
        await world.deliver(message(f"back-{one['user_id']}", external_id=ours, respondent_email=None))
        await world.ended(f"back-{one['user_id']}")
    a, b = sorted(
        (await world.get("get_launch", launch_id=launch["launch_id"]))["segments"], key=lambda s: s["value"]
    )
    assert (a["completed"], a["synced"], b["completed"]) == (3, 3, 0)
    assert a["invited"] + b["invited"] == 40
    assert a["low"] < a["completion_rate"] < a["high"]
    assert b["completion_rate"] == 0


@pytest.mark.e2e
async def test_more_than_half_is_no_holdout(world: World) -> None:
    assert (await world.call("plan_cohort_launch", members=PEOPLE, holdout_percent=51)).status_code == 422
