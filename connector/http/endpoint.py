"""A route beside the operations, declared once: Starlette serves it and the OpenAPI document describes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from inspect import getdoc
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.context import Context
from connector.errors import Forbidden
from connector.http.auth import Gate
from connector.http.request import read_model, refuse_cross_site
from connector.security.caller import Caller
from connector.service.execution.execute import check_connection

ContextOf = Callable[[], Context]
M = TypeVar("M", bound=BaseModel)

NO_STORE = {"Cache-Control": "no-store"}
_ANYTHING = TypeAdapter[Any](Any)
_ANONYMOUS = Caller("anonymous", "http", frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an endpoint; `ctx.caller` is the caller that the gate let in."""

    request: Request
    ctx: Context
    gate: Gate

    async def read(self, model: type[M]) -> M:
        """Return the input in body and query string. Raises as `request.read_model`."""
        return await read_model(self.request, model, self.ctx.caller.name)

    def connections(self, named: str | None = None) -> list[str]:
        """Return the names of the caller's connections, or only the name in the request.

        Raises `Forbidden` for a connection that the caller may not use, `NotFound` for an unknown one.
        """
        if named is None:
            return self.ctx.caller.visible(self.ctx.settings.connections)
        check_connection(self.ctx, self.ctx.caller, named)
        return [named]


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    `name` is its operation id. `handler` returns a `Response`, or a value that is sent as JSON with `status`;
    None stands for an endpoint in front of all routing. `answers` describes the answer and `asks` the body,
    or the query string of a GET; both are annotations or JSON schemas. `parameters` are those of OpenAPI.
    `scope` names the scopes that the caller's token needs, with spaces between; `is_open` lets every caller
    in, and `open_by` names a setting that does. `media_type` is that of the answer. `token_parameter` names a
    parameter of the query string that may hold the token. `refused` are the statuses of its problems.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Handler | None = None
    _: KW_ONLY
    description: str = ""
    answers: Any
    asks: Any = None
    status: int = 200
    scope: str | None = None
    is_open: bool = False
    open_by: str | None = None
    media_type: str = "application/json"
    token_parameter: str | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    refused: Sequence[str] = ("401", "403", "404", "413", "415", "422", "429", "503")


def endpoint(method: str, path: str, **about: Any) -> Callable[[Handler], Endpoint]:
    """Make a handler an endpoint: its name is the operation id, its docstring summary and description.

    `about` are the other fields of `Endpoint`; `answers` is by default what the handler returns.
    """

    def made(handler: Handler) -> Endpoint:
        summary, _, description = (getdoc(handler) or "").partition("\n\n")
        fields = {"answers": get_type_hints(handler)["return"], "description": description, **about}
        return Endpoint(handler.__name__, method, path, summary.rstrip("."), handler, **fields)

    return made


def parameter(
    name: str, where: str, description: str, schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a parameter as OpenAPI has it; `where` is path or query, and a path's parameter is required."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": dict(schema or {"type": "string"}),
    }


def served(endpoints: Sequence[Endpoint], context: ContextOf, gate: Gate) -> list[Route]:
    """Return the routes of endpoints that have a handler."""
    return [_route(each, each.handler, context, gate) for each in endpoints if each.handler is not None]


def _route(endpoint: Endpoint, handler: Handler, context: ContextOf, gate: Gate) -> Route:
    async def serve(request: Request) -> Response:
        caller, is_open = _ANONYMOUS, endpoint.is_open
        if endpoint.open_by is not None:
            is_open = getattr(context().settings, endpoint.open_by)
        if not is_open:
            name = endpoint.token_parameter
            refuse_cross_site(request, context().settings)
            caller = await gate.caller(request, also=request.query_params.getlist(name) if name else ())
        for scope in () if is_open else (endpoint.scope or "").split():
            if scope not in caller.scopes:
                detail = f"This needs the scope {scope}, which the token does not have."
                raise Forbidden(detail, code="missing_scope")
        result = await handler(Call(request, replace(context(), caller=caller), gate))
        return result if isinstance(result, Response) else as_json(result, endpoint.status)

    return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.name)


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response:
    """Return a response with a value as JSON; the value may hold models."""
    return Response(_ANYTHING.dump_json(value), status, headers, media_type="application/json")
