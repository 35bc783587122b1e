"""Events for programs that poll: the catalogue of triggers, their newest events, and samples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connector.errors import NotFound
from connector.http.docs.events import ANY_EVENT
from connector.http.endpoint import Call, endpoint, parameter
from connector.http.hooks import NEWEST
from connector.service import triggers


class Poll(BaseModel):
    """Which events a poll wants. Without `limit` the window stays the same from one poll to the next."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = Field(None, description="Only this connection's.")
    limit: int = Field(NEWEST, ge=1, le=500, description="How many events at most, 1 to 500.")


class TriggerItem(BaseModel):
    """One trigger of the catalogue."""

    name: str = Field(description="What it is called here.")
    title: str = Field(description="What people call it.")
    description: str = Field(description="When it happens.")
    sample: dict[str, Any] = Field(description="A made-up event.")


_NAMES = {"type": "string", "enum": [one.name.value for one in triggers.TRIGGERS]}
_TRIGGER = parameter("trigger", "path", "The trigger's name.", _NAMES)


@endpoint("GET", "/triggers", scope="read")
async def list_triggers(_: Call) -> list[TriggerItem]:
    """List the triggers."""
    return [
        TriggerItem(
            name=one.name,
            title=one.title,
            description=one.description,
            sample=triggers.sample(one, "default"),
        )
        for one in triggers.TRIGGERS
    ]


@endpoint(
    "GET",
    "/triggers/{trigger}",
    scope="read",
    asks=Poll,
    answers={"type": "array", "items": ANY_EVENT},
    parameters=[_TRIGGER],
)
async def poll_trigger(call: Call) -> Any:
    """List the newest events."""
    trigger = _trigger(call)
    asked = await call.read(Poll)
    ours = call.connections(asked.connection)
    events = await call.ctx.ledger.hooks.events(ours, trigger.name, asked.limit)
    return await triggers.render(call.ctx, events)


@endpoint("GET", "/triggers/{trigger}/sample", scope="read", answers=ANY_EVENT, parameters=[_TRIGGER])
async def sample_trigger(call: Call) -> Any:
    """Show a made-up event of the same shape."""
    return triggers.sample(_trigger(call), "default")


def _trigger(call: Call) -> triggers.Trigger:
    name = call.request.path_params["trigger"]
    for one in triggers.TRIGGERS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in triggers.TRIGGERS)
    raise NotFound(f"There is no trigger of that name; there are: {known}.", code="unknown_trigger")


TRIGGERS = (list_triggers, poll_trigger, sample_trigger)
