"""Clients that people use sign in by themselves against a live server, with a real browser in which a person says yes.

mcp-remote has a file of its own; the official Python client's ways are in test_sign_in.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mcp.shared.auth import AuthorizationCodeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.console.browser import chromium
from tests.oauth.test_sign_in import Memory, provider, signed_in
from tests.support import uv_program
from tests.support.cli_runs import free_port
from tests.support.harness import TOKEN, World, serving
from tests.support.mcp_node import inspector, typescript

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

HERE = Path(__file__).parent
FASTMCP = "fastmcp==4.1.6"
SECONDS = 90


class Person:
    """A person with a browser, who lets what asks read."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.base = base
        self.came: str | None = None

    async def hear(self, line: str) -> None:
        """Open the address of consent that a line names, and say yes."""
        start = line.find(f"{self.base}/oauth/authorize?")
        if start >= 0 and self.came is None:
            await self.say_yes(line[start:].split(maxsplit=1)[0])

    async def say_yes(self, address: str) -> None:
        await self.page.goto(address)
        await self.page.fill("#token", TOKEN)
        await self.page.click("button:has-text('Sign in')")
        await self.page.click("button:has-text('Allow')")
        await self.page.wait_for_url(lambda url: urlsplit(url).netloc != urlsplit(self.base).netloc)
        self.came = self.page.url


@pytest.fixture
async def person(world: World) -> AsyncIterator[Person]:
    async with chromium() as browser:
        yield Person(await browser.new_page(), world.settings.public_url)


def last_json(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(line for line in printed.splitlines()[::-1] if line[:1] == "{"))
    return found


async def test_the_typescript_sdk(world: World, person: Person, tmp_path: Path) -> None:
    words = (f"{world.settings.public_url}/mcp?tools=search,fetch", str(free_port()))
    code, printed = await typescript(
        HERE / "typescript_client.cjs", *words, folder=tmp_path, hear=person.hear
    )
    assert code == 0, printed
    assert last_json(printed) == {"tools": ["search", "fetch"], "scope": "read"}


async def test_the_inspector(world: World, person: Person, tmp_path: Path) -> None:
    where = (f"{world.settings.public_url}/mcp", "--transport", "http", "--method", "tools/list")
    back = ("--callback-url", f"http://127.0.0.1:{free_port()}/oauth/callback")
    code, printed = await inspector(*where, *back, folder=tmp_path, hear=person.hear)
    assert code == 0, printed
    assert person.came
    assert '"list_cohorts"' in printed
    assert '"launch_cohort_interviews"' not in printed  # only read was allowed


async def test_the_python_sdk(world: World, person: Person) -> None:
    async def callback(_: Request) -> Response:
        return PlainTextResponse("Connected")

    class Browser:
        opens = staticmethod(person.say_yes)

        @staticmethod
        async def returns() -> AuthorizationCodeResult:
            query = {name: values[0] for name, values in parse_qs(urlsplit(person.came or "").query).items()}
            return AuthorizationCodeResult(code=query["code"], state=query["state"], iss=query["iss"])

    async with serving(Starlette(routes=[Route("/callback", callback)])) as url:
        auth = provider(world, Browser(), Memory(), f"{url}/callback")  # type: ignore[arg-type]  # as much of one as is used
        async with signed_in(world, auth) as client:
            assert "list_cohorts" in {tool.name for tool in (await client.list_tools()).tools}


async def test_fastmcp(world: World, person: Person, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    run = [str(uv), "run", "--no-project", "--python", sys.executable, "--with", FASTMCP, "python"]
    env = {**uv_program.environment(tmp_path), "BROWSER": "/bin/echo %s", "FASTMCP_LOG_LEVEL": "ERROR"}
    uv_program.run_or_skip([*run, "-c", "import fastmcp"], env)
    process = await asyncio.create_subprocess_exec(
        *run,
        *("-u", str(HERE / "fastmcp_client.py"), f"{world.settings.public_url}/mcp"),
        cwd=tmp_path,
        env={**env, "PATH": f"{env['PATH']}{os.pathsep}/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed = ""
    try:
        async with asyncio.timeout(SECONDS):
            async for line in process.stdout:
                printed += line.decode()
                await person.hear(line.decode())
            assert await process.wait() == 0, printed
    finally:
        if process.returncode is None:
            process.kill()
    assert "list_cohorts" in last_json(printed)["tools"]
