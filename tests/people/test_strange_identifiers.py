"""People as real data names them, at every door: placeholders, marks that leave no trace, wrapped addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.launches.test_cohort_webhook import COHORT, cohort_message, seen, send
from tests.support.harness import QUICK, World, message, open_world

pytestmark = pytest.mark.e2e

TOKEN = "a-cohort-token-of-the-tests"
ANN, BEN = "ann@example.com", "ben@example.com"
STRANGERS = [{"user_id": "N/A", "email": ANN}, {"user_id": "n/a ", "email": BEN}]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        AMPLITUDE_COHORT_WEBHOOK_TOKEN=TOKEN,
        CONNECTOR_MAX_CREDITS_PER_DAY="10000",
        KOJI_DEFAULT_MODE="text",
    ) as opened:
        yield opened


def addresses(world: World) -> list[str]:
    """Return the addresses to which Koji's stand-in was asked to send, in order."""
    return [str(one.metadata.get("email")) for one in world.sandbox.koji.store.interviews.values()]


async def cohort(world: World, *members: dict[str, Any]) -> str:
    await world.control(
        "POST", "/amplitude/cohorts", {"id": "strange", "name": "Strange", "members": [*members]}
    )
    return "strange"


async def plan(world: World, **fields: Any) -> Any:
    return await world.get("plan_cohort_launch", wait_seconds=20, **fields)


async def test_members_with_a_placeholder_are_two_people(world: World) -> None:
    launched = await world.get("launch_cohort_interviews", members=STRANGERS, wait_seconds=10)
    assert (launched["to_invite"], launched["skipped"]) == (2, {})
    assert [one["user_id"] for one in launched["invitations"]] == [None, None]
    links = {one["interview_link"] for one in launched["invitations"]}
    assert len(links) == 2
    assert addresses(world) == [ANN, BEN]
    (first, _) = world.sandbox.koji.store.interviews.values()
    await world.deliver(message("int-1", respondent_email=None, external_id=first.external_id))
    assert (await world.ended("int-1"))["user_id"] == ANN
    await world.get("forget_respondent", email=ANN, user_id="N/A", wait_seconds=10)
    again = await world.get("launch_cohort_interviews", members=STRANGERS)
    assert again["skipped"] == {"suppressed": 1, "already_invited": 1}


async def test_start_interview_takes_a_placeholder_for_nobody(world: World) -> None:
    links = set()
    for email in (ANN, BEN):
        one = await world.get("start_interview", email=f"<{email}>;", user_id="{{user_id}}", wait_seconds=10)
        assert (one["status"], one["user_id"], one["email"]) == ("started", None, email)
        links.add(one["interview_link"])
    assert len(links) == 2
    alone = await world.call("start_interview", user_id="undefined")
    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "/user_id")
    alone = await world.call("forget_respondent", user_id="(none)")
    assert (alone.status_code, alone.json()["code"]) == (422, "no_identifier")


async def test_a_cohort_webhook_with_placeholders_and_other_names_of_email(world: World) -> None:
    rows = [
        {"user_id": "null", "user_properties": {"gp:email": ANN}},
        {"user_id": "null", "user_properties": {"email": "", "E-mail": f"mailto:{BEN}"}},
    ]
    assert (await send(world, cohort_message(1, rows))).status_code == 200
    launch = await seen(world, invited=2)
    assert launch["cohort_id"] == COHORT
    assert sorted(addresses(world)) == [ANN, BEN]
    assert launch["warnings"] == []


async def test_a_cohort_webhook_without_addresses_says_what_properties_came(world: World) -> None:
    rows = [{"user_id": f"user-{n}", "user_properties": {"work_mail": ANN, "plan": "pro"}} for n in range(3)]
    assert (await send(world, cohort_message(1, rows))).status_code == 200
    launch = await seen(world, invited=3)
    (warning,) = launch["warnings"]
    assert "0 of 3 people" in warning
    assert "work_mail, plan" in warning
    assert ANN not in warning


