"""The card in a real browser: a plan, its button, the progress and the receipt, against a live server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.browser import chromium, violations
from tests.mcp.card_host import CardHost
from tests.mcp.clients import ERAS, SETTINGS, Era, http_client, people, started
from tests.mcp.test_cards import DECLARED
from tests.support.harness import QUICK, World, open_world

if TYPE_CHECKING:
    from playwright.async_api import Browser, Frame

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = """<img src="http://evil.example/x" onerror="parent.postMessage('x')"><b>Ada</b> & Co"""
WHO = '<script>document.title = "taken"</script>'
MEMBERS = [*people(1, 2, 3), {"user_id": WHO}, {"user_id": WHO}, *people(3)]
COHORT = {"cohort_id": "hostile"}
TOML = f'[connections.shop]\nkoji_project_id = "{QUICK.koji_project_id}"\nkoji_api_key = "sandbox-koji-key"\n'
TALLEST = 500


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, toml=TOML, **SETTINGS) as opened:
        await opened.control(
            "POST", "/amplitude/cohorts", {"id": "hostile", "name": NAME, "members": MEMBERS}
        )
        yield opened


@asynccontextmanager
async def hosting(
    world: World, browser: Browser, era: Era = "legacy", *, width: int = 600
) -> AsyncIterator[CardHost]:
    async with (
        http_client(world, era, extensions=[DECLARED]) as client,
        CardHost.of(browser, client, width=width) as host,
    ):
        yield host


async def keeps_the_checklist(host: CardHost, frame: Frame) -> None:
    """Let axe-core look in both themes; the page is low enough, and nothing in it scrolls."""
    for theme in ("light", "dark"):
        await host.tab.page.emulate_media(color_scheme=theme)
        await host.send("ui/notifications/host-context-changed", {"theme": theme})
        await frame.wait_for_function(
            "(theme) => document.documentElement.style.colorScheme === theme", arg=theme
        )
        assert await violations(frame) == [], theme
    height = await frame.evaluate("document.querySelector('main').offsetHeight")
    assert height <= TALLEST
    assert (await host.heard("ui/notifications/size-changed"))[-1]["height"] <= TALLEST
    scrolling = "[...document.querySelectorAll('body *')].filter((one) => /auto|scroll/.test(getComputedStyle(one).overflow)).length"
    assert await frame.evaluate(scrolling) == 0
    assert await frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("era", ERAS)
async def test_a_plan_is_shown_and_its_button_launches_exactly_it_once(
    world: World, browser: Browser, era: Era
) -> None:
    async with hosting(world, browser, era) as host:
        planned = await host.plan(**COHORT)
        token = planned["structuredContent"]["plan_token"]
        frame = await host.show(planned, COHORT)
        # who, who not and why, credits, duration
        await frame.wait_for_selector("button:text-is('Invite exactly these 4 people')")
        assert await frame.inner_text("h1") == NAME, "a name is text"
        assert await frame.locator("img, b").count() == 0
        assert await host.tab.page.title() == "Host"
        figures = (await frame.inner_text("dl")).split("\n")
        assert figures[:6] == ["To invite", "4 of 6", "Not invited", "2", "Credits, at most", "4"]
        assert figures[6] == "Sending takes"
        assert figures[7].startswith(("about ", "no time"))
        lines = await frame.inner_text("ul")
        assert "Not invited: 2. The same person stands in the cohort twice." in lines
        assert WHO in lines
        assert "Mode text, 1 credit each, in the study's language." in lines
        box = await frame.locator("button").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        await keeps_the_checklist(host, frame)
        # the cohort grows meanwhile: the plan does not
        grown = {"id": "hostile", "name": NAME, "members": [*MEMBERS, *people(4)]}
        await world.control("POST", "/amplitude/cohorts", grown)
        assert started(world) == []
        await world.hold("koji", "start", after=1)
        await frame.dblclick("button")
        await frame.evaluate("document.querySelector('button').click()")
        await world.held("koji")
        await frame.wait_for_selector("dl div:has(dt:text-is('Waiting')) dd:text-is('3')")
        assert await frame.is_visible("progress")
        await keeps_the_checklist(host, frame)
        await world.release("koji")
        await frame.wait_for_selector("p:has-text('The launch is finished.')")
        assert (await frame.inner_text("dl")).startswith("Invited\n4 of 4")
        assert "user-001: started" in await frame.inner_text("ul")
        assert "you send these links" in await frame.inner_text("ul")
        assert not await frame.is_visible("button")
        await keeps_the_checklist(host, frame)
        launches = [given for name, given in host.calls if name == "launch_cohort_interviews"]
        assert launches == [{"plan_token": token, "wait_seconds": 0}]
        assert {name for name, _ in host.calls} == {"launch_cohort_interviews", "get_launch"}
        assert len(started(world)) == 4
        # the model hears of it, in our words alone
        (said,) = await host.heard("ui/update-model-context")
        assert planned["structuredContent"]["launch_id"] in said["content"][0]["text"]
        assert NAME[:10] not in str(said)
        # the conversation is opened again: the old plan's button starts no person twice
        frame = await host.show(planned, COHORT)
        await frame.click("button")
        await frame.wait_for_selector("p:has-text('The launch is finished.')")
        assert len(started(world)) == 4


async def test_the_connection_of_the_plan_goes_with_the_button(world: World, browser: Browser) -> None:
    async with hosting(world, browser) as host:
        asked = {"members": people(1), "connection": "shop"}
        planned = await host.plan(**asked)
        frame = await host.show(planned, asked)
        await frame.wait_for_selector("h1:text-is('A list of people')")
        await frame.click("button:text-is('Invite exactly this 1 person')")
        await frame.wait_for_selector("p:has-text('The launch is finished.')")
        assert {given["connection"] for _, given in host.calls} == {"shop"}


async def test_a_host_that_declines_starts_nothing_and_may_be_asked_again(
    world: World, browser: Browser
) -> None:
    async with hosting(world, browser) as host:
        host.declines = True
        frame = await host.show(await host.plan(**COHORT), COHORT)
        await frame.click("button")
        await frame.wait_for_selector("[role=alert]:has-text('The person declined')")
        await keeps_the_checklist(host, frame)
        assert started(world) == []
        host.declines = False
        await frame.click("button")
        await frame.wait_for_selector("p:has-text('The launch is finished.')")
        assert not await frame.is_visible("[role=alert]")
        assert len(started(world)) == 4


async def test_a_host_that_calls_no_tools_gets_no_button(world: World, browser: Browser) -> None:
    async with hosting(world, browser) as host:
        frame = await host.show(await host.plan(**COHORT), COHORT, capabilities={})
        await frame.wait_for_selector("p:text-is('To launch it, ask the assistant.')")
        assert not await frame.is_visible("button")
        await keeps_the_checklist(host, frame)
        assert host.calls == []


async def test_an_old_plan_has_no_button(world: World, browser: Browser) -> None:
    async with hosting(world, browser) as host:
        planned = await host.plan(**COHORT)
        await host.tab.page.clock.install(time=planned["structuredContent"]["plan_expires_at"])
        frame = await host.show(planned, COHORT)
        await frame.wait_for_selector("p:text-is('This plan is older than 10 minutes: ask for a new one.')")
        await host.tab.page.clock.run_for(60_000)
        assert not await frame.is_visible("button")
        assert [name for name, _ in host.calls] == ["get_launch"], "what became of it is asked once"
        assert started(world) == []


async def test_a_refusal_is_shown_and_a_pause_says_why(world: World, browser: Browser) -> None:
    async with hosting(world, browser) as host:
        gone = await host.client.call_tool("get_launch", {"launch_id": "lau_none"})
        frame = await host.show(
            gone.model_dump(mode="json", by_alias=True, exclude_none=True),
            {"launch_id": "lau_none"},
            tool="get_launch",
        )
        await frame.wait_for_selector("[role=alert]:has-text('there is no such launch')")
        assert await frame.inner_text("#state") == ""
        await world.fault("koji", "status", status=402, times=None)
        frame = await host.show(await host.plan(**COHORT), COHORT)
        await frame.click("button")
        await frame.wait_for_selector("p:has-text('The launch is paused.')")
        assert "credits" in await frame.inner_text("#state")
        await keeps_the_checklist(host, frame)


@pytest.mark.parametrize(("width", "room"), [(320, None), (900, None), (600, {"maxHeight": 300})])
async def test_what_does_not_fit_is_counted(
    world: World, browser: Browser, width: int, room: dict[str, int] | None
) -> None:
    async with hosting(world, browser, width=width) as host:
        planned = await host.plan(**COHORT)
        values: dict[str, Any] = planned["structuredContent"]
        values["cohort_name"] = NAME + "x" * 200
        values["warnings"] = [f"{n}: " + "a long warning " * 12 for n in range(9)]
        values["quota_cells"] = [{"value": f"v{n}", "to_invite": n, "wanted": n} for n in range(20)]
        more: dict[str, Any] = {"containerDimensions": room} if room else {}
        frame = await host.show(planned, COHORT, **more)
        await frame.wait_for_selector("li:has-text('more, which the assistant')")
        if not room:
            assert "The same person stands in the cohort twice." in await frame.inner_text("ul")
        assert await frame.is_visible("button")
        await keeps_the_checklist(host, frame)
        if room:
            assert await frame.evaluate("document.querySelector('main').offsetHeight") <= room["maxHeight"]


async def test_the_host_dresses_the_card_and_tears_it_down(world: World, browser: Browser) -> None:
    async with hosting(world, browser) as host:
        variables = {
            "--color-text-primary": "rgb(1, 2, 3)",
            "--color-background-primary": "rgb(250, 251, 252)",
        }
        frame = await host.show(await host.plan(**COHORT), COHORT, styles={"variables": variables})
        await frame.wait_for_function(
            "getComputedStyle(document.querySelector('main')).color === 'rgb(1, 2, 3)'"
        )
        answers = "heard.filter((one) => one.id === 'host-1' || one.id === 'host-2')"
        for method, request in (
            ("ping", "host-0"),
            ("ui/resource-teardown", "host-1"),
            ("ui/unknown", "host-2"),
        ):
            await host.tab.page.evaluate("send", {"id": request, "method": method, "params": {}})
        await host.tab.page.wait_for_function(f"{answers}.length === 2")
        torn, unknown = await host.tab.page.evaluate(answers)
        assert torn["result"] == {}
        assert unknown["error"]["code"] == -32601
