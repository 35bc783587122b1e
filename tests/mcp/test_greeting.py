"""The first line over stdio: answered before the imports, and as the server would answer it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.stdio import stdio_server

from connector.security.caller import LOCAL_ASSISTANT
from mcp_server.host import Host
from mcp_server.server import create_server
from mcp_server.transports.greeting import Greeting, greeted
from tests.mcp import test_stdio
from tests.mcp.test_stdio import READY, answer, raw, send
from tests.support.harness import World

HELLO: dict[str, Any] = dict(test_stdio.HELLO)
META = "io.modelcontextprotocol/"
ENVELOPE = {
    f"{META}protocolVersion": "2026-07-28",
    f"{META}clientInfo": {"name": "test", "version": "1"},
    f"{META}clientCapabilities": {"elicitation": {}},
}
DISCOVER: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "server/discover",
    "params": {"_meta": ENVELOPE},
}
NAMELESS = {name: value for name, value in ENVELOPE.items() if name != f"{META}clientInfo"}
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01")
GREETED = [
    DISCOVER,
    {**DISCOVER, "id": "a"},
    {**DISCOVER, "params": {"_meta": NAMELESS}},
    {**DISCOVER, "params": {"_meta": {}}},
    {**DISCOVER, "params": {}},
    {name: value for name, value in DISCOVER.items() if name != "params"},
    {**DISCOVER, "params": {"_meta": {**ENVELOPE, "progressToken": 1}}},
    *({**HELLO, "params": {**HELLO["params"], "protocolVersion": version}} for version in VERSIONS),
    {
        **HELLO,
        "params": {**HELLO["params"], "capabilities": {"roots": {"listChanged": True}, "sampling": {}}},
    },
]
LOOKED_AT_CLOSER = [
    b"{",
    b"[]",
    b"[" * 100_000,
    json.dumps(
        {**DISCOVER, "params": {"_meta": {**ENVELOPE, f"{META}protocolVersion": "2027-01-01"}}}
    ).encode(),
    json.dumps({**DISCOVER, "params": {"_meta": {**ENVELOPE, f"{META}clientCapabilities": None}}}).encode(),
    json.dumps({**DISCOVER, "params": {"_meta": 5}}).encode(),
    json.dumps({**DISCOVER, "params": []}).encode(),
    json.dumps({**DISCOVER, "id": True}).encode(),
    json.dumps({**HELLO, "params": {**HELLO["params"], "clientInfo": {"name": "no version"}}}).encode(),
    json.dumps({**HELLO, "method": "tools/list"}).encode(),
    json.dumps({**HELLO, "jsonrpc": "1.0"}).encode(),
]
HEAVY = """
import os, sys, threading
from connector.cli.main import main

class Imports:
    def find_spec(self, name, path=None, target=None):
        if name in {"asyncio", "mcp", "mcp_types", "pydantic", "structlog", "connector.operations"}:
            [one.join() for one in threading.enumerate() if one.name == "greeting"]
            os._exit(7)

sys.meta_path.insert(0, Imports())
main(["mcp"])
"""


async def of_the_server(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the SDK's server answers to a first line."""

    async def context() -> Any:
        raise AssertionError

    server, _ = create_server(Host(context, lambda _: LOCAL_ASSISTANT), [b"k" * 32])
    sent, out = io.StringIO(json.dumps(request) + "\n"), io.StringIO()
    async with stdio_server(anyio.wrap_file(sent), anyio.wrap_file(out)) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def spoken(*requests: dict[str, Any]) -> tuple[Greeting, list[dict[str, Any]]]:
    """Return a greeting that has read these lines, and its answers."""
    (theirs, ours), (answers, out) = os.pipe(), os.pipe()
    os.write(ours, b"".join(json.dumps(one).encode() + b"\n" for one in requests))
    os.close(ours)
    greeting = Greeting(theirs, out)
    greeting.run()
    os.close(out)
    with os.fdopen(answers, "rb") as file:
        return greeting, [json.loads(line) for line in file]


@pytest.mark.unit
@pytest.mark.parametrize("request_", GREETED)
async def test_it_answers_what_the_server_would(request_: dict[str, Any]) -> None:
    _, answers = spoken(request_)
    assert answers == [await of_the_server(request_)]


@pytest.mark.unit
@pytest.mark.parametrize("line", LOOKED_AT_CLOSER, ids=lambda line: line[:12])
def test_what_is_unusual_is_for_the_server(line: bytes) -> None:
    assert greeted(line)[1] is None


@pytest.mark.unit
def test_a_discovery_is_over_and_a_handshake_goes_on() -> None:
    greeting, answers = spoken(DISCOVER, {**DISCOVER, "id": 5}, HELLO, READY)
    assert [one["id"] for one in answers] == [0, 5, 1]
    assert json.loads(greeting.line) == HELLO
    assert greeting.answered == HELLO["id"]
    assert json.loads(greeting.incoming.readline()) == READY
    silent, nothing = spoken()
    assert (silent.line, silent.answered, nothing) == (b"", None, [])


@pytest.mark.e2e
@pytest.mark.parametrize("request_", [DISCOVER, {**DISCOVER, "params": {}}, HELLO])
def test_the_first_answer_is_written_before_anything_heavy_is_imported(request_: dict[str, Any]) -> None:
    sent = json.dumps(request_).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-c", HEAVY],
        check=False,
        input=sent,
        capture_output=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["id"] == request_["id"]


@pytest.mark.e2e
async def test_a_client_may_shake_hands_after_a_discovery(world: World, folder: Path) -> None:
    """`@ai-sdk/mcp` gives up on a discovery after a second, and begins anew on the same pipe."""
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with raw(world, folder) as process:
        await send(process, DISCOVER)
        assert (await answer(process))["result"]["supportedVersions"] == ["2026-07-28"]
        await send(process, HELLO, READY, listing)
        assert (await answer(process))["result"]["protocolVersion"] == "2025-11-25"
        assert (await answer(process))["result"]["tools"]


@pytest.mark.e2e
async def test_a_client_that_closes_both_pipes_ends_it_in_good_order(world: World, folder: Path) -> None:
    async with raw(world, folder) as process:
        await send(process, HELLO)
        await answer(process)
        await send(process, READY, *({"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(9)))
        transport: Any = process.stdout
        transport._transport.close()
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(60):
            await process.wait()
    assert process.returncode == 0


@pytest.mark.e2e
async def test_what_was_read_is_answered_before_the_end_of_the_input_ends_it(
    world: World, folder: Path
) -> None:
    asked = [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in range(2, 9)]
    tool = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "list_launches"}}
    async with raw(world, folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        await send(process, HELLO, READY, *asked, tool)
        process.stdin.close()
        async with asyncio.timeout(60):
            answers = [json.loads(line) for line in (await process.stdout.read()).splitlines()]
        assert await process.wait() == 0
    assert sorted(one["id"] for one in answers) == [HELLO["id"], *range(2, 10)]


@pytest.mark.e2e
async def test_bad_settings_end_it_while_the_client_is_silent(world: World, folder: Path) -> None:
    async with raw(world, folder, KOJI_RATE_LIMIT_PER_MINUTE="many") as process:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            log = await process.stderr.read()
            await process.wait()
    assert process.returncode == 2, log
    assert b"KOJI_RATE_LIMIT_PER_MINUTE" in log
