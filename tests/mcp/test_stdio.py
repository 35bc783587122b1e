"""The process that an assistant starts: its own workers, nothing but the protocol on its output."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from tests.mcp.clients import SETTINGS, environment, people, stdio_server, text_of, values_of
from tests.support.harness import QUICK, World, open_world, until
from tests.support.preloaded import command
from tests.support.processes import Process

pytestmark = pytest.mark.e2e

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, options=QUICK, **SETTINGS) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stdio").mkdir()
    return tmp_path / "stdio"


@asynccontextmanager
async def raw(world: World, folder: Path, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command("mcp"),
        cwd=folder,
        env={**environment(world, folder), **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def send(process: asyncio.subprocess.Process, *messages: dict[str, Any]) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write(json.dumps(message).encode() + b"\n")
    await process.stdin.drain()


async def answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        found: dict[str, Any] = json.loads(await process.stdout.readline())
    return found


def a_call(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_nothing_but_the_protocol_reaches_the_output(world: World, folder: Path, level: str) -> None:
    async with raw(world, folder, CONNECTOR_LOG_LEVEL=level) as process:
        await send(process, HELLO)
        assert (await answer(process))["result"]["serverInfo"]["name"] == "koji-amplitude"
        await send(process, READY, a_call(2, "plan_cohort_launch", members=people(1)), a_call(3, "nope"))
        found = {one["id"]: one for one in (await answer(process), await answer(process))}
        assert found[2]["result"]["structuredContent"]["to_invite"] == 1
        assert found[3]["result"]["isError"]
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(60):
            rest, log = await process.communicate()
        assert process.returncode == 0, log
        assert rest == b""
        assert b"sandbox-koji-key" not in log
        assert b"person-001" not in log


async def test_a_store_that_cannot_be_opened_is_an_answer(world: World, folder: Path) -> None:
    (folder / "file").write_text("no folder")
    key = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDE="
    bad = {"DATABASE_URL": f"sqlite:///{folder}/file/ledger.db", "CONNECTOR_ENCRYPTION_KEY": key}
    async with raw(world, folder, **bad) as process:
        await send(process, HELLO)
        assert (await answer(process))["result"]
        await send(process, READY, a_call(2, "list_connections"))
        refusal = (await answer(process))["result"]
    assert refusal["isError"]
    assert "DATABASE_URL" in refusal["structuredContent"]["message"], refusal


async def test_bad_settings_end_it_before_it_speaks(world: World, folder: Path) -> None:
    async with raw(world, folder, KOJI_RATE_LIMIT_PER_MINUTE="many") as process:
        async with asyncio.timeout(60):
            out, log = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert b"KOJI_RATE_LIMIT_PER_MINUTE" in log


async def test_a_signal_ends_it_in_good_order(world: World, folder: Path) -> None:
    async with raw(world, folder) as process:
        await send(process, HELLO)
        await answer(process)
        await send(process, READY, a_call(2, "list_connections"))
        await answer(process)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            await process.wait()
    assert process.returncode == 0
    assert time.monotonic() - begun < 5


async def test_one_install_does_the_whole_job(world: World, folder: Path) -> None:
    """No server runs: the process starts the interviews and brings the results to Amplitude itself."""
    await world.interview("said-1", 7)
    async with Client(stdio_server(world, folder)) as client:
        synced = values_of(
            await client.call_tool(
                "sync_interview_to_amplitude", {"interview_id": "said-1", "wait_seconds": 20}
            )
        )
    assert synced["status"] == "synced"
    assert world.completed() == ["said-1"]


async def test_a_launch_is_there_in_the_next_session(world: World, folder: Path) -> None:
    async with Client(stdio_server(world, folder)) as client:
        planned = values_of(await client.call_tool("plan_cohort_launch", {"members": people(1, 2)}))
    async with Client(stdio_server(world, folder), mode="legacy") as client:
        asked = {"plan_token": planned["plan_token"], "wait_seconds": 20}
        launched = values_of(await client.call_tool("launch_cohort_interviews", asked))
    assert launched["invited"] == 2


async def test_beside_a_server_each_interview_is_written_once(world: World, folder: Path) -> None:
    server = Process(folder, world.sandbox_url, lease_ms=3_000, more=SETTINGS)
    async with httpx.AsyncClient(timeout=20, verify=False) as http:
        await server.ready(http)
        for n in range(20):
            await world.interview(f"said-{n:02}", n)
        async with Client(stdio_server(world, folder)) as client:
            ids = [f"said-{n:02}" for n in range(20)]
            run = values_of(
                await client.call_tool("backfill_interviews", {"interview_ids": ids, "wait_seconds": 25})
            )

            async def done() -> bool:
                answer = await client.call_tool("get_run", {"run_id": run["run_id"]})
                return "finished" in text_of(answer)

            await until(done)
    server.terminate()
    assert sorted(world.completed()) == ids
