"""A real browser: an assistant's page sends a person here, the person says yes, and the browser goes back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.console.browser import Tab, chromium
from tests.oauth.asking import Asking
from tests.support.harness import TOKEN, World, serving

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def test_a_person_is_sent_here_says_yes_and_goes_back(world: World, asking: Asking) -> None:
    address = ""

    async def start(_: Request) -> Response:
        return HTMLResponse(f'<a id="go" href="{world.settings.public_url}{address}">Connect</a>')

    async def callback(_: Request) -> Response:
        return HTMLResponse("<p>Connected</p>")

    assistant = Starlette(routes=[Route("/", start), Route("/callback", callback)])
    async with serving(assistant) as url, chromium() as browser:
        elsewhere = url.replace("127.0.0.1", "localhost")  # another site, to which our cookies do not go
        redirect = f"{elsewhere}/callback"
        registered = await asking.register(redirect_uris=[redirect])
        asking.client_id = registered.json()["client_id"]
        address = asking.address(redirect_uri=redirect).replace("&", "&amp;")
        page = await browser.new_page()
        for signs_in in (True, False):
            await page.goto(elsewhere)
            await page.click("#go")
            if signs_in:
                await page.fill("#token", TOKEN)
                await page.click("button:has-text('Sign in')")
            await page.wait_for_selector("button:has-text('Allow')")
            if not signs_in:
                await Tab(page, url).check_accessibility()
            await page.click("button:has-text('Allow')")
            await page.wait_for_selector("text=Connected")
            code = parse_qs(urlsplit(page.url).query)["code"][0]
            answer = await asking.redeem(code, redirect_uri=redirect)
            assert answer.json()["scope"] == "read"
