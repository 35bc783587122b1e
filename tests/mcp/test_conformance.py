"""The conformance suite of MCP and its Inspector: on the server, and on fixtures behind our transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.http.server.server import config
from tests.mcp.clients import SETTINGS, environment
from tests.mcp.fixture_server import fixture_app
from tests.support.harness import QUICK, TOKEN, World, open_world, serving
from tests.support.mcp_node import conformance, inspector
from tests.support.preloaded import command

pytestmark = [pytest.mark.e2e, pytest.mark.interop, pytest.mark.slow]

HERE = Path(__file__).parent
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
LOCAL = "http://127.0.0.1"
ERAS = ["modern", pytest.param("legacy", marks=pytest.mark.proof)]
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"
SCENARIOS = [
    *(
        (HANDSHAKE, one)
        for one in (
            *("server-initialize", "ping", "tools-list", "resources-list", "prompts-list"),
            *("completion-complete", "dns-rebinding-protection"),
        )
    ),
    *(
        (MODERN, one)
        for one in (
            *("tools-list", "resources-list", "prompts-list", "completion-complete", "caching"),
            *("sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation"),
            *("input-required-result-unsupported-methods", "server-stateless"),
        )
    ),
]


class WithToken:
    """The suite sends no token: this adds it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            token = (b"authorization", f"Bearer {TOKEN}".encode())
            scope = {**scope, "headers": [*scope["headers"], token]}
        await self._app(scope, receive, send)


@asynccontextmanager
async def as_served(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on the protocol that the product serves with."""
    served: uvicorn.Config = config(app, "127.0.0.1", 0)
    served.lifespan = "off"
    async with serving(app, served) as url:
        yield url


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        yield opened


@pytest.mark.parametrize("of", [MODERN, pytest.param(HANDSHAKE, marks=pytest.mark.proof)])
async def test_the_server_passes_what_needs_no_fixture(world: World, tmp_path: Path, of: str) -> None:
    async with as_served(WithToken(world.app)) as url:
        two = asyncio.Semaphore(2)

        async def passes(revision: str, scenario: str) -> str | None:
            words = ("--url", f"{url}/mcp", "--scenario", scenario, "--spec-version", revision)
            more = ("--expected-failures", str(HERE / "real-baseline.yml"), "-o", str(tmp_path / "found"))
            async with two:
                code, printed = await conformance("server", *words, *more, folder=tmp_path)
            return None if code == 0 else f"{revision} {scenario}: {printed[-1500:]}"

        found = await asyncio.gather(*(passes(*one) for one in SCENARIOS if one[0] == of))
    assert [one for one in found if one] == []


@pytest.mark.parametrize("revision", [HANDSHAKE, MODERN])
async def test_fixtures_behind_our_transport_pass_all_that_is_required(tmp_path: Path, revision: str) -> None:
    app = fixture_app(LOCAL)
    async with app.router.lifespan_context(app), as_served(app) as url:
        words = ("server", "--url", f"{url}/mcp", "--requirements", revision, "-o", str(tmp_path / "found"))
        baseline = ("--expected-failures", str(HERE / "conformance-baseline.yml"))
        code, printed = await conformance(
            *words, *(baseline if revision == HANDSHAKE else ()), folder=tmp_path
        )
    assert code == 0, printed[-3000:]
    assert "tools-call-simple-text: 2 passed" in printed


@pytest.mark.parametrize("era", ERAS)
async def test_the_inspector_finds_nothing_over_http(world: World, tmp_path: Path, era: str) -> None:
    async with as_served(world.app) as url:
        where = (f"{url}/mcp", "--transport", "http", "--header", f"Authorization: Bearer {TOKEN}")
        await inspect(where, era, tmp_path)


@pytest.mark.parametrize("era", ERAS)
async def test_the_inspector_finds_nothing_over_stdio(world: World, tmp_path: Path, era: str) -> None:
    await inspect(on_stdio(world, tmp_path), era, tmp_path, lists=LISTS[:1])


@pytest.mark.proof  # every question starts a server
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_inspector_finds_nothing_in_any_list_over_stdio(
    world: World, tmp_path: Path, era: str
) -> None:
    await inspect(on_stdio(world, tmp_path), era, tmp_path)


def on_stdio(world: World, folder: Path) -> tuple[str, ...]:
    """Return the words with which the Inspector starts a server."""
    home = folder / "stdio"
    home.mkdir()
    variables = [f"{name}={value}" for name, value in environment(world, home).items()]
    flags = [word for variable in variables for word in ("-e", variable)]
    return (*flags, *command("mcp"))


async def inspect(where: tuple[str, ...], era: str, folder: Path, lists: Sequence[str] = LISTS) -> None:
    of_era = ("--protocol-era", era, "--connect-timeout", "60000")
    for method in lists:
        strict = ("--strict",) if method == "tools/list" else ()
        code, printed = await inspector(*where, *of_era, *strict, "--method", method, folder=folder)
        assert code == 0, printed[-1500:]
    call = (*where, *of_era, "--method", "tools/call", "--tool-name")
    code, printed = await inspector(*call, "list_connections", folder=folder)
    assert code == 0, printed[-1500:]
    members = 'members=[{"email": "person-001@example.com"}]'
    code, printed = await inspector(*call, "launch_cohort_interviews", "--tool-arg", members, folder=folder)
    assert code == 5, printed[-1500:]  # the tool said that it refused
    assert "consent_required" in printed
