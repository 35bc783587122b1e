"""Why a person was not invited, what holds a launch up, and how it goes on, as the screens say it."""

from __future__ import annotations

import html
import re

import pytest

from tests.console.test_entry import named
from tests.console.test_reading import link
from tests.console.visitor import Visitor, visiting, words
from tests.launches.test_launches import people
from tests.support.harness import World, message

pytestmark = pytest.mark.e2e

COHORT = {"cohort_id": "onboarding-drop-off", "mode": "voice", "wait_seconds": 10}


async def test_a_person_who_waits_is_not_said_to_be_invited(world: World) -> None:
    await world.restart(CONNECTOR_MAX_CREDITS_PER_DAY="4")
    launched = await world.get("launch_cohort_interviews", members=people(1, 2, 3), mode="voice")
    again = await world.get("plan_cohort_launch", members=people(1, 2, 3), wait_seconds=10)
    found = await world.get("get_launch", launch_id=launched["launch_id"], state="waiting")
    waits = found["invitations"][0]["email"]
    person = await world.get("get_person", email=waits)
    assert person["now"][0]["would"] == "already_invited"
    assert person["now"][0]["why"].startswith("Waits to be invited")
    (invitation,) = person["invitations"]
    assert (invitation["pause_reason"], invitation["begun_at"]) == ("daily_credits", launched["begun_at"])
    assert invitation["resumes_at"].endswith("T00:00:00Z")
    assert [skip["begun_at"] for skip in person["skips"]] == [again["begun_at"]]
    async with visiting(world.app) as reader:
        await reader.sign_in()
        page = await reader.get(f"/console/person?connection=default&person={waits}")
        shown = words(page)
        pause = "Fewer credits are left today than one interview takes. It goes on by itself at 20"
        first, told = shown.split("A launch today would not invite them")[:2]
        assert "Waits to be invited by List of people , 20" in first
        assert pause in first
        assert told.startswith(" either.")
        assert pause in words(page.split('aria-label="Invitations"')[1].split("</section>")[0])
        assert "Invited before" not in shown
        assert launched["launch_id"] in page
        page = words(await reader.get(f"/console/launches/{launched['launch_id']}"))
        assert pause in page
        assert "credits of this UTC day (CONNECTOR_MAX_CREDITS_PER_DAY): 1; one interview takes 3." in page
        assert launched["launch_id"] in page
        page = words(await reader.get("/console"))
        assert (
            "1 of the 4 credits that you allow a day is left today, less than the 3 that one interview takes."
            in page
        )


async def test_a_person_who_was_invited_reads_when_and_by_which_launch(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    await world.get("launch_cohort_interviews", **COHORT, max_interviews=1)
    (one,) = (await world.get("list_launches"))["items"]
    (invited,) = (await world.get("get_launch", launch_id=one["launch_id"]))["invitations"]
    page = words(await owner.get(f"/console/person?connection=default&person={invited['email']}"))
    at = invited["started_at"].replace("T", " ")[:16]
    by = one["begun_at"].replace("T", " ")[:16]
    told = f"not invite them: Already invited, {at} UTC , by Onboarding drop-off , {by} UTC ; no person is asked twice."
    assert told in page
    for path in ("/console/launches", f"/console/launches/{one['launch_id']}"):
        assert f"Onboarding drop-off , {by} UTC" in words(await owner.get(path))
    page = await owner.get(link(await owner.get("/console/access"), one["launch_id"]))
    assert "finished" in words(page)
    page = words(await owner.get("/console/person?person=unknown@example.com"))
    assert "No launch names unknown@example.com" in page


async def test_a_cancelled_launch_says_what_it_leaves_and_how_to_plan_it_again(
    world: World, owner: Visitor
) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", **{**COHORT, "wait_seconds": 5}, max_interviews=9)
    await world.held("koji")
    url = f"/console/launches/{launched['launch_id']}?connection=default"
    page = await owner.get(url)
    assert '<option value="waiting" selected>' in page, "the first state that has people"
    assert "No person is in this state" not in page
    cancelled = (await world.get("cancel_launch", launch_id=launched["launch_id"]))["cancelled"]
    assert cancelled >= 8
    for path in (url, "/console/launches"):
        page = await owner.get(path)
        assert f"Cancelled. {cancelled} people stay uninvited and may be invited later." in words(page)
        form = await owner.get(link(page, "Plan again"))
        assert '<option value="onboarding-drop-off" selected>' in form
    assert 'value="0" aria-label="People who no longer wait"' in await owner.get(url)
    await world.release("koji")


async def test_a_plan_with_no_person_left_waits_for_nobody(world: World, owner: Visitor) -> None:
    await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=10)
    plan = await world.get("plan_cohort_launch", members=people(1, 2), wait_seconds=10)
    url = f"/console/launches/{plan['launch_id']}"
    for path in (url, "/console/launches"):
        page = words(await owner.get(path))
        assert "No person is left to invite. 2 people: Invited before" in page
        assert "What changes it: asking people again after so many days." in page
        assert "Waits for you" not in page
    assert plan["launch_id"] not in await owner.get("/console")
    plan = await world.get("plan_cohort_launch", members=people(3), wait_seconds=10)
    page = words(await owner.get(f"/console/launches/{plan['launch_id']}"))
    assert "Cancel this launch" in page
    assert "Show all" not in page
    assert "person-003@example.com user-003" in page
    world.clock.move(601)
    assert "Cancel this launch" not in words(await owner.get(f"/console/launches/{plan['launch_id']}"))


async def test_a_reader_is_told_who_may_launch(world: World, stranger: Visitor) -> None:
    await world.get("plan_cohort_launch", members=people(1), wait_seconds=10)
    await stranger.sign_in(await named(world, "read"))
    for path in ("/console", "/console/launches"):
        page = words(await stranger.get(path))
        assert "for a person who may launch (a token with the scope send )" in page
        assert "Waits for you" not in page


async def test_a_second_refusal_is_an_error_with_its_words(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=400, body={"error": "Bad event"}, times=None)
    await world.deliver(message("itv-1", 1))
    await world.ended("itv-1")
    assert "Amplitude refused it:" in words(await owner.get("/console/receipts"))
    assert "Bad event" in words(owner.page.text)
    assert "Bad event" in words(await owner.get("/console/person?person=person-001@example.com"))
    await owner.get("/console/receipts/itv-1")
    page = (await owner.press("Replay")).split('class="said is-')[1].split("</div>")[0]
    assert page.startswith("error")
    assert "Amplitude refused it again:" in page
    assert "Bad event" in html.unescape(page)
    assert "Sending it again helps only once something has changed at Amplitude." in page
    page = words(await owner.get("/console/setup?check=1"))
    assert "List the failed ones to see why, then replay them." in page
    assert not re.search(r"\b(list|replay)_syncs", page)
