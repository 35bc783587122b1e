"""Who am I, are you there, can you work: the addresses that tools test a connection with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.context import Context
from connector.errors import StoreUnavailable
from connector.http.auth import Gate
from connector.security.caller import SCOPES

PING_SECONDS = 5


def probe_routes(context: Callable[[], Context], gate: Gate, version: str) -> list[Route]:
    """Return `GET /me` (needs a token), `GET /healthz` and `GET /readyz`."""

    async def me(request: Request) -> Response:
        caller = await gate.caller(request)
        settings = context().settings
        return JSONResponse(
            {
                "account_name": f"koji-amplitude at {urlsplit(settings.public_url).netloc}",
                "connections": caller.visible(settings.connections),
                "scopes": [scope for scope in SCOPES if scope in caller.scopes],
                "version": version,
            },
            headers={"Cache-Control": "no-store"},
        )

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        ctx = context()
        if ctx.stopping.is_set():
            raise StoreUnavailable("The server is stopping.", code="stopping")
        try:
            async with asyncio.timeout(PING_SECONDS):
                await ctx.ledger.ping()
        except TimeoutError:
            raise StoreUnavailable(f"The store did not answer within {PING_SECONDS} seconds.") from None
        return JSONResponse({"status": "ready"})

    return [Route("/me", me), Route("/healthz", healthz), Route("/readyz", readyz)]
