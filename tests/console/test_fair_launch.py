"""Planning a fair launch in the console: sample, quota, waves, holdout, rests, and who answered."""

from __future__ import annotations

import re

import pytest

from tests.console.visitor import Visitor, visiting, words
from tests.people.test_opt_out import path_of
from tests.support.harness import World, until

pytestmark = pytest.mark.e2e

COHORT = "onboarding-drop-off"


async def planned(owner: Visitor, **fields: str) -> str:
    await owner.get("/console/launches/new")
    await owner.press("Show the plan", cohort_id=COHORT, **fields)

    async def is_planned() -> bool:
        return "Nothing is sent yet" in words(await owner.get(owner.went_to))

    await until(is_planned)
    return words(owner.page.text)


async def test_a_plan_shows_its_sample_its_quota_and_whom_it_holds_out(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 40, "interviews": False})
    page = await planned(
        owner,
        sample_seed="seed-1",
        holdout_percent="50",
        quota_property="plan",
        quota_people="trial: 12, paid: 2",
    )
    assert "Invite 12 of 40 people" in page
    drawn = re.search(r"drawn at random from (\d+) who may be invited, with the seed seed-1", page)
    assert drawn is not None
    assert 12 <= int(drawn[1]) < 40
    assert f"{40 - int(drawn[1])} people are held out" in page
    assert f"trial 12 {drawn[1]} 12 0" in page
    assert "paid 2 0 ! 2 missing 0 0" in page, "a cell that cannot be filled"
    held = words((await owner.get(f"{owner.went_to}&state=holdout")).split('id="people"')[1])
    assert held.count("@example.com") == 40 - int(drawn[1])
    page = await planned(owner, sample="first", max_interviews="3", quota_property="plan", quota_people="2")
    assert "taken in the cohort's order from 40" in page
    assert "trial 2 40 2 0" in page


async def test_a_launch_in_waves_shows_who_answered_by_segment(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 40, "interviews": False})
    page = await planned(owner, stop_after_completed="12", segment_by="plan", max_interviews="40")
    assert "Invited in waves: 0 interviews came back" in page
    await owner.press("Invite exactly 40 people")

    async def has_invited() -> bool:
        return "All 40 12 " in words(await owner.get(owner.went_to))

    await until(has_invited)
    page = words(await owner.get(owner.went_to))
    assert "about 2 good ones are still expected" in page
    assert "All 40 12 0 0% 0% to 24% 0 trial 40 12 0 0% 0% to 24% 0" in page
    assert owner.page.text.count("is told of fewer than 10") == 1


async def test_a_reason_lifts_rests_and_stands_in_the_audit_log(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 3, "interviews": False})
    await planned(owner, override_rest="The first round broke off.")
    assert "The first round broke off." in str(await world.get("list_audit", surface="console"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"quota_property": "plan"}, "quota"),
        ({"quota_property": "plan", "quota_people": "trial: many"}, "quota"),
        ({"quota_people": "20"}, "quota"),
        ({"holdout_percent": "51"}, "holdout_percent"),
    ],
)
async def test_what_cannot_be_planned_leads_back_to_the_form_as_it_was_filled(
    owner: Visitor, given: dict[str, str], told: str
) -> None:
    await owner.get("/console/launches/new")
    await owner.press("Show the plan", cohort_id=COHORT, segment_by="country", **given)
    assert owner.went_to.startswith("/console/launches/new?")
    assert told in words(owner.page.text.split('class="said is-error"')[1].split("</div>")[0])
    for value in (*given.values(), "country"):
        assert f'value="{value}"' in owner.page.text
    assert "<details open><summary>More" in owner.page.text


async def test_who_rests_or_said_no_is_told_with_rule_and_date(world: World) -> None:
    await world.restart(CONNECTOR_REST_DAYS_AFTER_INVITATION="30")
    ada = {"email": "ada@example.com", "user_id": "user-ada"}
    invited = await world.get("start_interview", **ada)
    asked = {"connection": "shop", "allow_without_link": True, "reinvite_after_days": 0}
    plan = await world.get("plan_cohort_launch", members=[ada], **asked)
    until_ = plan["skipped_examples"][0]["until"]
    async with visiting(world.app) as owner:
        await owner.sign_in()
        page = await owner.get(f"/console/launches/{plan['launch_id']}?connection=shop")
        assert "Rule after invitation, until" in words(page)
        assert f'datetime="{until_}"' in page
        page = await owner.get("/console/person?person=ada@example.com&connection=shop")
        told = (
            "not invite them: Asked lately, here or on another connection. Rule: after invitation. Until 20"
        )
        assert told in words(page)
        assert f'datetime="{until_}"' in page
        await owner.client.post(path_of(invited), data={"List-Unsubscribe": "One-Click"})
        page = words(await owner.get("/console/person?person=ada@example.com"))
        assert page.count("not invite them: Said no by the link in an invitation. For good.") == 2
