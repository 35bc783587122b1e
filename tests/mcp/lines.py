"""The server as a host starts it, spoken to line by line, for what the official client would not do."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.mcp.clients import environment
from tests.support.harness import World
from tests.support.preloaded import command

HANDSHAKE = "2025-11-25"


class Lines:
    """One client of the handshake era over standard input and output."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last = 0

    async def send(self, method: str, **params: Any) -> None:
        await self._write({"method": method, "params": params})

    async def request(self, method: str, **params: Any) -> int:
        """Send a request and return its id, without waiting for the answer."""
        self._last += 1
        await self._write({"id": self._last, "method": method, "params": params})
        return self._last

    async def answer(self, request_id: int | str, result: Mapping[str, Any]) -> None:
        """Answer a request of the server's."""
        await self._write({"id": request_id, "result": dict(result)})

    async def read(self) -> dict[str, Any]:
        """Return the server's next message."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        assert line, "the server ended"
        message: dict[str, Any] = json.loads(line)
        return message

    async def answered(self, request_id: int) -> dict[str, Any]:
        """Return the answer of a request; what comes before it is passed over."""
        while True:
            message = await self.read()
            if message.get("id") == request_id and "method" not in message:
                return message

    async def asked(self) -> dict[str, Any]:
        """Return the next question to the person."""
        while True:
            message = await self.read()
            if message.get("method") == "elicitation/create":
                return message

    async def shake_hands(self, capabilities: Mapping[str, Any]) -> None:
        hello = await self.request(
            "initialize",
            protocolVersion=HANDSHAKE,
            capabilities=dict(capabilities),
            clientInfo={"name": "lines", "version": "1"},
        )
        await self.answered(hello)
        await self.send("notifications/initialized")

    async def tool(self, name: str, arguments: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Call a tool and return the JSON-RPC answer."""
        return await self.answered(await self.begin(name, arguments, **more))

    async def begin(self, name: str, arguments: Mapping[str, Any], **more: Any) -> int:
        """Call a tool and return the request's id."""
        return await self.request("tools/call", name=name, arguments=dict(arguments), **more)

    async def hang_up(self) -> int:
        """Close standard input, as a host does that quits; return the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await asyncio.wait_for(self._process.wait(), 15)

    async def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def lines(
    world: World, folder: Path, capabilities: Mapping[str, Any], **settings: str
) -> AsyncIterator[Lines]:
    """Yield a client that has shaken hands with a server on a ledger in `folder`."""
    process = await asyncio.create_subprocess_exec(
        *command("mcp"),
        env={**environment(world, folder), **settings},
        cwd=folder,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        client = Lines(process)
        await client.shake_hands(capabilities)
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
