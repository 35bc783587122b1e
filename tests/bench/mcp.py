"""Tool calls over HTTP beside the SDK's own server, what 5,000 of them leave in memory, and a stdio client's wait."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import Tool

from connector.operations import OPERATIONS
from mcp_server.tools.catalogue import tool
from tests.bench.children import child, connector, free_port, settings
from tests.bench.load import run

ROUNDS = 5
CALLS = 1_000
CONNECTIONS = 8
TOKEN = "bench-token"


def measure(root: Path) -> None:
    """Print calls a second as a share of the ceiling, memory, the wait of stdio, and the size of tools/list."""
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    directory = root / "mcp"
    directory.mkdir()
    bare, ours = free_port(), free_port()
    environ = settings(ours, f"sqlite:///{directory}/ledger.db")
    with (
        child(["-m", "tests.bench.bare_mcp", str(bare)], {}, directory, f"http://127.0.0.1:{bare}/healthz"),
        connector(ours, environ, directory) as pid,
    ):
        for _ in range(ROUNDS):
            rates["bare"].append(_rate(bare, "trivial", CALLS))
            rates["ours"].append(_rate(ours, "list_connections", CALLS))
        before = memory(pid)
        for _ in range(5_000 // CALLS):
            _rate(ours, "list_connections", CALLS)
        after = memory(pid)
    ceiling, reached = (statistics.median(rates[name]) for name in ("bare", "ours"))
    print(
        f"  tool calls over HTTP, {CONNECTIONS} connections: list_connections {reached:.0f}/s, the SDK's "
        f"server with a trivial tool {ceiling:.0f}/s: ratio {reached / ceiling:.2f}; memory {before:.1f} MB, "
        f"5,000 calls later {after:.1f} MB"
    )
    waits = [asyncio.run(_stdio(directory)) for _ in range(ROUNDS)]
    print(f"  stdio: connected after {statistics.median(waits):.2f} s")
    listed = sum(map(size, map(tool, OPERATIONS)))
    print(f"  tools/list: {listed} characters, about {listed // 4} tokens")


def size(one: Tool) -> int:
    """Return the characters of a tool as compact JSON."""
    told = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(told, separators=(",", ":"), ensure_ascii=False))


def memory(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _rate(port: int, name: str, calls: int) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(run("127.0.0.1", port, CONNECTIONS, 60, [_request(port, name)] * calls))
    assert not measured["errors"], measured
    return float(measured["per_second"])


def _request(port: int, name: str) -> bytes:
    version = "2026-07-28"
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": name, "arguments": {}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: {version}\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _stdio(directory: Path) -> float:
    environ = {
        **settings(0, f"sqlite:///{directory}/stdio.db"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server"], env=environ, cwd=directory
    )
    started = time.perf_counter()
    async with Client(command):
        return time.perf_counter() - started
