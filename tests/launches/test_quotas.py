"""Quotas: so many people for each value of a property, and what of them cannot be filled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.eligibility import LaunchRules, Selection, SkipReason
from connector.domain.launches.quota import Quota
from connector.domain.people.same_person import KeyedMember, Member
from connector.errors import InvalidInput
from connector.service import planning
from tests.support.harness import QUICK, World, message, open_world

NOW = 1_790_000_000_000
PLANS = ["free"] * 30 + ["pro"] * 20 + ["trial"] * 3
PEOPLE = [
    {"user_id": f"user-{n:03}", "email": f"p{n:03}@example.com", "properties": {"plan": plan}}
    for n, plan in enumerate(PLANS)
]


def keyed(values: list[str | None]) -> list[KeyedMember]:
    keys = random.Random(7)
    return [
        (Member(f"u{n}", None, None, cell=value), (keys.getrandbits(62),)) for n, value in enumerate(values)
    ]


@pytest.mark.unit
@given(
    st.lists(st.sampled_from([None, "a", "b", "c"]), max_size=60),
    st.sampled_from([Quota(property="p", per_value=4), Quota(property="p", values={"a": 3, "b": 0, "d": 9})]),
    st.sampled_from([None, "seed"]),
)
def test_each_cell_is_filled_as_far_as_there_are_people(
    values: list[str | None], quota: Quota, seed: str | None
) -> None:
    selection = Selection(LaunchRules(100, None, seed, quota=quota), NOW)
    rows = keyed(values)
    invited: Counter[str | None] = Counter()
    for at in range(0, len(rows), 7):
        choices, gave_way = selection.take(rows[at : at + 7], [()] * len(rows[at : at + 7]))
        invited.update(choice.member.cell for choice in choices if choice.reason is None)
        assert {choice.reason for choice in choices} <= {None, SkipReason.OVER_LIMIT}
        invited.update({"gave way": -len(gave_way)})
    counts = Counter(values)
    wanted = dict(quota.get("values") or dict.fromkeys("abc", 4))
    assert invited.total() == sum(min(n, counts[value]) for value, n in wanted.items())
    assert selection.available == {
        value: counts[value] for value in counts if value is not None and value in wanted
    }


@pytest.mark.unit
def test_a_property_with_too_many_values_is_refused() -> None:
    selection = Selection(LaunchRules(1, None, "seed", quota=Quota(property="p", per_value=1)), NOW)
    rows = keyed([str(n) for n in range(201)])
    with pytest.raises(InvalidInput, match="more than 200 values"):
        selection.take(rows, [()] * len(rows))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, options=QUICK, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="1000"
    ) as opened:
        yield opened


def external_id(world: World, interview_id: str) -> str:
    return str(world.sandbox.koji.store.interviews[interview_id].external_id)


def shown(launch: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        cell["value"]: (cell["wanted"], cell["available"], cell["to_invite"], cell["completed"])
        for cell in launch["quota_cells"]
    }


@pytest.mark.e2e
async def test_a_plan_shows_its_cells_and_those_that_cannot_be_filled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK", 10)
    members = [*PEOPLE, {"user_id": "user-x"}]
    plan = await world.get("plan_cohort_launch", members=members, quota={"property": "Plan", "per_value": 5})
    assert shown(plan) == {"free": (5, 30, 5, 0), "pro": (5, 20, 5, 0), "trial": (5, 3, 3, 0)}
    assert (plan["to_invite"], plan["skipped"]) == (13, {"over_limit": 41})
    assert "The quota cannot be filled: trial (3 of 5)." in plan["warnings"]
    absent = await world.get(
        "plan_cohort_launch", members=members, quota={"property": "tier", "per_value": 5}
    )
    assert "No person has the quota's property tier. Properties that came: plan." in absent["warnings"]
    assert (
        "41 people above the limit: the quota, or CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH is 100."
        in plan["warnings"]
    )
    launched = await world.get(
        "launch_cohort_interviews", plan_token=plan["plan_token"], quota={"property": "Plan", "per_value": 5}
    )
    assert launched["to_invite"] == 13
    other = await world.call(
        "launch_cohort_interviews", plan_token=plan["plan_token"], quota={"property": "Plan", "per_value": 6}
    )
    assert other.json()["code"] == "plan_mismatch"


@pytest.mark.e2e
async def test_who_came_back_is_counted_by_cell(world: World) -> None:
    quota = {"property": "plan", "values": {"free": 2, "trial": 1, "none": 4}}
    launch = await world.get("launch_cohort_interviews", members=PEOPLE, quota=quota, wait_seconds=20)
    assert shown(launch) == {"free": (2, 30, 2, 0), "none": (4, 0, 0, 0), "trial": (1, 3, 1, 0)}
    plans = {f"user-{n:03}": plan for n, plan in enumerate(PLANS)}
    one = next(each for each in launch["invitations"] if plans[each["user_id"]] == "free")
    ours = external_id(world, one["interview_id"])
    await world.deliver(message("int-back", external_id=ours, respondent_email=None))
    await world.ended("int-back")
    later = await world.get("get_launch", launch_id=launch["launch_id"])
    assert shown(later)["free"] == (2, 30, 2, 1)


@pytest.mark.e2e
async def test_the_cap_goes_above_the_quota(world: World) -> None:
    plan = await world.get(
        "plan_cohort_launch", members=PEOPLE, max_interviews=6, quota={"property": "plan", "per_value": 5}
    )
    assert (plan["to_invite"], plan["skipped"]) == (6, {"over_limit": 47})
    assert sum(cell["to_invite"] for cell in plan["quota_cells"]) == 6


@pytest.mark.e2e
async def test_the_property_comes_with_the_cohorts_file(world: World) -> None:
    await world.control("POST", "/study", {"people": 8, "interviews": False})
    plan = await world.get(
        "plan_cohort_launch",
        cohort_id="onboarding-drop-off",
        quota={"property": "plan", "per_value": 1},
        wait_seconds=20,
    )
    assert len(plan["quota_cells"]) == plan["to_invite"] > 0


@pytest.mark.e2e
@pytest.mark.parametrize(
    "by",
    [
        {"segment_by": "E-Mail"},
        {"segment_by": "gp:work"},
        {"segment_by": "First Name"},
        {"segment_by": "boss"},
        {"quota": {"property": "name", "per_value": 1}},
        {"quota": {"property": "work", "per_value": 1}},
        {"quota": {"property": "boss", "per_value": 1}},
        {"quota": {"property": "plan", "values": {"ada@example.com": 1}}},
    ],
)
async def test_no_group_is_one_person(world: World, by: dict[str, Any]) -> None:
    people = [
        {"user_id": f"user-{n}", "properties": {"work": f"p{n}@example.com", "boss": f"b{n}@example.com"}}
        for n in range(3)
    ]
    refused = await world.call("plan_cohort_launch", members=people, email_property="work", **by)
    told = refused.json()
    assert (refused.status_code, told["code"]) == (422, "personal_property")
    assert told["errors"][0]["pointer"] == f"/{next(iter(by))}"
    assert b"b0@" not in b"".join(one.read_bytes() for one in world.folder.glob("ledger*"))


@pytest.mark.e2e
@pytest.mark.parametrize("quota", [{"property": "p"}, {"property": "p", "per_value": 1, "values": {"a": 1}}])
async def test_a_quota_says_one_thing(world: World, quota: dict[str, Any]) -> None:
    assert (await world.call("plan_cohort_launch", members=PEOPLE, quota=quota)).status_code == 422
