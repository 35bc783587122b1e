"""Serve `POST /integrations/census`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from connector.errors import InvalidInput, LedgerUnavailable
from connector.http.endpoint import NO_STORE, Call, endpoint
from connector.http.request import read_whole
from connector.integrations.census.methods import Methods
from connector.integrations.census.rpc import Call as RpcCall
from connector.integrations.census.rpc import RpcError, read_call

SURFACE = "census"
REQUESTS_PER_SECOND = 10  # Census reads X-RateLimit-Limit as a cap on all syncs of a connection


_LARGEST_BODY: Final = 1_048_576  # a batch has at most 100 records
_FIELDS: Final = {"jsonrpc": {"const": "2.0"}, "method": {"type": "string"}, "id": {}}
_CALL: Final = {"type": "object", "properties": _FIELDS}


@endpoint(
    "POST",
    "/integrations/census",
    asks={**_CALL, "required": ["jsonrpc", "method", "id"]},
    answers={**_CALL, "required": ["jsonrpc", "id"], "description": "With result or error."},
    token_parameter="census_authentication",  # noqa: S106 - the name of a parameter, not a secret
    refused=("401", "413", "415", "429", "503"),
)
async def census(call: Call) -> Response:
    """Answer one JSON-RPC 2.0 call from Census."""
    if call.ctx.stopping.is_set():
        raise LedgerUnavailable("The server is stopping; send the request again.", code="stopping")
    body = await read_whole(call.request, _LARGEST_BODY)
    ctx = replace(call.ctx, caller=replace(call.ctx.caller, surface=SURFACE))
    answer: dict[str, Any]
    try:
        rpc_call = read_call(body)
        connection = _connection(rpc_call, call.request.query_params.getlist("connection"))
        result = await Methods(ctx, connection).answer(rpc_call)
        answer = {"jsonrpc": "2.0", "id": rpc_call.id, "result": result}
    except RpcError as error:
        answer = error.answer()
    return JSONResponse(answer, headers={**NO_STORE, "X-RateLimit-Limit": str(REQUESTS_PER_SECOND)})


def _connection(call: RpcCall, in_url: list[str]) -> str | None:
    """Return the connection that the URL or the call names. Raises `RpcError` if the names differ."""
    names = [name for name in (*in_url, call.params.get("connection")) if name not in (None, "")]
    if not all(isinstance(name, str) for name in names) or len(set(names)) > 1:
        raise RpcError.of(InvalidInput.of("connection", "must be one name, as a string"), call.id)
    return next(iter(names), None)
