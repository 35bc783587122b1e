"""Serve `/triggers` to programs that poll: the catalogue, the newest events, and samples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connector.errors import NotFound
from connector.http.docs.events import ANY_EVENT
from connector.http.endpoint import Call, endpoint, parameter
from connector.http.hooks import NEWEST
from connector.service import triggers


class Poll(BaseModel):
    """The query of a poll. Without `limit`, a poll returns the newest 100 events."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = Field(None, description="Only events of this connection.")
    limit: int = Field(NEWEST, ge=1, le=500, description="The largest number of events, 1 to 500.")


class TriggerItem(BaseModel):
    """One trigger of the catalogue."""

    name: str = Field(description="The trigger's name.")
    title: str = Field(description="The trigger's title for people.")
    description: str = Field(description="What the event means.")
    sample: dict[str, Any] = Field(description="A made-up event.")


_BY_NAME: dict[str, triggers.Trigger] = {trigger.name.value: trigger for trigger in triggers.TRIGGERS}
_TRIGGER = parameter("trigger", "path", "The trigger's name.", {"type": "string", "enum": list(_BY_NAME)})


@endpoint("GET", "/triggers", scope="read")
async def list_triggers(_: Call) -> list[TriggerItem]:
    """List the triggers."""
    return [
        TriggerItem(
            name=name,
            title=trigger.title,
            description=trigger.description,
            sample=triggers.sample(trigger, "default"),
        )
        for name, trigger in _BY_NAME.items()
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
    """List the newest events of a trigger."""
    trigger, wanted = _trigger(call), await call.read(Poll)
    connections = call.connections(wanted.connection)
    events = await call.ctx.ledger.hooks.events(connections, trigger.name, wanted.limit)
    return await triggers.render(call.ctx, events)


@endpoint("GET", "/triggers/{trigger}/sample", scope="read", answers=ANY_EVENT, parameters=[_TRIGGER])
async def sample_trigger(call: Call) -> Any:
    """Show a made-up event of a trigger."""
    return triggers.sample(_trigger(call), "default")


def _trigger(call: Call) -> triggers.Trigger:
    trigger = _BY_NAME.get(call.request.path_params["trigger"])
    if trigger is None:
        known = ", ".join(_BY_NAME)
        raise NotFound(f"There is no trigger of that name; there are: {known}.", code="unknown_trigger")
    return trigger


TRIGGERS = (list_triggers, poll_trigger, sample_trigger)
