"""Serve `/hooks`: subscriptions as Zapier, Make and n8n expect them."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from connector.domain.events.event import EventType, Hook
from connector.domain.results.mapping import iso
from connector.errors import InvalidInput
from connector.http.endpoint import NO_STORE, Call, as_json, endpoint, parameter
from connector.security.delivery_signature import new_secret
from connector.service.execution.audit import entered
from connector.service.execution.operation import Effect

NEWEST = 100

IsoTime = Annotated[str, BeforeValidator(iso)]
"""A time, from milliseconds to ISO 8601."""


class Subscribe(BaseModel):
    """A new subscription: a URL, and the trigger whose events are posted to it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"target_url": "https://hooks.example.com/1", "event": "interview_synced"}]
        },
    )

    target_url: str = Field(
        validation_alias=AliasChoices("target_url", "targetUrl"),
        description="The URL that events are posted to: public, with HTTPS.",
    )
    event: Annotated[EventType, WithJsonSchema({"type": "string", "enum": list(EventType)})] = Field(
        description="The trigger's name."
    )
    connection: str = Field("default", description="The connection's name.")


class _HookOutput(BaseModel):
    id: str = Field(description="The subscription's id.")
    event: str = Field(description="The trigger's name.")
    target_url: str = Field(description="The URL that events are posted to.")


class Subscribed(_HookOutput):
    """A subscription as it was made."""

    secret: str | None = Field(
        description="The key that signs each delivery (Standard Webhooks); shown here alone, and only to the "
        "token that subscribed."
    )


class Subscription(_HookOutput):
    """A subscription in the answer of `GET /hooks`."""

    connection: str = Field(description="The connection's name.")
    created_at: IsoTime = Field(description="The time of the subscription, ISO 8601.")


class DeliveryOutput(BaseModel):
    """The delivery of one event to one subscription."""

    id: str = Field(description="The event's id.")
    type: str = Field(description="The trigger's name.")
    timestamp: IsoTime = Field(description="The time of the event, ISO 8601.")
    state: str = Field(description="waiting, delivered or failed.")
    tries: int = Field(description="The attempts so far.")
    outcome: str | None = Field(description="The outcome of the last attempt: a status, or an error.")
    updated_at: IsoTime = Field(description="The time of the last change, ISO 8601.")


class Replayed(BaseModel):
    """The number of failed deliveries that are sent again."""

    replayed: int = Field(description="Deliveries that wait again.")


_HOOK = parameter("hook_id", "path", "The subscription's id.")
_TARGET = parameter("target_url", "query", "Only subscriptions with this URL.")
_REFUSED = ("401", "403", "404", "409", "413", "415", "422", "429", "503")
_NOTHING = {"type": "object", "maxProperties": 0}


@endpoint(
    "POST", "/hooks", scope="write read", asks=Subscribe, answers=Subscribed, status=201, refused=_REFUSED
)
async def subscribe(call: Call) -> Response:
    """Subscribe a URL to a trigger.

    The token needs the scope read, too, because events carry people's data.
    """
    ctx, wanted = call.ctx, await call.read(Subscribe)
    call.connections(wanted.connection)
    await ctx.targets.require("target_url", wanted.target_url, ctx.caller.name)
    hook_id = f"hook_{secrets.token_hex(12)}"
    fresh = Hook(
        hook_id, wanted.connection, wanted.event, wanted.target_url, ctx.clock.now(), ctx.caller.name
    )
    async with entered(ctx, wanted.connection, "subscribe", Effect.WRITE, {}) as entry:
        hook, secret = await ctx.ledger.hooks.subscribe(fresh, new_secret())
        entry.outcome, entry.made = "done", {"hook_id": hook.id}
    made = Subscribed(id=hook.id, event=hook.event, target_url=hook.target_url, secret=secret)
    where = f"{ctx.settings.public_url.rstrip('/')}/hooks/{hook.id}"
    return as_json(made, 201, {**NO_STORE, "Location": where})


@endpoint("GET", "/hooks", scope="read", parameters=[_TARGET])
async def list_hooks(call: Call) -> list[Subscription]:
    """List subscriptions."""
    target_url = call.request.query_params.get("target_url")
    hooks = await call.ctx.ledger.hooks.listed(call.connections(), target_url)
    return [Subscription.model_validate(hook._asdict()) for hook in hooks]


@endpoint("DELETE", "/hooks", scope="write", answers=_NOTHING, parameters=[{**_TARGET, "required": True}])
async def unsubscribe_target(call: Call) -> dict[str, Any]:
    """End the subscriptions of a URL."""
    if not call.request.query_params.get("target_url"):
        raise InvalidInput.of("target_url", "is missing; give it, or the id in the path")
    return await _end(call)


@endpoint("DELETE", "/hooks/{hook_id}", scope="write", answers=_NOTHING, parameters=[_HOOK])
async def unsubscribe(call: Call) -> dict[str, Any]:
    """End a subscription."""
    return await _end(call)


async def _end(call: Call) -> dict[str, Any]:
    hook_id = call.request.path_params.get("hook_id")
    target_url = call.request.query_params.get("target_url")
    touched = {"hook_id": hook_id} if hook_id else {}
    async with entered(call.ctx, "default", "unsubscribe", Effect.WRITE, touched) as entry:
        connections = call.connections()
        ended = await call.ctx.ledger.hooks.unsubscribe(connections, hook_id=hook_id, target_url=target_url)
        entry.outcome = "done" if ended else "not_there"
    return {}


@endpoint("GET", "/hooks/{hook_id}/deliveries", scope="read", parameters=[_HOOK])
async def list_deliveries(call: Call) -> list[DeliveryOutput]:
    """List the newest deliveries of a subscription."""
    hook_id = call.request.path_params["hook_id"]
    deliveries = await call.ctx.ledger.hooks.deliveries(call.connections(), hook_id, NEWEST)
    return [
        DeliveryOutput.model_validate(
            {**delivery._asdict(), **delivery.event._asdict(), "timestamp": delivery.event.at}
        )
        for delivery in deliveries
    ]


@endpoint("POST", "/hooks/{hook_id}/replay", scope="send", parameters=[_HOOK])
async def replay_deliveries(call: Call) -> Replayed:
    """Send failed deliveries again."""
    hook_id = call.request.path_params["hook_id"]
    touched = {"hook_id": hook_id}
    async with entered(call.ctx, "default", "replay_deliveries", Effect.SEND, touched) as entry:
        replayed = await call.ctx.ledger.hooks.replay(call.connections(), hook_id, call.ctx.clock.now())
        entry.outcome = "done"
    call.ctx.wake("hooks")
    return Replayed(replayed=replayed)


HOOKS = (subscribe, list_hooks, unsubscribe_target, unsubscribe, list_deliveries, replay_deliveries)
