"""Serve `/mcp` over Streamable HTTP, for callers with a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.app import Mount
from connector.context import Context
from connector.errors import Unauthenticated
from connector.http.auth import Gate
from connector.http.body import MAX_BODY_BYTES
from connector.security.caller import Caller
from connector.settings.key_files import encryption_keys
from connector.settings.model import Settings
from mcp_server.host import Host, Request
from mcp_server.server import create_server

PATHS: Final = ("/mcp", "/mcp/")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def mcp_mount(settings: Settings, context: Callable[[], Context], gate: Gate) -> Mount:
    """Return the MCP server of one process as `create_app` mounts it, which answers `/mcp`.

    A request is refused with `Unauthenticated` or `TooManyFailures`; its caller travels with it.
    """

    async def opened() -> Context:
        return context()

    server, calling = create_server(Host(opened, _caller), encryption_keys(settings))
    manager = streamable(server, settings.public_url)
    mcp = manager.asgi_app

    def in_front_of(app: ASGIApp) -> ASGIApp:
        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] not in PATHS:
                await app(scope, receive, send)
                return
            # white space around a value is not part of it (RFC 9110, 5.5); not every HTTP parser strips it
            headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
            request = HttpRequest(scope, receive)
            request.state.caller = replace(await gate.caller(request), surface="mcp")
            await mcp(scope, receive, send)

        return front

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        """Serve; at the end wait for calls whose client has hung up."""
        started, ending = asyncio.Event(), asyncio.Event()

        async def serve() -> None:
            async with manager.run():
                started.set()
                await ending.wait()

        # its scope must end in the task that began it, which a lifespan does not promise
        serving = asyncio.create_task(serve(), name="mcp")
        await started.wait()
        try:
            yield
            await calling.close()
        finally:
            ending.set()
            await serving

    return Mount(in_front_of, run)


def streamable(server: Server[Any], public_url: str) -> StreamableHTTPSessionManager:
    """Return a server's transport. It has no sessions, so that any process answers any request.

    It answers requests for the host of `public_url` and for loopback names only, and from a browser only
    those of pages on these hosts. No other page can reach the server through the person who looks at it.
    """
    return StreamableHTTPSessionManager(
        server,
        stateless=True,
        json_response=False,
        security_settings=security(public_url),
        max_request_body_size=MAX_BODY_BYTES,
    )


def security(public_url: str) -> TransportSecuritySettings:
    """Return the hosts and origins that are answered."""
    parts = urlsplit(public_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    names = dict.fromkeys((host, *_LOOPBACK))
    return TransportSecuritySettings(
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[
            f"{parts.scheme}://{parts.netloc}",
            *(form for name in _LOOPBACK for form in (f"http://{name}", f"http://{name}:*")),
        ],
    )


def _caller(request: Request) -> Caller:
    http_request: HttpRequest | None = request.request
    if http_request is None:
        raise Unauthenticated("This request came without its HTTP headers.")
    caller: Caller = http_request.state.caller
    return caller
