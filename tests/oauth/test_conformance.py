"""The conformance suite of MCP for authorization servers, with a person who says yes."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.console.visitor import Visitor
from tests.oauth.asking import CHOSEN, Asking
from tests.support.cli_runs import free_port
from tests.support.harness import World
from tests.support.mcp_node import conformance

pytestmark = [pytest.mark.e2e, pytest.mark.interop, pytest.mark.slow]


async def test_the_server_passes_what_authorization_needs(
    world: World, asking: Asking, person: Visitor, tmp_path: Path
) -> None:
    port = str(free_port())
    registered = await asking.register(redirect_uris=["http://127.0.0.1/callback"])
    base = world.settings.public_url

    async def hear(line: str) -> None:
        if line.startswith(f"{base}/oauth/authorize?"):
            await person.get(line)
            sent = await person.post(line, 303, **CHOSEN)
            async with httpx.AsyncClient() as browser:
                await browser.get(sent.headers["location"])

    client = ("--client-id", registered.json()["client_id"], "--port", port)
    words = ("authorization", "--url", base, *client, "--resource", f"{base}/mcp")
    code, printed = await conformance(*words, folder=tmp_path, hear=hear)
    assert code == 0, printed
    for scenario in ("authorization-server-metadata-endpoint", "authorization-code-grant"):
        assert scenario in printed
    assert "skipped" not in printed.lower(), printed
    assert "warning" not in printed.lower(), printed
