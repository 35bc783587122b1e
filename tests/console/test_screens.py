"""Each screen as a person reads it and acts on it, without JavaScript."""

from __future__ import annotations

import csv
import html
import io
from urllib.parse import quote

import pytest

from tests.console.test_entry import named
from tests.console.visitor import Visitor, visiting, words
from tests.launches.test_launches import people, started
from tests.support.harness import World, message, until

pytestmark = pytest.mark.e2e

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.\u2066" + "x" * 10_000


async def came_in(world: World) -> None:
    await world.deliver(
        message("itv-good", 1),
        message("itv-poor", 2, quality_score=1.2),
        message("itv-nobody", 3, anonymous=True),
    )
    await world.ended("itv-good", "itv-poor", "itv-nobody")


async def test_today_leads_from_each_number_to_its_list(world: World, owner: Visitor) -> None:
    page = words(await owner.get("/console"))
    assert "No interview came in today." in page
    assert "No launch runs or waits." in page
    await came_in(world)
    page = await owner.get("/console")
    for said in (
        "3 Received",
        "1 Delivered to Amplitude",
        "2 Skipped",
        "0 Failed",
        "1,000 of the 1,000 credits that you allow a day are left",
    ):
        assert said.partition(" ")[2] in words(page)
    links = [
        html.unescape(part.split('"')[0]) for part in page.split('href="') if "reason=" in part.split('"')[0]
    ]
    listed = [words(await owner.get(link)) for link in links]
    assert ["itv-poor" in text for text in listed].count(True) == 1
    assert ["itv-nobody" in text for text in listed].count(True) == 1
    assert all("itv-good" not in text for text in listed)


async def test_today_tells_of_a_pause_and_ends_it(world: World, owner: Visitor) -> None:
    await world.fault("koji", "status", status=401, times=None)
    await world.send({"event": "interview.completed", "interview_id": "itv-1"})

    async def is_told() -> bool:
        return "Check and resume" in await owner.get("/console")

    await until(is_told)
    await world.release("koji")
    await owner.press("Check and resume")

    async def is_over() -> bool:
        return "Check and resume" not in await owner.get("/console")

    await until(is_over)


async def test_receipts_are_searched_and_filtered(world: World, owner: Visitor) -> None:
    await came_in(world)
    for query, seen in (
        ("", {"itv-good", "itv-poor", "itv-nobody"}),
        ("search=itv-good", {"itv-good"}),
        ("search=person-001@example.com", {"itv-good"}),
        ("status=skipped", {"itv-poor", "itv-nobody"}),
        ("status=skipped&reason=anonymous", {"itv-nobody"}),
        ("until=2020-01-01", set()),
    ):
        page = await owner.get(f"/console/receipts?{query}")
        assert {
            name for name in ("itv-good", "itv-poor", "itv-nobody") if name in page.split("<tbody>")[-1]
        } == seen
    assert "Clear the filters" in page
    items = (await world.get("list_syncs"))["items"]
    assert items[0]["received_at"].startswith("20")
    page = await owner.get(f"/console/receipts?since={items[0]['received_at']}")
    assert f'<time datetime="{items[0]["received_at"]}"' in page, "the time that the filter is about"
    assert "is no time" in words(await owner.get("/console/receipts?since=tomorrow", 422))


async def test_what_is_filtered_is_replayed_after_a_question(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=400, times=None)
    await world.deliver(message("itv-1", 1), message("itv-2", 2), message("itv-3", 3, quality_score=1))
    await world.ended("itv-1", "itv-2", "itv-3")
    await world.release("amplitude")
    assert "Replay all" not in await owner.get("/console/receipts")
    page = await owner.get("/console/receipts?status=failed")
    assert "Replay all that are filtered" in page
    page = await owner.get("/console/receipts?status=failed&ask=1")
    assert "Replay 2 interviews?" in words(page)
    assert world.completed() == []
    await owner.press("Replay 2")
    assert owner.went_to.startswith("/console/runs/run_")
    await world.seen("itv-1", status="synced")
    await world.seen("itv-2", status="synced")
    assert sorted(world.completed()) == ["itv-1", "itv-2"]


