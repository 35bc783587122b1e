"""Open `/mcp` to the holder of an access token, and say what is missing."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.context import Context
from connector.domain.access import Grant
from connector.errors import LedgerUnavailable, Unauthenticated
from connector.http.auth import Gate, token_digest
from connector.http.endpoint import NO_STORE
from connector.http.token_throttle import trust
from connector.operations import OPERATIONS
from connector.security.caller import SCOPES, Caller
from connector.service.grants import PREFIXES
from connector.settings.model import Settings
from mcp_server.oauth.metadata import RESOURCE_PATH, is_set_up, issuer
from mcp_server.research import TOOLS

_USE_STORED_EVERY: Final = 3_600_000  # ms
_MISSING_SCOPE: Final = -32_003
_SCOPE_OF: Final = {**{op.name: op.effect.value for op in OPERATIONS}, **dict.fromkeys(TOOLS, "read")}


async def holder(ctx: Context, gate: Gate, grant: Grant) -> Caller | None:
    """Return who acts with a grant: the person's token, at most. Once that has ended, end the grant."""
    person = await gate.holder(bytes.fromhex(grant.token_sha256))
    if person is None:
        await ctx.ledger.grants.end(id=grant.id)
        return None
    connections = frozenset(name for name in grant.connections if person.may_use(name))
    more = "Sign in again and allow it."
    return Caller(grant.name, "mcp", person.scopes & set(grant.scopes), connections, more=more)


async def caller(ctx: Context, gate: Gate, request: Request) -> Caller | None:
    """Return the caller of a request's access token; None without one. Raises `Unauthenticated`."""
    scheme, _, text = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip().startswith(PREFIXES["access"]):
        return None
    now = ctx.clock.now()
    found = await ctx.ledger.grants.find(token_digest(text.strip()).hex(), "access", now)
    known = None if found is None else await holder(ctx, gate, found[0])
    if found is None or known is None:
        await gate.failed(request)
        raise Unauthenticated("The access token has expired or was revoked; refresh it, or sign in again.")
    if found[0].used_at is None or not 0 <= now - found[0].used_at < _USE_STORED_EVERY:
        with suppress(LedgerUnavailable):  # what it opens may only read
            await ctx.ledger.grants.used(found[0].id, now)
    trust(request.scope, known.name)
    return known


def challenge(settings: Settings, **more: str) -> str:
    """Return the `WWW-Authenticate` that leads a client to where people sign in."""
    if not is_set_up(settings):
        return "Bearer"
    told = {**more, "resource_metadata": f"{issuer(settings)}{RESOURCE_PATH}/mcp"}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items())


async def missing_scope(settings: Settings, body: bytes, known: Caller) -> Response | None:
    """Return the refusal of a call that a grant has no scope for.

    The status and header let a client ask the person for more.
    """
    if known.scopes >= set(SCOPES):
        return None
    needed, request_id, name = await asyncio.to_thread(_needed, body)
    if needed is None or needed in known.scopes:
        return None
    message = f"{name} needs the scope {needed}, which the person did not allow. Sign in again and allow it."
    error = {"code": _MISSING_SCOPE, "message": message, "data": {"scope": needed}}
    scope = " ".join(one for one in SCOPES if one in {*known.scopes, needed})
    told = challenge(settings, error="insufficient_scope", scope=scope, error_description=message)
    answer = {"jsonrpc": "2.0", "id": request_id, "error": error}
    return JSONResponse(answer, 403, {**NO_STORE, "WWW-Authenticate": told})


def _needed(body: bytes) -> tuple[str | None, Any, str]:
    """Return the scope, the id and the tool of a call; without a scope what is no call of a known tool."""
    with suppress(ValueError, RecursionError, KeyError, TypeError):  # the server itself says what is wrong
        message = json.loads(body)
        if message["method"] == "tools/call":
            return _SCOPE_OF.get(message["params"]["name"]), message["id"], message["params"]["name"]
    return None, None, ""
