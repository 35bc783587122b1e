"""Serve `/mcp` over Streamable HTTP for callers with a token, and OAuth for those who want one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp.types import INVALID_PARAMS
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.app import Mount
from connector.context import Context
from connector.errors import ConnectorError, InvalidInput, Unauthenticated
from connector.http.auth import Gate
from connector.http.body import BodyTooLarge
from connector.http.endpoint import NO_STORE
from connector.http.hosts import LOOPBACK, REFUSAL, answered_hosts
from connector.http.problem import problem
from connector.http.request import read_whole
from connector.security.caller import Caller
from connector.settings.key_files import encryption_keys
from connector.settings.model import Settings
from mcp_server.host import Host, Request
from mcp_server.oauth import bearer
from mcp_server.oauth.routes import oauth_answers
from mcp_server.server import create_server
from mcp_server.transports.narrowing import narrowed

PATHS: Final = ("/mcp", "/mcp/")
# the protocol's library parses a body where it holds up all others
LARGEST_BODY: Final = 4 * 1024 * 1024
MOST_VALUES: Final = 100_000
_IN_A_BROWSER: Final = "Add this address to your assistant, which then asks you to sign in."
_REFUSALS: Final = {
    403: "Origin: pages of this origin are not answered; add it to CONNECTOR_ALLOWED_ORIGINS.",
    421: REFUSAL,
}


def mcp_mount(settings: Settings, context: Callable[[], Context], gate: Gate) -> Mount:
    """Return the MCP server of one process as `create_app` mounts it, which answers `/mcp` and OAuth.

    A request is refused with `Unauthenticated` or `TooManyFailures`; its caller travels with it.
    """

    async def opened() -> Context:
        return context()

    server, calling = create_server(Host(opened, _caller), encryption_keys(settings))
    manager = streamable(server)
    rules = security(settings)
    guard = TransportSecurityMiddleware(rules)

    async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # white space around a value is not part of it (RFC 9110, 5.5); not every HTTP parser strips it
            headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
            request = HttpRequest(scope, receive)
            refusal, receive = await _admit(context(), gate, request)
            if blocked := await guard.validate_request(request):
                refusal = Response(_REFUSALS[blocked.status_code], blocked.status_code)
        except ConnectorError as error:  # answered here, so that a page of an allowed origin can read it
            if error.http_status == 401 and "text/html" in request.headers.get("accept", ""):
                error = Unauthenticated(_IN_A_BROWSER)
            refusal = problem(error, scope["state"]["request_id"])
            if isinstance(error, InvalidInput) and request.method == "POST":  # clients show JSON-RPC's errors
                wrong = {"code": INVALID_PARAMS, "message": error.message}
                refusal = JSONResponse(
                    {"jsonrpc": "2.0", "id": None, "error": wrong}, error.http_status, NO_STORE
                )
            if error.http_status == 401:
                refusal.headers["WWW-Authenticate"] = bearer.challenge(settings)
        await (refusal or manager.asgi_app)(scope, receive, send)

    pages = [origin for origin in rules.allowed_origins if not origin.endswith(":*")]
    headers = ["Mcp-Session-Id", "WWW-Authenticate", "X-Request-Id", "Retry-After"]
    shared = CORSMiddleware(
        mcp, pages, ["GET", "POST", "DELETE"], allow_headers=["*"], expose_headers=headers
    )

    answers: dict[str, ASGIApp] = {**oauth_answers(settings, context, gate), **dict.fromkeys(PATHS, shared)}

    def in_front_of(app: ASGIApp) -> ASGIApp:
        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            answer = answers.get(scope["path"], app) if scope["type"] == "http" else app
            await answer(scope, receive, send)

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


async def _admit(ctx: Context, gate: Gate, request: HttpRequest) -> tuple[Response | None, Receive]:
    """Let the caller of a request and its size travel with it, unless its grant lacks a scope.

    Return the refusal, and the body to be read again. Raises `ConnectorError`.
    """
    granted = await bearer.caller(ctx, gate, request)
    caller = granted or replace(await gate.caller(request), surface="mcp")
    request.state.caller = narrowed(ctx, caller, request.query_params)
    if request.method != "POST":
        return None, request.receive
    body = await read_whole(request, LARGEST_BODY)
    if sum(map(body.count, (b"{", b"[", b","))) > MOST_VALUES:
        message = f"The body holds more than {MOST_VALUES:,} values; send it in several requests."
        raise BodyTooLarge(message)
    request.state.size = len(body)
    refusal = await bearer.missing_scope(ctx.settings, body, granted) if granted else None
    return refusal, _again(body, request.receive)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out a body that was read, and then what follows."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return parts.pop() if parts else await receive()

    return next_message


def streamable(
    server: Server[Any], rules: TransportSecuritySettings | None = None
) -> StreamableHTTPSessionManager:
    """Return a server's transport. It has no sessions, so that any process answers any request.

    Without `rules` the hosts and origins of requests are looked at before.
    """
    return StreamableHTTPSessionManager(
        server,
        stateless=True,
        json_response=False,
        security_settings=rules,
        max_request_body_size=LARGEST_BODY,
    )


def security(settings: Settings) -> TransportSecuritySettings:
    """Return the hosts and origins that are answered: those of PUBLIC_URL, of loopback and of the settings.

    No other page can reach the server through the person who looks at it.
    """
    parts = urlsplit(settings.public_url)
    return TransportSecuritySettings(
        allowed_hosts=[form for name in answered_hosts(settings) for form in (name, f"{name}:*")],
        allowed_origins=[
            f"{parts.scheme}://{parts.netloc}",
            *settings.connector_allowed_origins,
            *(form for name in LOOPBACK for form in (f"http://{name}", f"http://{name}:*")),
        ],
    )


def _caller(request: Request) -> Caller:
    http_request: HttpRequest | None = request.request
    if http_request is None:
        raise Unauthenticated("This request came without its HTTP headers.")
    caller: Caller = http_request.state.caller
    return caller