async def test_a_receipt_tells_the_whole_way(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=400, body={"error": "Bad <b>event</b>"}, times=1)
    await world.deliver(message("itv-1"))
    await world.ended("itv-1")
    page = await owner.get("/console/receipts")
    link = html.unescape(page.split('class="id"')[1].split('href="')[1].split('"')[0])
    page = await owner.get(link)
    for told in (
        "Came in",
        "interview.analysis_ready",
        "x-koji-signature",
        "hex",
        "slow import",
        "Amplitude answered 400",
    ):
        assert told.lower() in page.lower()
    assert "<b>event</b>" not in page
    assert "A sync now would" in await owner.get(f"{link}&preview=1")
    assert "Sent again: synced." in await owner.press("Replay")
    assert len(world.completed()) == 1
    before = len(world.requests)
    assert "Sent again: synced." in await owner.press("Replay")
    assert len(world.requests) == before, "Amplitude has it"
    await world.interview("itv-1")
    assert "Sent again: synced." in await owner.press("Send again by force")
    assert len(world.requests) == before + 1
    await owner.get("/console/receipts/itv-unknown", 404)
    await world.deliver(message("itv/2?a=1"))
    await world.ended("itv/2?a=1")
    assert "itv/2?a=1" in words(await owner.get("/console/receipts/itv%2F2%3Fa%3D1"))
    assert "Sent again: synced." in await owner.press("Replay")


async def test_a_launch_is_planned_looked_at_and_launched(world: World, owner: Visitor) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    page = await owner.get("/console/launches/new")
    assert "Onboarding drop-off (12 people)" in words(page)
    await owner.press("Show the plan", cohort_id="onboarding-drop-off", max_interviews="5000")
    assert "above" in words(owner.page.text) or "at most" in words(owner.page.text).lower()
    assert 'value="5000"' in owner.page.text, "what was filled in is still there"
    await owner.press("Show the plan", cohort_id="onboarding-drop-off", mode="text", max_interviews="10")

    async def is_planned() -> bool:
        return "Invite exactly" in await owner.get(owner.went_to)

    await until(is_planned)
    page = words(owner.page.text)
    assert "Invite 10 of 12 people" in page
    assert "10 Koji credits" in page
    assert "over_limit" in page
    assert started(world) == []
    await owner.press("Invite exactly 10 people")

    async def is_finished() -> bool:
        return "finished" in words(await owner.get(owner.went_to))

    await until(is_finished)
    assert len(started(world)) == 10
    assert "person-001@example.com" in owner.page.text
    assert "No person is in this state." in await owner.get(f"{owner.went_to}&state=failed")
    entries = (await world.get("list_audit", surface="console"))["items"]
    assert {one["operation"] for one in entries} == {"plan_cohort_launch", "launch_cohort_interviews"}


async def test_cohorts_that_cannot_be_listed_leave_a_form(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=503, times=None)
    page = await owner.get("/console/launches/new")
    assert "The cohorts cannot be listed" in words(page)
    assert 'name="cohort_id"' in page


async def test_a_launch_in_doubt_has_two_exits(world: World, owner: Visitor) -> None:
    await world.fault("koji", "status_after_accept", status=504, route="start", times=1)
    launched = await world.get("launch_cohort_interviews", members=people(1), wait_seconds=10)
    page = await owner.get(f"/console/launches/{launched['launch_id']}?state=in_doubt")
    assert "Start them again" in page
    await owner.press("Give up on them")
    assert (await world.get("get_launch", launch_id=launched["launch_id"]))["failed"] == 1
    await world.fault("koji", "status", status=500, route="start", times=1)
    launched = await world.get("launch_cohort_interviews", members=people(2))
    await owner.get(f"/console/launches/{launched['launch_id']}")
    await owner.press("Start them again")
    assert (await world.get("get_launch", launch_id=launched["launch_id"]))["in_doubt"] == 0


async def test_people_of_a_webhook_are_approved_as_they_were_shown(world: World, owner: Visitor) -> None:
    await world.restart(CONNECTOR_COHORT_APPROVE_ABOVE="0")
    async with visiting(world.app) as person:
        await person.sign_in()
        users = [{"user_id": f"user-{n}", "user_properties": {"email": f"p{n}@example.com"}} for n in (1, 2)]
        body = {
            "cohort_name": "New",
            "cohort_id": "c-1",
            "in_cohort": True,
            "message_id": "1",
            "users": users,
        }
        answer = await world.client.post(
            "/webhooks/amplitude/cohorts", json=body, headers={"Authorization": "Bearer a-cohort-token"}
        )
        assert answer.status_code == 200, answer.text

        async def waits() -> str:
            page = await person.get("/console/launches?status=paused")
            return page.split('<td><a href="')[1].split('"')[0] if '<td><a href="' in page else ""

        url = html.unescape(await until(waits))
        page = words(await person.get(url))
        assert "Resuming starts 2 people for up to 6 Koji credits" in page
        page = await person.get("/console")
        assert "New" in words(page)
        step = page.split(">Open the launch<")[0].rsplit('href="', 1)[1]
        assert html.unescape(step).startswith(url.partition("?")[0])
        await person.get(url)
        await person.press("Approve and invite")

        async def are_invited() -> bool:
            return len(started(world)) == 2

        await until(are_invited)


