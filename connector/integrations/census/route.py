"""`POST /integrations/census`: Census's calls over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.context import Context
from connector.errors import InvalidInput, StoreUnavailable
from connector.http.auth import Gate
from connector.http.body import MAX_BODY_BYTES, UnsupportedContentType
from connector.http.request import read_body
from connector.integrations.census.methods import Methods
from connector.integrations.census.rpc import (
    Call,
    RpcError,
    error_of,
    from_ours,
    read_call,
    result_of,
)
from connector.security.caller import Caller

SECRET_PARAMETER = "census_authentication"  # noqa: S105 - the name of a parameter, not a secret
SURFACE = "census"
REQUESTS_PER_SECOND = 10  # Census reads X-RateLimit-Limit as a cap on all syncs of a connection


def census_route(context: Callable[[], Context], gate: Gate) -> Route:
    """Return the route. Whoever has no token gets a problem, everybody else JSON-RPC and 200."""

    async def census(request: Request) -> Response:
        presented = request.query_params.getlist(SECRET_PARAMETER)
        caller = replace(await gate.caller(request, also=presented), surface=SURFACE)
        ctx = context()
        if ctx.stopping.is_set():
            raise StoreUnavailable("The server is stopping; send the request again.", code="stopping")
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise UnsupportedContentType("Content-Encoding: send the body uncompressed.")
        body = await read_body(request, MAX_BODY_BYTES)
        return JSONResponse(
            await _answer(ctx, caller, request.query_params.getlist("connection"), body),
            headers={"Cache-Control": "no-store", "X-RateLimit-Limit": str(REQUESTS_PER_SECOND)},
        )

    return Route("/integrations/census", census, methods=["POST"], name="census")


async def _answer(ctx: Context, caller: Caller, in_address: list[str], body: bytes) -> dict[str, Any]:
    try:
        call = read_call(body)
        connection = _connection(call, in_address)
        return result_of(call.id, await Methods(ctx, caller, connection).answer(call))
    except RpcError as error:
        return error_of(error)


def _connection(call: Call, in_address: list[str]) -> str | None:
    """Return the connection that the address or the call names. Raises `RpcError` when they differ."""
    told: Mapping[str, Any] = call.params
    names = {one for one in (*in_address, told.get("connection")) if one not in (None, "")}
    if len(names) > 1 or not all(isinstance(one, str) for one in names):
        error = InvalidInput.of("connection", "must be one name; give it once")
        raise from_ours(error, call.id)
    return next(iter(names), None)