async def test_a_cohort_file_with_placeholders_other_names_and_bad_addresses(world: World) -> None:
    members = [
        {"user_id": r"\N", "properties": {"gp:email": ANN}},
        {"user_id": "null", "properties": {"Email": f"Ben <{BEN}>"}},
        {"user_id": "user-3", "properties": {"email": "three at example.com"}},
        {"user_id": "${id}", "properties": {}},
    ]
    planned = await plan(world, cohort_id=await cohort(world, *members))
    assert (planned["to_invite"], planned["skipped"]) == (3, {"no_identifier": 1})
    assert any(warning.startswith("invalid_email: 1 person ") for warning in planned["warnings"])
    launched = await world.get("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=10)
    assert [one["email"] for one in launched["invitations"]] == [ANN, BEN, None]


async def test_a_plan_of_people_without_addresses_says_so(world: World) -> None:
    members = [{"user_id": f"user-{n}", "properties": {"work_mail": ANN}} for n in range(4)]
    planned = await plan(world, members=members)
    assert any("0 of 4 people" in one and "work_mail" in one for one in planned["warnings"])
    planned = await plan(world, members=[*members, *({"email": f"p{n}@example.com"} for n in range(5))])
    assert [one for one in planned["warnings"] if "e-mail" in one] == [
        "4 of 9 people to invite have no e-mail address; the list of links has none for them."
    ]
    by_property = await plan(world, members=members[:1], email_property="work_mail")
    assert not any("e-mail" in one for one in by_property["warnings"])
    refused = await world.call("plan_cohort_launch", members=[{"email": "a b@example.com"}])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/members/0/email")


async def test_a_plan_says_when_most_rows_share_an_id(world: World) -> None:
    shared = [{"user_id": "user-crm", "email": f"p{n}@example.com"} for n in range(4)]
    assert any("3 of 4 rows share" in one for one in (await plan(world, members=shared))["warnings"])
    others = [{"user_id": f"user-{n}"} for n in range(4)]
    assert not any("rows share" in one for one in (await plan(world, members=shared + others))["warnings"])


async def test_an_address_is_one_whatever_marks_it_carries(world: World) -> None:
    written = [ANN, "a\u200bnn@example.com", f"\u202a{ANN}\u202c", "an\u00adn@example.com", f"mailto:{ANN}"]
    launched = await world.get(
        "launch_cohort_interviews", members=[{"email": one} for one in written[::-1]], wait_seconds=10
    )
    assert launched["skipped"] == {"duplicate_in_cohort": 4}
    assert addresses(world) == [ANN]
    await world.get("forget_respondent", email=written[1], wait_seconds=10)
    for one in written:
        assert (await world.get("start_interview", email=one))["reason"] == "suppressed"
    await world.deliver(message("int-9", respondent_email=written[2]))
    assert (await world.ended("int-9"))["reason"] == "suppressed"


async def test_a_respondent_is_the_address_without_its_wrapping(world: World) -> None:
    await world.deliver(
        message("int-1", respondent_email="Ann <mailto:Ann@example.com>"),
        message("int-2", respondent_email="{{email}}"),
        message("int-3", respondent_email=None, external_id="undefined"),
    )
    assert (await world.ended("int-1"))["user_id"] == "Ann@example.com"
    assert (await world.ended("int-2"))["reason"] == "invalid_user_id"
    await world.reconfigure({"CONNECTOR_TRUST_EXTERNAL_ID": "true"})
    await world.deliver(message("int-4", respondent_email=None, external_id="N/A"))
    assert (await world.ended("int-4"))["reason"] == "anonymous"


@pytest.mark.parametrize(
    "user_id", ["1.2E+11", "1,2e+11", "12E+11", "undefined undefined", "true", "guest", "0.0"]
)
async def test_an_id_that_many_people_share_leads_to_no_link_of_another(world: World, user_id: str) -> None:
    first = await world.get("start_interview", user_id=user_id, email=ANN, wait_seconds=10)
    second = await world.get("start_interview", user_id=user_id, email=BEN, wait_seconds=10)
    assert (first["status"], second["status"]) == ("started", "started")
    assert first["interview_link"] != second["interview_link"]
    assert (first["user_id"], second["user_id"]) == (None, None)


async def test_a_number_with_decimals_is_the_same_person_at_every_door(world: World) -> None:
    one = await world.get("start_interview", user_id="5711001.0", wait_seconds=10)
    assert (one["status"], one["user_id"]) == ("started", "5711001")
    members = [{"user_id": written} for written in ("5711001.00", 5711001, "5711001")]
    planned = await plan(world, members=members)
    assert planned["skipped"] == {"already_invited": 1, "duplicate_in_cohort": 2}
    planned = await plan(world, cohort_id=await cohort(world, {"user_id": "5711001.0"}))
    assert planned["skipped"] == {"already_invited": 1}
    assert (await world.get("get_person", user_id="5711001.0"))["user_id"] == "5711001"
    assert (await world.get("list_syncs", search="5711001.0"))["items"] == []
    await world.get("forget_respondent", user_id="5711001.0", wait_seconds=10)
    assert (await plan(world, members=members))["skipped"] == {"suppressed": 1, "duplicate_in_cohort": 2}


@pytest.mark.parametrize("written", ["4,711,001", "4\u202f711\u202f001", "4.711.001"])
async def test_a_number_with_separators_is_refused_where_a_caller_can_be_told(
    world: World, written: str
) -> None:
    for name in ("start_interview", "get_person", "forget_respondent"):
        refused = await world.call(name, user_id=written, email=ANN)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/user_id")
    refused = await world.call("plan_cohort_launch", members=[{"user_id": "4711001"}, {"user_id": written}])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/members/1/user_id")
    rows: list[dict[str, Any]] = [
        {"user_id": written},
        {"user_id": "5,711,001", "properties": {"email": ANN}},
    ]
    planned = await plan(world, cohort_id=await cohort(world, *rows))
    assert (planned["to_invite"], planned["skipped"]) == (1, {"no_identifier": 1})


async def test_an_email_that_says_nothing_counts_as_not_given(world: World) -> None:
    one = await world.get("start_interview", user_id="user-1", email="n/a", wait_seconds=10)
    assert (one["status"], one["email"]) == ("started", None)
    planned = await plan(world, members=[{"user_id": "user-2", "email": "N/A"}])
    assert planned["to_invite"] == 1


async def test_a_completion_of_the_far_future_holds_back_no_later_interview(world: World) -> None:
    await world.deliver(message("int-1", completed_at="2062-01-01T00:00:00Z"))
    assert (await world.ended("int-1"))["completed_at"] < "2062"
    refused = await world.call(
        "sync_interview_to_amplitude", interview=message("int-2", completed_at="2062-01-01")
    )
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/completed_at")
    wrong = await world.call("sync_interview_to_amplitude", interview=message("int-2", themes=[["a", 1]]))
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/interview")


async def test_a_name_comes_from_other_columns_and_no_placeholder_reaches_koji(world: World) -> None:
    rows = [
        {"user_id": "user-1", "properties": {"First Name": "Ann", "Last Name": "Lee"}},
        {"user_id": "user-2", "properties": {"name": "N/A"}},
    ]
    planned = await plan(world, cohort_id=await cohort(world, *rows))
    launched = await world.get("launch_cohort_interviews", plan_token=planned["plan_token"], wait_seconds=10)
    assert [one["name"] for one in launched["invitations"]] == ["Ann Lee", None]
    given = await world.get(
        "launch_cohort_interviews",
        members=[{**row, "user_id": f"x-{row['user_id']}"} for row in rows],
        wait_seconds=10,
    )
    assert [one["name"] for one in given["invitations"]] == ["Ann Lee", None]
    shown = await world.get("start_interview", email=BEN, name="{{first_name}}", wait_seconds=10)
    assert shown["status"] == "started"
    names = [one.display_name for one in world.sandbox.koji.store.interviews.values()]
    assert names == ["Ann Lee", None, "Ann Lee", None, None]


async def test_an_erased_address_in_odd_wrapping_never_reaches_amplitude(world: World) -> None:
    await world.get("forget_respondent", email=ANN, wait_seconds=10)
    odd = [f"{ANN} (privat)", f"[{ANN}](mailto:{ANN})", f"{ANN}, x@example.com", f"{ANN}?subject=Hi"]
    odd += [f"{ANN} ann", f"Ann <{ANN}> <x@example.com>"]
    ids = [f"int-{n}" for n in range(len(odd))]
    for interview_id in ids:
        await world.interview(interview_id, email=None)
    await world.deliver(*(message(i, respondent_email=email) for i, email in zip(ids, odd, strict=True)))
    for interview_id in ids:
        assert (await world.ended(interview_id))["reason"] == "anonymous"
    assert world.stored() == []
    for email in odd:
        values = {"interview_id": "int-x", "themes": "a", "quality_score": 4, "respondent_email": email}
        refused = await world.call("sync_interview_to_amplitude", **values)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/respondent_email")
        assert ANN not in refused.text
