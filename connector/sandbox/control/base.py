"""What the control routes share: read a JSON object, refuse unknown fields, answer mistakes with 422."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
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
