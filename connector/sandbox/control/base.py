"""What the control routes share: read a JSON object, refuse unknown fields, answer mistakes with 422."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connector.sandbox.faults import FaultQueue, parse_fault

Handler = Callable[[Request], Awaitable[Any]]


class MissingError(Exception):
    """What the request names does not exist; answered with 404."""


def route(path: str, handler: Handler, method: str) -> Route:
    """Build a route whose handler returns JSON; ValueError becomes 422, MissingError 404."""

    async def endpoint(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await handler(request))
        except MissingError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return Route(path, endpoint, methods=[method])


async def json_object(request: Request, allowed: Collection[str]) -> dict[str, Any]:
    """Return the JSON object of a request, `{}` for an empty body. Raises ValueError, TypeError."""
    raw = await request.body()
    data = json.loads(raw) if raw else {}
    if not isinstance(data, dict):
        raise TypeError("The body must be a JSON object.")
    if unknown := set(data) - set(allowed):
        raise ValueError(f"Unknown fields: {', '.join(sorted(unknown))}.")
    return data


def page(request: Request, items: Iterable[Any]) -> tuple[int, list[Any]]:
    """Return how many items there are, and those that `offset` and `limit` of the query string choose."""
    every = list(items)
    offset, limit = (
        int(request.query_params.get(name, usual)) for name, usual in (("offset", 0), ("limit", 1000))
    )
    return len(every), every[offset : offset + limit]


def newest(request: Request, items: Iterable[Any]) -> list[Any]:
    """Return the last `limit` items."""
    limit = int(request.query_params.get("limit", 1000))
    return list(items)[-limit:] if limit > 0 else []


def texts(name: str, value: Any, allowed: Collection[str] | None = None) -> frozenset[str]:
    """Return a list of texts, of those `allowed` if given, as a set. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} must be a list of texts.")
    if allowed is not None and not set(allowed).issuperset(value):
        raise ValueError(f"{name} must be a list of {', '.join(sorted(allowed))}.")
    return frozenset(value)


def fault_routes(path: str, queue: Callable[[], FaultQueue]) -> list[Route]:
    """Build GET (list), POST (add one or a list) and DELETE (clear) of a fault queue."""

    async def listed(_request: Request) -> Any:
        return {"faults": queue().as_json()}

    async def add(request: Request) -> Any:
        data = json.loads(await request.body())
        queue().add([parse_fault(item) for item in (data if isinstance(data, list) else [data])])
        return {"faults": queue().as_json()}

    async def clear(_request: Request) -> Any:
        queue().clear()
        return {"faults": []}

    return [route(path, listed, "GET"), route(path, add, "POST"), route(path, clear, "DELETE")]
