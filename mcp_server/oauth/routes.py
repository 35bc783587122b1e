"""The routes of OAuth, which any page may call but for the one that a person sees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from mcp.server.auth.json_response import PydanticJSONResponse
from starlette.middleware.cors import CORSMiddleware
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


def oauth_answers(settings: Settings, context: Callable[[], Context], gate: Gate) -> dict[str, ASGIApp]:
    """Return what answers each path of OAuth: until sign-in is set up, with how to do that."""
    paths = (
        *(metadata.RESOURCE_PATH, f"{metadata.RESOURCE_PATH}/mcp", metadata.SERVER_PATH),
        *("/oauth/register", "/oauth/token", "/oauth/revoke"),
    )
    if not metadata.is_set_up(settings):
        return dict.fromkeys((*paths, CONSENT, *_FALLBACKS), _shared(_not_set_up))
    of_resource = PydanticJSONResponse(metadata.of_resource(settings), headers=NO_STORE)
    of_server = PydanticJSONResponse(metadata.of_server(settings), headers=NO_STORE)
    register = answering(context, clients.register, "invalid_client_metadata")
    token, revoke = answering(context, partial(tokens.token, gate)), answering(context, tokens.revoke)
    programs = Router(
        [
            *(Route(path, of_resource) for path in paths[:2]),
            Route(metadata.SERVER_PATH, of_server),
            Route("/oauth/register", register, methods=["POST"]),
            Route("/oauth/token", token, methods=["POST"]),
            Route("/oauth/revoke", revoke, methods=["POST"]),
        ]
    )
    frame = Frame(settings, OPERATIONS, context, gate)
    people = Router([frame.route(CONSENT, consent.show, consent.act)])
    return {**dict.fromkeys(paths, _shared(programs)), CONSENT: people}


def _shared(app: ASGIApp) -> ASGIApp:
    return CORSMiddleware(app, ["*"], ["GET", "POST"], allow_headers=["*"])


async def _not_set_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse in OAuth's form, which clients show to a person."""
    status = 404 if scope["path"].startswith("/.well-known/") else 400
    await refusal("invalid_request", metadata.NOT_SET_UP, status)(scope, receive, send)
