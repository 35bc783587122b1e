"""Make the JSON schemas of events, as triggers and subscriptions send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from connector.http.docs.schema import REF, nullable
from connector.service.triggers import TRIGGERS, Trigger, sample

_HEAD: Mapping[str, Any] = {
    "id": {"type": "string", "description": "Unique to the event; what repeats it has the same."},
    "type": {"type": "string", "description": "The trigger's name."},
    "timestamp": {"type": "string", "description": "When it happened, ISO 8601 with offset."},
    "connection": {"type": "string", "description": "The connection that it happened on."},
}


def event_name(trigger: Trigger) -> str:
    """Return the name of the schema of a trigger's events."""
    return "".join(part.capitalize() for part in trigger.name.split("_")) + "Event"


def event_schema(trigger: Trigger) -> dict[str, Any]:
    """Return the schema of a trigger's events: every key is required, and null when it is unknown."""
    shown = sample(trigger, "default")
    known = TypeAdapter(trigger.output).json_schema(mode="serialization", ref_template=REF)["properties"]
    fields = {
        name: _HEAD.get(name) or (_or_null(known[name]) if name in known else _derived(name))
        for name in shown
    }
    return {"type": "object", "required": list(shown), "properties": fields, "examples": [shown]}


def event_parts() -> dict[str, Any]:
    """Return the schemas of all events, and those that they refer to, by name."""
    wanted: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (trigger.name, "serialization", TypeAdapter(trigger.output)) for trigger in TRIGGERS
    ]
    _, shared = TypeAdapter.json_schemas(wanted, ref_template=REF)
    return {**shared.get("$defs", {}), **{event_name(trigger): event_schema(trigger) for trigger in TRIGGERS}}


def _derived(name: str) -> dict[str, Any]:
    of, _, what = name.rpartition("_")
    if what == "text":
        return {"type": "string", "description": f"{of} as text."}
    return {"type": "integer", "description": f"How many {of}."}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    if nullable(schema):
        return dict(schema)
    about = {key: schema[key] for key in ("title", "description") if key in schema}
    return {**about, "anyOf": [{key: schema[key] for key in schema if key not in about}, {"type": "null"}]}


ANY_EVENT: Mapping[str, Any] = {
    "anyOf": [{"$ref": REF.format(model=event_name(trigger))} for trigger in TRIGGERS]
}
