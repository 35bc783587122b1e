"""Read an operation's input from an HTTP request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from connector.errors import Forbidden, InvalidInput
from connector.http.body import MAX_BODY_BYTES, UnsupportedContentType, parse_body, parse_pairs, too_large
from connector.service.execution.operation import AnyOperation, Effect, Input
from connector.service.input import validate

M = TypeVar("M", bound=BaseModel)
_LARGE = 65_536


async def read_model(request: Request, model: type[M]) -> M:
    """Return the input in body and query string. Raises as `read_input`."""
    return await _read(request, partial(validate.read_input, model))


async def read_input(request: Request, op: AnyOperation) -> Input:
    """Return the input in body, query string and Idempotency-Key header.

    A field may stand in the body or in the query string, not in both: the one that is ignored could be the
    one that keeps an operation from spending. Raises `InvalidInput`, `BodyTooLarge` and
    `UnsupportedContentType`.
    """

    def read(values: dict[str, Any]) -> Input:
        if op.effect is not Effect.READ:
            values = _with_key(values, request.headers.get("idempotency-key"))
        payload: Input = validate.read_input(op.input, values)
        return payload

    return await _read(request, read)


async def _read(request: Request, read: Callable[[dict[str, Any]], M]) -> M:
    """Return what `read` makes of a request's values; of a large body in a thread, so that webhooks go on."""
    body = await read_whole(request)
    if len(body) <= _LARGE:
        return read(_values(request, body))
    return await asyncio.to_thread(lambda: read(_values(request, body)))


def _values(request: Request, whole: bytes) -> dict[str, Any]:
    body = parse_body(request.headers.get("content-type"), whole)
    query = parse_pairs(request.query_params.multi_items())
    for name in query.keys() & body.keys():
        raise InvalidInput.of(name[:80], "stands in the body and in the URL; give it once")
    return {**query, **body}


async def read_whole(request: Request) -> bytes:
    """Return the body as it was sent. Raises `UnsupportedContentType`, and `BodyTooLarge` early."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedContentType("Content-Encoding: send the body uncompressed.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large()
    return bytes(body)


def refuse_cross_site(request: Request) -> None:
    """Raise `Forbidden` for what a page of another site sends with a password that the browser kept."""
    if request.headers.get("sec-fetch-site", "").strip().lower() == "cross-site":
        raise Forbidden("Pages of other sites may not call this; call it from a program.", code="cross_site")


def _with_key(values: Mapping[str, Any], header: str | None) -> dict[str, Any]:
    """Return the values with the Idempotency-Key header as their `idempotency_key`.

    The header may be a quoted string (IETF draft idempotency-key-header). Raises `InvalidInput` when the
    field and the header differ.
    """
    key = (header or "").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    field = values.get("idempotency_key")
    if not key:
        return dict(values)
    if field not in (None, []) and str(field).strip() not in ("", key):
        raise InvalidInput.of(
            "idempotency_key", "differs from the Idempotency-Key header; send one of them, or both alike"
        )
    return {**values, "idempotency_key": key}
