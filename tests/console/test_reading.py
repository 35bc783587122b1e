"""What a person finds on a screen without knowing the connector: who, why, until when, and what to do."""

from __future__ import annotations

import html
import re

import pytest

from connector.console.page import _when
from tests.console.visitor import Visitor, visiting, words
from tests.launches.test_launches import people, started
from tests.support.harness import World, message, until

pytestmark = pytest.mark.e2e


def link(page: str, label: str) -> str:
    """Return where a link leads."""
    (found,) = re.findall(rf'href="([^"]*)"[^>]*>(?:<bdi>)?{re.escape(label)}(?:</bdi>)?</a>', page)
    return html.unescape(found)


async def until_shown(owner: Visitor, url: str, text: str) -> str:
    async def is_shown() -> bool:
        return text in words(await owner.get(url))

    await until(is_shown)
    return owner.page.text


async def test_a_plan_whose_time_is_over_is_planned_again(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    await owner.get("/console/launches/new")
    asked = {"cohort_id": "onboarding-drop-off", "mode": "text", "max_interviews": "10"}
    await owner.press("Show the plan", **asked)
    url = owner.went_to
    await until_shown(owner, url, "Invite exactly 10 people")
    plan = owner.page
    quota = {"property": "plan", "values": {"free": 3, "paid": 2}}
    other = await world.get("plan_cohort_launch", **asked, quota=quota, wait_seconds=10)
    assert "Waits for you: check and launch by" in words(await owner.get("/console/launches"))
    world.clock.move(601)
    owner.page = plan
    page = await owner.press("Invite exactly 10 people")
    assert "\N{EN DASH} expired" in words(page)
    assert "Expired: plan again ." in words(page)
    assert "Invite exactly" not in page
    form = await owner.get(link(page, "plan again"))
    assert '<option value="onboarding-drop-off" selected>' in form
    page = await owner.get("/console/launches?status=planned")
    assert "\N{EN DASH} expired Expired: plan again ." in words(page)
    assert "\N{EN DASH} expired No person is left to invite. 12 people: Above the limit" in words(page)
    form = await owner.get(link(page.split(other["launch_id"])[1].split("</tr>")[0], "Plan again"))
    assert '<option value="onboarding-drop-off" selected>' in form


async def test_a_plan_names_the_people_whom_it_would_invite(world: World, owner: Visitor) -> None:
    planned = await world.get("plan_cohort_launch", members=people(*range(25)), wait_seconds=10)
    page = await owner.get(f"/console/launches/{planned['launch_id']}")
    above = page.split(">Invite exactly 25 people<")[0]
    assert above.count("&amp;person=") == 20
    assert "@example.com" in words(above)
    page = await owner.get(link(page, "Show all 25"))
    assert page.split('id="people"')[1].count("&amp;person=") == 25
    shown = await world.get("get_launch", launch_id=planned["launch_id"], state="planned", limit=100)
    assert [one["interview_link"] for one in shown["invitations"]] == [None] * 25
    assert started(world) == []


async def test_a_launch_that_waits_says_why_and_until_when(world: World, owner: Visitor) -> None:
    assert "No launch is paused." in words(await owner.get("/console/launches?status=paused"))
    await world.get("plan_cohort_launch", members=people(1, 2, 3), wait_seconds=10)
    for path in ("/console", "/console/launches"):
        assert "Waits for you: check and launch by 20" in words(await owner.get(path))
    page = words(await owner.get("/console"))
    assert "Plans that are not launched yet are not counted" in page
    assert page.index("Your daily limit of Koji credits") < page.index("Launches that run or wait")
    assert "0 used" in page
    await world.hold("koji", "start")
    await world.get("launch_cohort_interviews", members=people(4, 5), wait_seconds=0)
    await world.held("koji")
    assert "Runs; nothing to do." in words(await owner.get("/console"))
    await world.release("koji")


async def test_a_pause_says_when_it_ends(world: World, owner: Visitor) -> None:
    await world.restart(CONNECTOR_MAX_CREDITS_PER_DAY="3")
    async with visiting(world.app) as person:
        await person.sign_in()
        launched = await world.get("launch_cohort_interviews", members=people(1, 2, 3), mode="voice")
        assert launched["pause_reason"] == "daily_credits"
        for path in ("/console", "/console/launches"):
            page = words(await person.get(path))
            assert "Fewer credits are left today than one interview takes. It goes on by itself at 20" in page
            assert "00:00 UTC" in page


def test_a_time_of_which_only_the_day_is_kept_shows_no_hour() -> None:
    assert words(_when("2026-11-20T00:00:00Z")) == "2026-11-20"
    assert words(_when("2026-11-20T00:00:00Z", exact=True)) == "2026-11-20 00:00 UTC"
    assert words(_when("2026-11-20T00:00:01Z")) == "2026-11-20 00:00 UTC"


async def test_a_person_reads_first_whether_a_launch_would_invite_them(world: World, owner: Visitor) -> None:
    member = {"user_id": "user-1", "email": "person-001@example.com"}
    launched = await world.get("launch_cohort_interviews", members=[member], wait_seconds=10)
    page = words(await owner.get("/console/person?connection=default&person=user-1"))
    told = page.split("person-001@example.com", 2)[1]
    assert "A launch today would not invite them: Already invited, 20" in told
    assert "; no person is asked twice." in told
    again = await world.get("launch_cohort_interviews", members=[member, *people(2)], wait_seconds=10)
    for name, at in ((launched["launch_id"], "People"), (again["launch_id"], "Who they are (1)")):
        page = await owner.get(f"/console/launches/{name}")
        person = re.findall(r'href="([^"]*&amp;person=[^"]*1[^"]*)"', page.split(f">{at}<")[-1])[0]
        page = await owner.get(html.unescape(person))
    left_out = page.split('aria-label="Not invited"')[1].split("</section>")[0]
    assert again["launch_id"] in left_out
    assert "Already invited, 20" in words(left_out)
    assert "; no person is asked twice. already_invited" in words(left_out)
    assert page.index("Not invited</h2>") < page.index("Invitations</h2>")


async def test_an_interview_says_in_words_what_became_of_it(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=400, body={"error": "Bad event"}, times=1)
    await world.deliver(message("itv-1", 1))
    await world.ended("itv-1")
    await world.deliver(message("itv-2", 2, quality_score=1.6))
    await world.ended("itv-2")
    page = await owner.get("/console/receipts")
    assert "Interviews" in words(page.split("<h1>")[1].split("</h1>")[0])
    low = "Quality 1.6 is below your minimum of 3."
    assert low in words(page)
    assert "CONNECTOR" not in words(await owner.get("/console"))
    receipt = await owner.get("/console/receipts/itv-1")
    lead = words(receipt.split("<h1>")[1].split("What happened")[0])
    assert "Amplitude answered 400" in lead
    for told in ("Preview shows", "Replay decides", "Force reads"):
        assert told in lead
    page = words(await owner.get(link(receipt, "person-001@example.com")))
    assert "A launch today may invite them: no rule" in page
    page = words(await owner.get("/console/receipts/itv-2"))
    assert f"Not sent to Amplitude: {low}" in page
