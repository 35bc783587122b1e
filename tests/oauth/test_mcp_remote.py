"""mcp-remote, on the TypeScript SDK, signs in by itself for clients that know only stdio."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.visitor import Visitor
from tests.oauth.asking import CHOSEN
from tests.support.cli_runs import free_port
from tests.support.harness import World
from tests.support.node_packages import installed

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

MCP_REMOTE = "0.15.1"


async def started(tmp_path: Path, url: str) -> asyncio.subprocess.Process:
    home = installed(f"mcp-remote-{MCP_REMOTE}", {"mcp-remote": MCP_REMOTE})
    script = home / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
    return await asyncio.create_subprocess_exec(
        "node",
        str(script),
        f"{url}/mcp",
        str(free_port()),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_it_signs_in_and_lists_tools(world: World, person: Visitor, tmp_path: Path) -> None:
    base = world.settings.public_url
    process = await started(tmp_path, base)
    assert process.stdin is not None
    assert process.stdout is not None
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    said: list[str] = []
    answers: dict[int, Any] = {}

    def send(**message: Any) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    try:
        async with asyncio.timeout(50):
            send(id=1, method="initialize", params=about)
            while 2 not in answers:
                line = (await process.stdout.readline()).decode().strip()
                said.append(line)
                assert line or not process.stdout.at_eof(), "\n".join(said)
                if line.startswith(f"{base}/oauth/authorize?"):
                    await person.get(line)
                    sent = await person.post(line, 303, **CHOSEN)
                    async with httpx.AsyncClient() as browser:
                        await browser.get(sent.headers["location"])
                elif line.startswith("{"):
                    message = json.loads(line)
                    answers[message["id"]] = message
                    if message["id"] == 1:
                        send(method="notifications/initialized")
                        send(id=2, method="tools/list")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert "list_cohorts" in {tool["name"] for tool in answers[2]["result"]["tools"]}, "\n".join(said)


async def test_it_shows_the_sentence_that_says_what_to_set_up(world: World, tmp_path: Path) -> None:
    base = world.settings.public_url
    await world.restart(PUBLIC_URL="http://connector.example.com")
    process = await started(tmp_path, base)
    try:
        async with asyncio.timeout(50):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert "PUBLIC_URL must be an https address" in printed.decode()
