"""Receive the connector's messages to others: keep every request, and answer as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.harness import serving, until


@dataclass
class Receiver:
    """A subscriber: it keeps requests in `got` and answers with `answers`, then with 200, while `gate` is set."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        await self.gate.wait()
        return self.answers.pop(0) if self.answers else Response()

    def __post_init__(self) -> None:
        self.gate.set()

    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST", "GET"])])
    async with serving(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver


async def arrived(receiver: Receiver, n: int) -> list[dict[str, Any]]:
    async def enough() -> bool:
        return len(receiver.got) >= n

    await until(enough)
    return receiver.bodies()
