"""Subscriptions: `/hooks`, as Zapier, Make and n8n expect it."""

from __future__ import annotations

import secrets
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from connector.domain.events.event import EventType, Hook
from connector.domain.results.mapping import iso
from connector.errors import InvalidInput
from connector.http.endpoint import NO_STORE, Call, as_json, endpoint, parameter
from connector.security.delivery_signature import new_secret
from connector.service.execution.audit import Entry, entered
from connector.service.execution.operation import Effect

NEWEST = 100


class Subscribe(BaseModel):
    """The address to tell, and the event to tell of."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"target_url": "https://hooks.example.com/1", "event": "interview_synced"}]
        },
    )

    target_url: str = Field(
        validation_alias=AliasChoices("target_url", "targetUrl"),
        description="Where to: a public HTTPS address.",
    )
    event: Annotated[EventType, WithJsonSchema({"type": "string", "enum": list(EventType)})] = Field(
        description="Of which trigger."
    )
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


_HOOK = parameter("hook_id", "path", "The subscription's id.")
_TARGET = parameter("target_url", "query", "Only subscriptions that lead there.")
_NOTHING = {"type": "object", "maxProperties": 0}


@endpoint("POST", "/hooks", scope="write", asks=Subscribe, answers=Subscribed, status=201)
async def subscribe(call: Call) -> Response:
    """Subscribe an address to a trigger."""
    ctx, asked = call.ctx, await call.read(Subscribe)
    call.connections(asked.connection)
    await ctx.targets.require("target_url", asked.target_url)
    hook_id = f"hook_{secrets.token_hex(12)}"
    fresh = Hook(hook_id, asked.connection, asked.event, asked.target_url, ctx.clock.now())
    async with _audited(call, "subscribe", Effect.WRITE, asked.connection) as entry:
        hook, secret = await ctx.ledger.hooks.subscribe(fresh, new_secret())
        entry.outcome, entry.made = "done", {"hook_id": hook.id}
    made = Subscribed(id=hook.id, event=hook.event, target_url=hook.target_url, secret=secret)
    where = f"{ctx.settings.public_url.rstrip('/')}/hooks/{hook.id}"
    return as_json(made, 201, {**NO_STORE, "Location": where})


@endpoint("GET", "/hooks", scope="read", parameters=[_TARGET])
async def list_hooks(call: Call) -> list[Subscription]:
    """List subscriptions."""
    target_url = call.request.query_params.get("target_url")
    return [
        Subscription(
            id=one.id,
            event=one.event,
            target_url=one.target_url,
            connection=one.connection,
            created_at=iso(one.created_at),
        )
        for one in await call.ctx.ledger.hooks.listed(call.connections(), target_url)
    ]


@endpoint("DELETE", "/hooks", scope="write", answers=_NOTHING, parameters=[{**_TARGET, "required": True}])
async def unsubscribe_target(call: Call) -> dict[str, Any]:
    """End the subscriptions of an address."""
    target_url = call.request.query_params.get("target_url")
    if not target_url:
        raise InvalidInput.of("target_url", "is missing; give it, or the id in the address")
    return await _ended(call, None, target_url)


@endpoint("DELETE", "/hooks/{hook_id}", scope="write", answers=_NOTHING, parameters=[_HOOK])
async def unsubscribe(call: Call) -> dict[str, Any]:
    """End a subscription."""
    return await _ended(
        call, call.request.path_params["hook_id"], call.request.query_params.get("target_url")
    )


async def _ended(call: Call, hook_id: str | None, target_url: str | None) -> dict[str, Any]:
    async with _audited(call, "unsubscribe", Effect.WRITE, hook_id=hook_id) as entry:
        ours = call.connections()
        gone = await call.ctx.ledger.hooks.unsubscribe(ours, hook_id=hook_id, target_url=target_url)
        entry.outcome = "done" if gone else "not_there"
    return {}


@endpoint("GET", "/hooks/{hook_id}/deliveries", scope="read", parameters=[_HOOK])
async def list_deliveries(call: Call) -> list[DeliveryOutput]:
    """List the newest deliveries."""
    hook_id = call.request.path_params["hook_id"]
    return [
        DeliveryOutput(
            id=one.event.id,
            type=one.event.type,
            timestamp=iso(one.event.at),
            state=one.state,
            tries=one.tries,
            outcome=one.outcome,
            updated_at=iso(one.updated_at),
        )
        for one in await call.ctx.ledger.hooks.deliveries(call.connections(), hook_id, NEWEST)
    ]


@endpoint("POST", "/hooks/{hook_id}/replay", scope="send", parameters=[_HOOK])
async def replay_deliveries(call: Call) -> Replayed:
    """Send failed ones again."""
    hook_id = call.request.path_params["hook_id"]
    async with _audited(call, "replay_deliveries", Effect.SEND, hook_id=hook_id) as entry:
        n = await call.ctx.ledger.hooks.replay(call.connections(), hook_id, call.ctx.clock.now())
        entry.outcome = "done"
    call.ctx.wake("hooks")
    return Replayed(replayed=n)


def _audited(
    call: Call, what: str, effect: Effect, connection: str = "default", *, hook_id: str | None = None
) -> AbstractAsyncContextManager[Entry]:
    """Enter what a caller does into the audit log."""
    touched = {"hook_id": hook_id} if hook_id else {}
    return entered(replace(call.ctx, caller=call.caller), connection, what, effect, touched)


HOOKS = (subscribe, list_hooks, unsubscribe_target, unsubscribe, list_deliveries, replay_deliveries)
