"""The console in a real browser: sign-in, a launch from plan to live progress, history, tabs, accessibility."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.console.browser import Tab, chromium
from tests.launches.test_launches import people
from tests.support.harness import World, message, serving

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CARDS = "[...document.querySelectorAll('.cards')].every(t => t.parentNode.scrollWidth <= t.parentNode.clientWidth)"
NAME = "<b>Ada</b> \u202egnitteB\u2066 " + "x" * 3_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def base(world: World) -> AsyncIterator[str]:
    async with serving(world.app) as url:
        yield url


@pytest.fixture
async def tab(browser: Browser, base: str) -> AsyncIterator[Tab]:
    context = await browser.new_context(
        viewport={"width": 1400, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB"
    )
    opened = Tab(await context.new_page(), base)
    yield opened
    assert opened.wrong == []


async def test_a_launch_is_planned_and_watched_without_reloading(world: World, tab: Tab) -> None:
    await world.control("POST", "/study", {"people": 6, "interviews": False})
    await tab.go("/")
    await tab.sign_in()
    page = tab.page
    await page.click("text=Plan a launch")
    await page.select_option("select[name=cohort_id]", "onboarding-drop-off")
    await page.click("text=Show the plan")
    await page.wait_for_selector("text=Invite 6 of 6 people")
    await world.hold("koji", "start", after=2)
    await page.click("text=Invite exactly 6 people")
    await page.wait_for_selector(".figures >> text=Waiting")
    await page.evaluate("window.here = true")
    await world.held("koji")
    await page.wait_for_selector(".figures div:has(dt:text-is('Invited')) dd:text-is('2')")
    await page.click("summary:has-text('Cancel')")
    async with page.expect_response(lambda answer: "/console/launches/lau_" in answer.url):
        await page.evaluate("htmx.trigger(document.getElementById('live'), 'changed')")
    await page.wait_for_function("!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
    assert await page.is_visible("text=Cancel this launch"), "what a person opened stays open"
    await world.release("koji")
    await page.wait_for_selector("h1 >> text=finished")
    assert await page.inner_text(".figures div:has(dt:text-is('Invited')) dd") == "6"
    assert await page.evaluate("window.here"), "the page was not loaded again"
    # reload and back send nothing again
    await page.reload()
    await page.go_back()
    await page.go_forward()
    assert len(world.sandbox.koji.store.interviews) == 6


async def test_a_link_of_another_site_opens_the_console_signed_in(tab: Tab, base: str) -> None:
    await tab.go("/")
    await tab.sign_in()

    async def mail(route: Route) -> None:
        await route.fulfill(
            content_type="text/html", body=f'<a href="{base}/console/receipts?status=failed">Look</a>'
        )

    await tab.page.route("http://mail.example/**", mail)
    await tab.page.goto("http://mail.example/inbox")
    await tab.page.click("text=Look")
    await tab.page.wait_for_url("**/console/receipts?status=failed")
    await tab.page.wait_for_selector("h1:text-is('Interviews')")
    assert all("mail.example" in wrong for wrong in tab.wrong)
    tab.wrong.clear()


async def test_two_tabs_and_an_outage(world: World, tab: Tab, base: str) -> None:
    await tab.go("/")
    await tab.sign_in()
    other = Tab(await tab.page.context.new_page(), base)
    await world.hold("koji", "start")
    launched = await world.get("launch_cohort_interviews", members=people(1, 2), wait_seconds=0)
    await world.held("koji")
    for each in (tab, other):
        await each.go(f"/console/launches/{launched['launch_id']}")
    await world.context.ledger.console_sessions.end()
    await world.release("koji")
    for each in (tab, other):  # the session is over: an open page asks to sign in by itself
        await each.page.wait_for_selector("#token")
    await tab.sign_in()
    await other.page.reload()
    await other.page.wait_for_selector("h1 >> text=finished")
    await world.fault("amplitude", "status", status=503, times=None)
    await other.go("/console/setup")
    await other.page.wait_for_selector(".checks >> text=Amplitude")
    assert other.wrong == []


async def test_every_page_is_accessible_and_fits_a_phone(world: World, tab: Tab) -> None:
    await world.deliver(
        message("itv-1"), message("itv-2", 2, quality_score=1), message("itv-3", 3, themes=[NAME])
    )
    ease = {"questionId": "q1", "questionText": NAME, "questionType": "scale", "structuredValue": 4}
    more = [message(f"more-{n}", n, themes=[NAME], structured_answers=[ease]) for n in range(10, 16)]
    await world.deliver(*more)
    await world.ended("itv-1", "itv-2", "itv-3", *(one["interview_id"] for one in more))
    await world.send(message("itv-4"), secret="wrong")
    members = [{"email": "ada@example.com", "name": NAME[:1000]}, *people(1, 2)]
    launched = await world.get("launch_cohort_interviews", members=members, wait_seconds=10)
    planned = await world.get("plan_cohort_launch", members=people(3, 4))
    run = await world.get("replay_syncs", interview_ids=["itv-2"])
    await tab.go("/")
    await tab.page.set_viewport_size({"width": 360, "height": 800})
    await tab.check_accessibility()
    await tab.sign_in()
    for path in (
        "/console",
        "/console/receipts",
        "/console/receipts?status=skipped&ask=1",
        "/console/receipts/itv-3?preview=1",
        "/console/launches",
        "/console/launches/new",
        f"/console/launches/{launched['launch_id']}",
        f"/console/launches/{planned['launch_id']}",
        f"/console/runs/{run['run_id']}",
        "/console/person?person=person-001@example.com",
        "/console/themes?since=2026-11-01&until=2026-12-01",
        "/console/themes?since=2020-01-01&until=2020-12-01",
        "/console/setup?check=1",
        "/console/access",
    ):
        await tab.go(path)
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert await tab.page.evaluate(CARDS), path
        await tab.check_accessibility()
    await tab.go("/console/themes?since=2026-11-01&until=2026-12-01")
    assert await tab.page.locator("svg rect").count() > 30, "bars and a column a day"
    await tab.go("/console/receipts/itv-1")
    shown = await tab.page.inner_text(".timeline time >> nth=0")
    assert "UTC" not in shown, "the reader's zone"
    assert (await tab.page.get_attribute(".timeline time >> nth=0", "title") or "").endswith(" UTC")