async def test_a_launch_is_cancelled(world: World, owner: Visitor) -> None:
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", members=people(1, 2, 3), wait_seconds=0)
    await world.held("koji")
    await owner.get(f"/console/launches/{launched['launch_id']}")
    await owner.press("Cancel this launch")
    assert (await world.get("get_launch", launch_id=launched["launch_id"]))["cancelled"] >= 2
    await world.release("koji")


async def test_people_are_downloaded_as_a_spreadsheet_can_read_them(world: World, owner: Visitor) -> None:
    members = [{"email": f"person-{n}@example.com", "name": "=1+1"} for n in range(60)]
    launched = await world.get("launch_cohort_interviews", members=members, wait_seconds=25)
    await owner.get(f"/console/launches/{launched['launch_id']}/people.csv")
    assert owner.page.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(owner.page.text)))
    assert len(rows) == 60
    assert {row["name"] for row in rows} == {"'=1+1"}
    assert all(row["interview_link"].startswith("http") for row in rows)


async def test_what_people_say_is_text_and_nothing_else(world: World, owner: Visitor) -> None:
    await world.deliver(message("itv-1", sentiment=HOSTILE, themes=[HOSTILE], transcript_url=HOSTILE))
    await world.ended("itv-1")
    members = [{"user_id": f"{HOSTILE[:500]}", "email": "x@example.com", "name": HOSTILE[:1000]}]
    launched = await world.get("launch_cohort_interviews", members=members * 2, wait_seconds=10)
    for path in (
        "/console",
        "/console/receipts",
        "/console/receipts/itv-1?preview=1",
        "/console/launches",
        f"/console/launches/{launched['launch_id']}",
    ):
        page = await owner.get(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    page = await owner.get("/console/receipts")
    cell = page.split("&lt;script&gt;")[1]
    assert "</bdi>" in cell.split("<td>")[0], "a direction of writing ends with its text"
    assert len(page) < 20_000
    page = (await owner.client.get("/console/receipts", params={"reason": HOSTILE[:60]})).text
    assert "<script>alert" not in page


async def test_set_up_says_what_to_paste_and_checks_on_demand(world: World, owner: Visitor) -> None:
    asked = len(world.requests)
    page = await owner.get("/console/setup?connection=shop")
    assert "http://127.0.0.1:8080/webhooks/koji/shop" in page
    assert "http://127.0.0.1:8080/webhooks/amplitude/cohorts/shop" in page
    assert len(world.requests) == asked
    await world.send(message("itv-1"), secret="wrong")
    page = words(await owner.get("/console/setup?check=1"))
    assert "Koji accepts the key" in page
    assert "Next step" in page
    assert "KOJI_WEBHOOK_SECRET" in page
    assert "matches none of 1 keys" in page, "why it was refused"
    link = owner.page.text.split(">Test Koji&#39;s key<")[0].rsplit('href="', 1)[1].split('"')[0]
    assert link.endswith("#check-koji_api_key")
    await world.fault("koji", "status", status=401, times=None)
    page = await owner.get(html.unescape(link.partition("#")[0]))
    assert "fail" in words(page.split('id="check-koji_api_key"')[1].split("</li>")[0])


async def test_a_token_is_made_shown_once_used_and_revoked(world: World, owner: Visitor) -> None:
    await owner.get("/console/access")
    page = await owner.press("Create", name="zapier", scope_read="on", connection_shop="on")
    text = page.split('id="secret">')[1].split("<")[0]
    me = (await world.client.get("/me", headers={"Authorization": f"Bearer {text}"})).json()
    assert (me["scopes"], me["connections"]) == (["read"], ["shop"])
    page = await owner.get("/console/access")
    assert text not in page
    assert "zapier" in page
    assert "is or was the name" in words(await owner.press("Create", name="zapier", scope_read="on"))
    assert "take some of" in words(await owner.press("Create", name="other"))
    page = words(await owner.press("Revoke zapier"))
    assert "The token zapier is revoked; subscriptions ended: 0, callbacks: 0." in page
    assert "create_token token zapier done" in page
    assert (await world.client.get("/me", headers={"Authorization": f"Bearer {text}"})).status_code == 401


async def test_no_session_makes_a_token_with_more_than_it_has(world: World, stranger: Visitor) -> None:
    await named(world, "read", name="foreign", only=("default",))
    await named(world, "read", name="wide")
    await stranger.sign_in(await named(world, "read", "write", "send", "erase", name="shops", only=("shop",)))
    page = await stranger.get("/console/access")
    assert "foreign" not in page
    assert "wide" not in page
    await stranger.press("Create", name="made", scope_read="on", connection_default="on")
    made = {token.name: token.connections for token in await world.context.ledger.tokens.listed()}
    assert made["made"] == ("shop",)
    assert "no token of that name" in words(await _revoked(stranger, "foreign"))


async def _revoked(visitor: Visitor, name: str) -> str:
    answer = await visitor.post("/console/access", do="revoke", name=name)
    return await visitor.get(answer.headers["location"])


async def test_the_audit_log_is_filtered(world: World, owner: Visitor) -> None:
    await world.call("cancel_launch", launch_id="lau_1")
    page = words(await owner.get("/console/access?surface=http&operation=cancel_launch"))
    assert "not_found" in page
    assert "not_found" not in words(await owner.get("/console/access?surface=console"))


async def test_a_plan_on_an_unknown_connection_is_a_page_that_is_not_there(owner: Visitor) -> None:
    for name in ("elsewhere", "%00", "x" * 200):
        await owner.get(f"/console/launches/new?connection={name}", 404)


async def test_every_screen_answers_with_the_connection_that_was_chosen(owner: Visitor) -> None:
    page = await owner.get("/console/launches?connection=shop")
    assert "/console/receipts?connection=shop" in page
    assert "<option selected>shop</option>" in page
    assert "There is no such page." in words(await owner.get("/console/nowhere", 404))
    assert (await owner.client.get("/console/")).headers["location"] == "/console"


async def test_themes_are_told_as_figures_and_never_of_fewer_than_five(world: World, owner: Visitor) -> None:
    page = words(await owner.get("/console/themes"))
    assert "No synced interview was completed from 2" in page
    few = [message(f"few-{n}", n, themes=["rare theme"], sentiment="mixed") for n in range(4)]
    await world.deliver(*few)
    await world.ended(*(one["interview_id"] for one in few))
    period = "since=2026-11-01&until=2026-12-01"
    page = words(await owner.get(f"/console/themes?{period}"))
    assert "Fewer than 5 synced interviews were completed from 2026-11-01 to 2026-11-30." in page
    assert "rare theme" not in page
    ease = {"questionId": "q1", "questionText": f"How easy? {HOSTILE}", "questionType": "multiple_choice"}
    for n in range(10, 16):
        answers = [{**ease, "structuredValue": [f"very {HOSTILE[:60]}" if n > 10 else "seldom said"]}]
        await world.deliver(message(f"m-{n}", n, themes=["slow import", HOSTILE], structured_answers=answers))
    await world.ended(*(f"m-{n}" for n in range(10, 16)))
    page = await owner.get(f"/console/themes?{period}")
    shown = words(page)
    for told in (
        "10 synced interviews were completed from 2026-11-01 to 2026-11-30",
        "slow import 6 60% 6 <5 <5 <5",
        "negative 6 60%",
        "What unhappy people talk about:",
        "(6 of 6 negative interviews)",
        "mixed <5",
        "4 to 4.5 10 100%",
        "2026-11-20 10",
        "6 interviews answered it.",
        "labels (themes, questions or answers) are not shown",
        "not all users",
    ):
        assert told in shown, (told, shown)
    assert "rare theme" not in page
    assert "seldom said" not in page
    assert '<rect width="60.0" height="10"/>' in page
    assert "style=" not in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert len(page) < 40_000
    assert page.count("<bdi>&lt;script&gt;") == page.count("…</bdi>") >= 1
    assert 'name="since" type="date" value="2026-11-01"' in page
    assert "2026-11-20" in words(await owner.get("/console/themes?since=2001-01-01&until=2030-01-01"))
    assert "hold no day" in words(await owner.get("/console/themes?since=2026-11-20&until=2026-11-20"))


async def test_a_person_is_shown_over_all_connections(
    world: World, owner: Visitor, stranger: Visitor
) -> None:
    assert "Search a person" in words(await owner.get("/console/person"))
    shown = words(await owner.get(f"/console/person?person={quote('<b>nobody</b>')}"))
    assert "No launch names <b>nobody</b>" in shown
    assert "<b>" not in owner.page.text
    page = (await owner.client.get("/console/person", params={"person": HOSTILE})).text
    assert "<script>alert" not in page
    assert len(page) < 5_000
    await world.deliver(message("itv/1", 1, themes=[HOSTILE, "slow import"]))
    await world.deliver(message("itv-nobody", 1, anonymous=True))
    await world.ended("itv/1", "itv-nobody")
    launched = await world.get(
        "launch_cohort_interviews",
        members=[{"user_id": "user-1", "email": "person-001@example.com"}],
        connection="shop",
        allow_without_link=True,
        wait_seconds=0,
    )
    await world.get("cancel_launch", launch_id=launched["launch_id"], connection="shop")
    page = await owner.get("/console/person?person=%20person-001@example.com%20")
    shown = words(page)
    for told in (
        "User id",
        "default A launch today may invite them: no rule",
        "shop A launch today may invite them: no rule",
        "The launch was cancelled.",
        "synced",
        "4.2",
        "slow import",
    ):
        assert told in shown, (told, shown)
    assert "itv-nobody" not in page
    assert f"/console/launches/{launched['launch_id']}?connection=shop" in page
    assert "<script>alert" not in page
    await owner.get(html.unescape(page.split('class="id"')[1].split('href="')[1].split('"')[0]))
    assert "itv/1" in owner.page.text
    assert "User id" in words(await owner.get("/console/person?person=user-1"))
    # another connection's token learns nothing
    await stranger.sign_in(await named(world, "read", only=("shop",)))
    shown = await stranger.get("/console/person?person=person-001@example.com")
    assert "slow import" not in shown
    assert "itv" not in shown
    assert "default" not in words(shown)


async def test_a_person_is_forgotten_after_a_typed_confirmation(
    world: World, owner: Visitor, stranger: Visitor
) -> None:
    await world.deliver(message("itv-1", 1), message("itv-2", 2))
    await world.ended("itv-1", "itv-2")
    url = "/console/person?connection=default&person=person-001%40example.com"
    await stranger.sign_in(await named(world, "read", "write", "send"))
    assert "Forget" not in await stranger.get(url)
    answer = await stranger.post(url, typed="person-001@example.com", on="default")
    assert "needs the scope" in words(await stranger.get(answer.headers["location"]))
    await owner.get(url)
    for typed in ("", "person-002@example.com", "person-001@example.co"):
        page = words(await owner.press("Forget for good", typed=typed, on="default"))
        assert "Nothing was erased: type the e-mail or user id exactly as it is shown." in page
        assert owner.went_to == url
    await owner.press("Forget for good", typed=" person-001@example.com ", on="default")
    assert owner.went_to.startswith("/console/runs/run_")

    async def is_over() -> bool:
        return "finished" in words(await owner.get(owner.went_to))

    await until(is_over)
    page = words(await owner.get(url))
    assert "This person was forgotten, but not on shop" in page
    assert "would not invite them: The person was forgotten and stays out. For good." in page
    assert "itv-1" not in owner.page.text
    assert "Never invited" not in page
    assert "<option>shop</option>" in owner.page.text.split("On the connection")[1]
    assert "<option>default</option>" not in owner.page.text.split("On the connection")[1]
    await owner.press("Forget for good", typed="person-001@example.com", on="shop")
    await until(is_over)
    assert "Forget for good" not in await owner.get(url)
    assert "itv-2" in await owner.get("/console/person?person=person-002@example.com")


async def test_the_next_step_leads_to_what_failed(world: World, owner: Visitor) -> None:
    await world.fault("amplitude", "status", status=400, times=None)
    await world.deliver(message("itv-1"))
    await world.ended("itv-1")
    page = await owner.get("/console")
    link = html.unescape(page.split(">See why<")[0].rsplit('href="', 1)[1].split('"')[0])
    assert "1 interview of the last 7 days failed. See why , then send it again." in words(page)
    assert "itv-1" in await owner.get(link)
