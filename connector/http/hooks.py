"""Subscriptions: `/hooks`, as Zapier, Make and n8n expect it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.context import Context
from connector.domain.events.event import EventType, Hook
from connector.domain.results.mapping import iso
from connector.errors import FieldError, Forbidden, InvalidInput, NotFound
from connector.http.auth import Gate
from connector.http.request import read_model
from connector.security.caller import Caller
from connector.security.delivery_signature import new_secret
from connector.service.execution.audit import Entry, entered
from connector.service.execution.operation import Effect

NEWEST = 100
HEADERS = {"Cache-Control": "no-store"}


class Subscribe(BaseModel):
    """Where to tell, and of what."""

    model_config = ConfigDict(extra="forbid")

    target_url: str = Field(validation_alias=AliasChoices("target_url", "targetUrl"), description="Where to.")
    event: EventType = Field(description="Of which event.")
    connection: str = Field("default", description="Of which connection.")


class Subscribed(BaseModel):
    """A subscription as it was made."""

    id: str = Field(description="The subscription's id.")
    event: str = Field(description="Of which trigger.")
    target_url: str = Field(description="Where to.")
    secret: str = Field(description="Signs each delivery, as Standard Webhooks; shown here only.")


class Subscription(BaseModel):
    """A subscription as it is listed."""

    id: str = Field(description="The subscription's id.")
    event: str = Field(description="Of which trigger.")
    target_url: str = Field(description="Where to.")
    connection: str = Field(description="Of which connection.")
    created_at: str = Field(description="Since when, ISO 8601.")


class DeliveryOutput(BaseModel):
    """What became of one event for one subscription."""

    id: str = Field(description="The event's id.")
    type: str = Field(description="The trigger's name.")
    timestamp: str = Field(description="When it happened, ISO 8601.")
    state: str = Field(description="waiting, delivered or failed.")
    tries: int = Field(description="How often it was sent.")
    outcome: str | None = Field(description="The last answer: a status, or what went wrong.")
    updated_at: str = Field(description="When that was, ISO 8601.")


class Replayed(BaseModel):
    """How many failed deliveries are sent again."""

    replayed: int = Field(description="Deliveries that wait again.")


def hook_routes(context: Callable[[], Context], gate: Gate) -> list[Route]:
    """Return the routes of subscriptions and of their deliveries."""

    async def subscribe(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "write")
        asked = await read_model(request, Subscribe)
        visible(ctx, caller, asked.connection)
        await ctx.targets.require("target_url", asked.target_url)
        fresh = Hook(
            f"hook_{secrets.token_hex(12)}", asked.connection, asked.event, asked.target_url, ctx.clock.now()
        )
        async with noted(ctx, caller, "subscribe", Effect.WRITE, asked.connection) as entry:
            hook, secret = await ctx.ledger.hooks.subscribe(fresh, new_secret())
            entry.outcome, entry.made = "done", {"hook_id": hook.id}
        told = Subscribed(id=hook.id, event=hook.event, target_url=hook.target_url, secret=secret)
        where = f"{ctx.settings.public_url.rstrip('/')}/hooks/{hook.id}"
        return JSONResponse(told.model_dump(), 201, {**HEADERS, "Location": where})

    async def listed(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "read")
        ours = caller.visible(ctx.settings.connections)
        found = await ctx.ledger.hooks.listed(ours, request.query_params.get("target_url"))
        return JSONResponse(
            [
                Subscription(
                    id=one.id,
                    event=one.event,
                    target_url=one.target_url,
                    connection=one.connection,
                    created_at=iso(one.created_at),
                ).model_dump()
                for one in found
            ],
            headers=HEADERS,
        )

    async def unsubscribe(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "write")
        hook_id = request.path_params.get("hook_id")
        target_url = request.query_params.get("target_url")
        if hook_id is None and not target_url:
            raise InvalidInput.of("target_url", "is missing; give it, or the id in the address")
        ours = caller.visible(ctx.settings.connections)
        async with noted(ctx, caller, "unsubscribe", Effect.WRITE, hook_id=hook_id) as entry:
            gone = await ctx.ledger.hooks.unsubscribe(ours, hook_id=hook_id, target_url=target_url)
            entry.outcome = "done" if gone else "not_there"
        return JSONResponse({}, headers=HEADERS)

    async def deliveries(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "read")
        ours = caller.visible(ctx.settings.connections)
        found = await ctx.ledger.hooks.deliveries(ours, request.path_params["hook_id"], NEWEST)
        return JSONResponse(
            [
                DeliveryOutput(
                    id=one.event.id,
                    type=one.event.type,
                    timestamp=iso(one.event.at),
                    state=one.state,
                    tries=one.tries,
                    outcome=one.outcome,
                    updated_at=iso(one.updated_at),
                ).model_dump()
                for one in found
            ],
            headers=HEADERS,
        )

    async def replay(request: Request) -> Response:
        ctx, caller = context(), await gate.caller(request)
        require(caller, "send")
        ours = caller.visible(ctx.settings.connections)
        hook_id = request.path_params["hook_id"]
        async with noted(ctx, caller, "replay_deliveries", Effect.SEND, hook_id=hook_id) as entry:
            n = await ctx.ledger.hooks.replay(ours, hook_id, ctx.clock.now())
            entry.outcome = "done"
        ctx.wake("hooks")
        return JSONResponse(Replayed(replayed=n).model_dump(), headers=HEADERS)

    return [
        Route("/hooks", subscribe, methods=["POST"]),
        Route("/hooks", listed, methods=["GET"]),
        Route("/hooks", unsubscribe, methods=["DELETE"]),
        Route("/hooks/{hook_id}", unsubscribe, methods=["DELETE"]),
        Route("/hooks/{hook_id}/deliveries", deliveries, methods=["GET"]),
        Route("/hooks/{hook_id}/replay", replay, methods=["POST"]),
    ]


def noted(
    ctx: Context,
    caller: Caller,
    what: str,
    effect: Effect,
    connection: str = "default",
    *,
    hook_id: str | None = None,
) -> AbstractAsyncContextManager[Entry]:
    """Enter what a caller does into the audit log."""
    touched = {"hook_id": hook_id} if hook_id else {}
    return entered(replace(ctx, caller=caller), connection, what, effect, touched)


def require(caller: Caller, scope: str) -> None:
    """Raise `Forbidden` for a caller without a scope."""
    if scope not in caller.scopes:
        raise Forbidden(f"This needs the scope {scope}, which the token does not have.", code="missing_scope")


def visible(ctx: Context, caller: Caller, name: str) -> None:
    """Raise `Forbidden` or `NotFound` for a connection that is not the caller's, or not there."""
    if not caller.may_use(name):
        raise Forbidden(f"connection: this token is not for the connection {name}", code="other_connection")
    if name not in ctx.settings.connections:
        detail = (
            f"there is no connection {name}; there are: {', '.join(caller.visible(ctx.settings.connections))}"
        )
        raise NotFound(
            f"connection: {detail}", code="unknown_connection", errors=[FieldError("/connection", detail)]
        )
