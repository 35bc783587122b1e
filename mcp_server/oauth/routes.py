"""The routes of OAuth, which any page may call but for the one that a person sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp.server.auth.json_response import PydanticJSONResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.console.entry import CONSENT
from connector.console.frame import Frame
from connector.context import Context
from connector.http.auth import Gate
from connector.http.endpoint import NO_STORE
from connector.operations import OPERATIONS
from connector.settings.model import Settings
from mcp_server.oauth import clients, consent, metadata, tokens
from mcp_server.oauth.answers import answering, refusal

_FALLBACKS: Final = ("/register", "/authorize", "/token")
"""Where clients look that found no metadata (MCP 2025-03-26)."""


def oauth_paths(settings: Settings) -> frozenset[str]:
    """Return the paths that are answered here."""
    ours = {f"{metadata.RESOURCE_PATH}/mcp", metadata.RESOURCE_PATH, metadata.SERVER_PATH, CONSENT}
    fallbacks = () if metadata.is_set_up(settings) else _FALLBACKS
    return frozenset({*ours, "/oauth/register", "/oauth/token", "/oauth/revoke", *fallbacks})


def oauth_app(settings: Settings, context: Callable[[], Context], gate: Gate) -> ASGIApp:
    """Return what answers `oauth_paths`: until sign-in is set up, with how to do that."""
    if not metadata.is_set_up(settings):
        return _shared(_not_set_up)
    of_resource = PydanticJSONResponse(metadata.of_resource(settings), headers=NO_STORE)
    of_server = PydanticJSONResponse(metadata.of_server(settings), headers=NO_STORE)

    async def register(fields: Mapping[str, Any]) -> Response:
        return await clients.register(context(), fields)

    async def token(form: Mapping[str, Any]) -> Response:
        return await tokens.token(context(), gate, form)

    async def revoke(form: Mapping[str, Any]) -> Response:
        return await tokens.revoke(context(), form)

    programs = Router(
        [
            Route(metadata.RESOURCE_PATH, of_resource),
            Route(f"{metadata.RESOURCE_PATH}/mcp", of_resource),
            Route(metadata.SERVER_PATH, of_server),
            Route("/oauth/register", answering(register, "invalid_client_metadata"), methods=["POST"]),
            Route("/oauth/token", answering(token), methods=["POST"]),
            Route("/oauth/revoke", answering(revoke), methods=["POST"]),
        ]
    )
    frame = Frame(settings, OPERATIONS, context, gate)
    people = Router([frame.route(CONSENT, consent.show, consent.act)])
    shared = _shared(programs)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (people if scope["path"] == CONSENT else shared)(scope, receive, send)

    return app


def _shared(app: ASGIApp) -> ASGIApp:
    return CORSMiddleware(app, ["*"], ["GET", "POST"], allow_headers=["*"])


async def _not_set_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse in OAuth's form, which clients show to a person."""
    status = 404 if scope["path"].startswith("/.well-known/") else 400
    await refusal("invalid_request", metadata.NOT_SET_UP, status)(scope, receive, send)
