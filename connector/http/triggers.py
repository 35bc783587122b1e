"""What happened, for whoever polls: the catalogue of triggers, their newest events, and samples."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.context import Context
from connector.errors import NotFound
from connector.http.auth import Gate
from connector.http.hooks import (
    HEADERS,
    NEWEST,
    require,
    visible,
)
from connector.http.request import read_model
from connector.service import triggers


class Poll(BaseModel):
    """Which events a poll wants. Without `limit` the window stays the same from one poll to the next."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = Field(None, description="Only this connection's.")
    limit: int = Field(NEWEST, ge=1, le=500, description="How many events at most, 1 to 500.")


def trigger_routes(context: Callable[[], Context], gate: Gate) -> list[Route]:
    """Return the routes of the events that can be polled: bare arrays, newest first."""

    async def catalogue(request: Request) -> Response:
        require(await gate.caller(request), "read")
        return JSONResponse(
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "description": one.description,
                    "sample": triggers.sample(one, "default"),
                }
                for one in triggers.TRIGGERS
            ],
            headers=HEADERS,
        )

    async def newest(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "read")
        trigger = _trigger(request)
        asked = await read_model(request, Poll)
        if asked.connection is not None:
            visible(ctx, caller, asked.connection)
        ours = [asked.connection] if asked.connection else caller.visible(ctx.settings.connections)
        events = await ctx.ledger.hooks.events(ours, trigger.name, asked.limit)
        return JSONResponse(await triggers.render(ctx, events), headers=HEADERS)

    async def sample(request: Request) -> Response:
        require(await gate.caller(request), "read")
        return JSONResponse(triggers.sample(_trigger(request), "default"), headers=HEADERS)

    return [
        Route("/triggers", catalogue, methods=["GET"]),
        Route("/triggers/{trigger}", newest, methods=["GET"]),
        Route("/triggers/{trigger}/sample", sample, methods=["GET"]),
    ]


def _trigger(request: Request) -> triggers.Trigger:
    name = request.path_params["trigger"]
    for one in triggers.TRIGGERS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in triggers.TRIGGERS)
    raise NotFound(f"There is no trigger of that name; there are: {known}.", code="unknown_trigger")
