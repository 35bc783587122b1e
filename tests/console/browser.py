"""Chromium as Debian packages it, driven by Playwright: a tab that notes what a person's browser would object to."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.harness import TOKEN
from tests.support.node_packages import installed

if TYPE_CHECKING:
    from playwright.async_api import Browser, Frame, Page

AXE = "4.14.1"
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_RUN_AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (one) => [one.id, one.nodes.map((node) => node.target.join(" ")).join("; ")])"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the browser; skip the test where it, or Playwright, is not installed."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip(
            "the console's browser tests need Chromium, which is not installed (apt-get install chromium)"
        )
    playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    async with playwright.async_playwright() as driver:
        # no sandbox: it does not start for root, as whom containers run tests
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """One tab. `wrong` holds errors of its console and requests that left the origin; `close` asserts none."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        host = urlsplit(self.base).netloc

        def asked(request: Any) -> None:
            if urlsplit(request.url).netloc != host:
                self.wrong.append(f"left the origin: {request.url}")

        def said(line: Any) -> None:
            if line.type in ("error", "warning"):
                self.wrong.append(f"console: {line.text}")

        self.page.on("request", asked)
        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))

    async def go(self, path: str) -> None:
        answer = await self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status == 200, await self.page.inner_text("body")

    async def sign_in(self) -> None:
        await self.page.fill("#token", TOKEN)
        await self.page.click("button:has-text('Sign in')")
        await self.page.wait_for_url("**/console**")
        await self.page.wait_for_selector("header nav")

    async def check_accessibility(self) -> None:
        """Let axe-core look at the page, in both colour schemes."""
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme)
            found = await violations(self.page)
            assert found == [], f"{self.page.url} ({scheme}): {found}"


async def violations(page: Page | Frame) -> list[list[str]]:
    """Return what axe-core objects to."""
    script = installed(f"axe-core-{AXE}", {"axe-core": AXE}) / "node_modules" / "axe-core" / "axe.min.js"
    # in a world of its own: the page's content policy is left as it is
    await page.evaluate(script.read_text(encoding="utf-8"))
    found: list[list[str]] = await page.evaluate(_RUN_AXE)
    return found
