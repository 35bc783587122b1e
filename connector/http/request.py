"""Read an operation's input from an HTTP request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple
from urllib.parse import urlsplit

from pydantic import BaseModel
from starlette.requests import Request

from connector.apart import apart
from connector.context import Context
from connector.errors import Forbidden, InvalidInput
from connector.http.body import MAX_BODY_BYTES, UnsupportedContentType, parse_body, parse_pairs, too_large
from connector.service.execution.operation import AnyOperation, Effect, Input
from connector.service.input import validate
from connector.settings.model import Connection, Settings

M = TypeVar("M", bound=BaseModel)
Ts = TypeVarTuple("Ts")
_Pairs = Sequence[tuple[str, str]]
_MAX_READ_BYTES = 1024 * 1024  # reading needs no long lists


async def read_model(request: Request, model: type[M], caller: str) -> M:
    """Return the input in body and query string. Raises as `read_input`."""
    return await _read(request, _MAX_READ_BYTES, caller, _model, model)


async def read_input(request: Request, op: AnyOperation, ctx: Context) -> Input:
    """Return the input in body, query string and Idempotency-Key header, condensed.

    A field may stand in the body or in the query string, not in both: the one that is ignored could be the
    one that keeps an operation from spending. Raises `InvalidInput`, `BodyTooLarge` and
    `UnsupportedContentType`.
    """
    reads = op.effect is Effect.READ
    key = None if reads else request.headers.get("idempotency-key")
    most, connections = _MAX_READ_BYTES if reads else MAX_BODY_BYTES, ctx.settings.connections
    return await _read(request, most, ctx.caller.name, _input, op.input, key, connections)


async def _read(
    request: Request,
    most: int,
    caller: str,
    read: Callable[[str | None, _Pairs, bytes, *Ts], M],
    *more: *Ts,
) -> M:
    whole = await read_whole(request, most)
    query = request.query_params.multi_items()
    return await apart(caller, len(whole), read, request.headers.get("content-type"), query, whole, *more)


def _model(content_type: str | None, query: _Pairs, whole: bytes, model: type[M]) -> M:
    return validate.read_input(model, _values(content_type, query, whole))


def _input(
    content_type: str | None,
    query: _Pairs,
    whole: bytes,
    model: type[Input],
    key: str | None,
    connections: Mapping[str, Connection],
) -> Input:
    values = _with_key(_values(content_type, query, whole), key)
    return validate.read_input(model, values).condensed(connections)


def _values(content_type: str | None, query: _Pairs, whole: bytes) -> dict[str, Any]:
    body, in_url = parse_body(content_type, whole), parse_pairs(query)
    for name in in_url.keys() & body.keys():
        raise InvalidInput.of(name[:80], "stands in the body and in the URL; give it once")
    return {**in_url, **body}


async def read_whole(request: Request, most: int) -> bytes:
    """Return the body as it was sent. Raises `UnsupportedContentType`, and `BodyTooLarge` early."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedContentType("Content-Encoding: send the body uncompressed.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large(most)
    return bytes(body)


def refuse_cross_site(request: Request, settings: Settings) -> None:
    """Raise `Forbidden` for what a page of another origin sends with a password that the browser kept.

    Programs send neither header; older browsers, and pages without TLS, only Origin.
    """
    site = request.headers.get("sec-fetch-site", "").strip().lower()
    origin = request.headers.get("origin")
    own = urlsplit(settings.public_url)
    origins = (None, f"{own.scheme}://{own.netloc}", *settings.connector_allowed_origins)
    if site not in ("same-origin", "none") if site else origin not in origins:
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
