"""Share between the control routes: read a JSON body, page lists, answer mistakes with 422."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from inspect import isawaitable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connector.sandbox.bodies import mistake
from connector.sandbox.faults import Fault, FaultQueue


class MissingError(Exception):
    """A request that names an unknown thing; answered with 404."""


def route(method: str, path: str, handler: Callable[..., Any], body: Any = None) -> Route:
    """Build a route: ValueError and TypeError of its handler become 422, MissingError 404.

    The handler gets the request and, with `body`, the request's JSON as that type (`{}` when empty). It
    returns the answer's JSON, or an awaitable of it.
    """
    shape = _shape(body)

    async def endpoint(request: Request) -> JSONResponse:
        try:
            given = () if body is None else (shape.validate_json(await request.body() or b"{}"),)
            answer = handler(request, *given)
            return JSONResponse(await answer if isawaitable(answer) else answer)
        except MissingError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except ValidationError as error:
            return JSONResponse({"error": mistake(error)}, status_code=422)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return Route(path, endpoint, methods=[method])


@cache
def _shape(body: Any) -> TypeAdapter[Any]:
    return TypeAdapter(body)


def page(request: Request, items: Iterable[Any]) -> tuple[int, list[Any]]:
    """Return how many items there are, and those that `offset` and `limit` of the query string choose."""
    everything, query = list(items), request.query_params
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", 1000))
    return len(everything), everything[offset : offset + limit]


def newest(request: Request, items: Iterable[Any]) -> list[Any]:
    """Return the last `limit` items."""
    limit = int(request.query_params.get("limit", 1000))
    return list(items)[-limit:] if limit > 0 else []


def fault_routes(path: str, queue: FaultQueue) -> list[Route]:
    """Build GET (list), POST (add one or a list) and DELETE (clear) of a fault queue."""

    def listed(_request: Request) -> Any:
        return queue.as_json()

    def add(_request: Request, faults: Fault | list[Fault]) -> Any:
        queue.add(faults if isinstance(faults, list) else [faults])
        return queue.as_json()

    def clear(_request: Request) -> Any:
        queue.clear()
        return queue.as_json()

    return [
        route("GET", path, listed),
        route("POST", path, add, Fault | list[Fault]),
        route("DELETE", path, clear),
    ]
