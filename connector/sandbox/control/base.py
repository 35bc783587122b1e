"""Share between the control routes: read a JSON object, refuse unknown fields, answer mistakes with 422."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from inspect import isawaitable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connector.sandbox.faults import FaultQueue, parse_fault

Handler = Callable[[Request, Any], Any]
"""From a request and its JSON body (`{}` when empty) to the answer's JSON, or an awaitable of it."""


class MissingError(Exception):
    """A request that names an unknown thing; answered with 404."""


def route(method: str, path: str, handler: Handler, fields: Collection[str] | None = None) -> Route:
    """Build a route: ValueError and TypeError of its handler become 422, MissingError 404.

    With `fields` the body must be an object that has no other ones.
    """

    async def endpoint(request: Request) -> JSONResponse:
        try:
            answer = handler(request, _checked(await request.body() or b"{}", fields))
            return JSONResponse(await answer if isawaitable(answer) else answer)
        except MissingError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return Route(path, endpoint, methods=[method])


def _checked(raw: bytes, fields: Collection[str] | None) -> Any:
    data = json.loads(raw)
    if fields is not None:
        if not isinstance(data, dict):
            raise TypeError("The body must be a JSON object.")
        if unknown := data.keys() - set(fields):
            raise ValueError(f"Unknown fields: {', '.join(sorted(unknown))}.")
    return data


def page(request: Request, items: Iterable[Any]) -> tuple[int, list[Any]]:
    """Return how many items there are, and those that `offset` and `limit` of the query string choose."""
    everything, query = list(items), request.query_params
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", 1000))
    return len(everything), everything[offset : offset + limit]


def newest(request: Request, items: Iterable[Any]) -> list[Any]:
    """Return the last `limit` items."""
    limit = int(request.query_params.get("limit", 1000))
    return list(items)[-limit:] if limit > 0 else []


def texts(name: str, value: Any, allowed: Collection[str] | None = None) -> frozenset[str]:
    """Return a list of texts as a set; with `allowed` no other text may be in it. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} must be a list of texts.")
    if allowed is not None and not set(allowed).issuperset(value):
        raise ValueError(f"{name} must be a list of {', '.join(sorted(allowed))}.")
    return frozenset(value)


def fault_routes(path: str, queue: FaultQueue) -> list[Route]:
    """Build GET (list), POST (add one or a list) and DELETE (clear) of a fault queue."""

    def listed(_request: Request, _data: Any) -> Any:
        return queue.as_json()

    def add(_request: Request, data: Any) -> Any:
        queue.add([parse_fault(fault) for fault in (data if isinstance(data, list) else [data])])
        return queue.as_json()

    def clear(_request: Request, _data: Any) -> Any:
        queue.clear()
        return queue.as_json()

    return [route("GET", path, listed), route("POST", path, add), route("DELETE", path, clear)]
