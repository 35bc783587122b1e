"""`POST /integrations/census`: Census's calls over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import JSONResponse, Response

from connector.context import Context
from connector.errors import InvalidInput, StoreUnavailable
from connector.http.endpoint import NO_STORE, Call, endpoint
from connector.http.request import read_whole
from connector.integrations.census.methods import Methods
from connector.integrations.census.rpc import Call as RpcCall
from connector.integrations.census.rpc import RpcError, error_of, from_ours, read_call, result_of
from connector.security.caller import Caller

SURFACE = "census"
REQUESTS_PER_SECOND = 10  # Census reads X-RateLimit-Limit as a cap on all syncs of a connection


@endpoint(
    "POST",
    "/integrations/census",
    asks={"type": "object", "required": ["jsonrpc", "method", "id"]},
    answers={"type": "object", "required": ["jsonrpc", "id"], "description": "With result or error."},
    token_parameter="census_authentication",  # noqa: S106 - the name of a parameter, not a secret
    refused=("401", "413", "415", "429", "503"),
)
async def census(call: Call) -> Response:
    """Census's custom destination: one JSON-RPC 2.0 call."""
    ctx, request = call.ctx, call.request
    if ctx.stopping.is_set():
        raise StoreUnavailable("The server is stopping; send the request again.", code="stopping")
    body = await read_whole(request)
    caller = replace(call.ctx.caller, surface=SURFACE)
    return JSONResponse(
        await _answer(ctx, caller, request.query_params.getlist("connection"), body),
        headers={**NO_STORE, "X-RateLimit-Limit": str(REQUESTS_PER_SECOND)},
    )


async def _answer(ctx: Context, caller: Caller, in_address: list[str], body: bytes) -> dict[str, Any]:
    try:
        call = read_call(body)
        connection = _connection(call, in_address)
        return result_of(call.id, await Methods(ctx, caller, connection).answer(call))
    except RpcError as error:
        return error_of(error)


def _connection(call: RpcCall, in_address: list[str]) -> str | None:
    """Return the connection that the address or the call names. Raises `RpcError` when they differ."""
    params: Mapping[str, Any] = call.params
    names = {one for one in (*in_address, params.get("connection")) if one not in (None, "")}
    if len(names) > 1 or not all(isinstance(one, str) for one in names):
        error = InvalidInput.of("connection", "must be one name; give it once")
        raise from_ours(error, call.id)
    return next(iter(names), None)
