"""The envelope of JSON-RPC 2.0: bytes to a call, and a result or an error to one object.

Source: jsonrpc.org/specification; Census sends single calls only, each with an id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import ConnectorError, InvalidInput
from connector.text.json import parse_json
from connector.text.redaction import cut

MALFORMED = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
NOT_DONE = -32000
LONGEST_MESSAGE = 250
_LONGEST_ID = 1_024

# A whole text, or a comma that only closing brackets follow. Possessive, so that no body takes long.
_TEXT_OR_LAST_COMMA = re.compile(rb'"(?:[^"\\]|\\.)*+"?|,(?=[ \t\r\n]*+[}\]])', re.DOTALL)

CallId = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a method by name, its parameters, and the id that the answer repeats."""

    id: CallId
    method: str
    params: Mapping[str, Any]


class RpcError(Exception):
    """A call that gets an error for an answer."""

    def __init__(self, code: int, message: str, call_id: CallId = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.call_id = call_id
        self.reason = reason


def read_call(body: bytes) -> Call:
    """Return the call in a body. Raises `RpcError`, with the call's id where it could be read.

    Trailing commas are taken as in the examples of Census's documentation, which have them.
    """
    value = _value(body)
    if isinstance(value, list):
        raise RpcError(INVALID_REQUEST, "Send one call at a time; arrays of calls are not taken.")
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, "The body must be an object with jsonrpc, method, params and id.")
    call_id = value.get("id")
    if not _is_id(call_id):
        raise RpcError(INVALID_REQUEST, "id: must be a text or a number.")
    if "id" not in value:
        raise RpcError(INVALID_REQUEST, "id: is missing; whatever is called here has an answer.")
    if value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'jsonrpc: must be "2.0".', call_id)
    method = value.get("method")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "method: must be the name of a method.", call_id)
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params: must be an object.", call_id)
    return Call(call_id, method, params)


def result_of(call_id: CallId, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a call that was done."""
    return {"jsonrpc": "2.0", "id": call_id, "result": dict(result)}


def error_of(error: RpcError) -> dict[str, Any]:
    """Return the answer to a call that was not done; `data.code` is ours, for programs."""
    described: dict[str, Any] = {"code": error.code, "message": cut(error.message, LONGEST_MESSAGE)}
    if error.reason is not None:
        described["data"] = {"code": error.reason}
    return {"jsonrpc": "2.0", "id": error.call_id, "error": described}


def from_ours(error: ConnectorError, call_id: CallId = None) -> RpcError:
    """Return an error of ours as one of the protocol."""
    code = INVALID_PARAMS if isinstance(error, InvalidInput) else NOT_DONE
    return RpcError(code, error.message, call_id, error.reason)


def _value(body: bytes) -> Any:
    try:
        return parse_json(body)
    except InvalidInput as first:
        if first.reason != "malformed_json":
            raise RpcError(INVALID_REQUEST, first.message) from None
        try:
            return parse_json(_TEXT_OR_LAST_COMMA.sub(_without_comma, body))
        except InvalidInput:
            raise RpcError(MALFORMED, first.message) from None


def _without_comma(found: re.Match[bytes]) -> bytes:
    return b"" if found[0] == b"," else found[0]


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
