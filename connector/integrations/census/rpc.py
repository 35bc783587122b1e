"""Read a call of JSON-RPC 2.0, and write an error.

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

# A whole text, or a comma after nothing, or one that a closing bracket follows. Possessive, so that no body
# takes long.
_TEXT_OR_COMMA = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{\[,][ \t\r\n]*+,|,(?=[ \t\r\n]*+[}\]])', re.DOTALL)

CallId = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the name of a method, its parameters, and the id that the answer repeats."""

    id: CallId
    method: str
    params: Mapping[str, Any]


class RpcError(Exception):
    """A call is answered with an error; `reason` is our own code, for programs."""

    def __init__(self, code: int, message: str, call_id: CallId = None, reason: str | None = None) -> None:
        super().__init__(message)
        self._error: dict[str, Any] = {"code": code, "message": cut(message, LONGEST_MESSAGE)}
        if reason is not None:
            self._error["data"] = {"code": reason}
        self._call_id = call_id

    @classmethod
    def of(cls, error: ConnectorError, call_id: CallId) -> RpcError:
        """Return an error of ours as an error of the protocol."""
        code = INVALID_PARAMS if isinstance(error, InvalidInput) else NOT_DONE
        return cls(code, error.message, call_id, error.reason)

    def answer(self) -> dict[str, Any]:
        """Return the answer to the call."""
        return {"jsonrpc": "2.0", "id": self._call_id, "error": self._error}


def read_call(body: bytes) -> Call:
    """Return the call in a body. Raises `RpcError`, with the call's id if the body has one.

    Trailing commas are accepted, because the examples in Census's documentation have them.
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
        raise RpcError(INVALID_REQUEST, "id: is missing; every call here has an answer.")
    if value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'jsonrpc: must be "2.0".', call_id)
    method = value.get("method")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "method: must be the name of a method.", call_id)
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params: must be an object.", call_id)
    return Call(call_id, method, params)


def _value(body: bytes) -> Any:
    try:
        return parse_json(body)
    except InvalidInput as first:
        if first.reason != "malformed_json":
            raise RpcError(INVALID_REQUEST, first.message) from None
        try:
            return parse_json(_TEXT_OR_COMMA.sub(lambda match: b"" if match[0] == b"," else match[0], body))
        except InvalidInput:
            raise RpcError(MALFORMED, first.message) from None


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
