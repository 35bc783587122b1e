"""Make the JSON schemas of the events that triggers and subscriptions send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from connector.http.docs.schema import REF, nullable
from connector.service.triggers import TRIGGERS, Trigger, sample

_COMMON_FIELDS: Mapping[str, Any] = {
    "id": {"type": "string", "description": "Unique to the event; each repeat has the same id."},
    "type": {"type": "string", "description": "The trigger's name."},
    "timestamp": {"type": "string", "description": "The event's time, ISO 8601 with offset."},
    "connection": {"type": "string", "description": "The connection of the event."},
}


def event_name(trigger: Trigger) -> str:
    """Return the name of the schema of a trigger's events."""
    return "".join(part.capitalize() for part in trigger.name.split("_")) + "Event"


def event_schema(trigger: Trigger) -> dict[str, Any]:
    """Return the schema of a trigger's events: every key is required; an unknown value is null."""
    shown = sample(trigger, "default")
    known = TypeAdapter(trigger.output).json_schema(mode="serialization", ref_template=REF)["properties"]
    fields = {
        name: _COMMON_FIELDS.get(name) or (_or_null(known[name]) if name in known else _derived(name, value))
        for name, value in shown.items()
    }
    return {"type": "object", "required": list(shown), "properties": fields, "examples": [shown]}


def event_schemas() -> dict[str, Any]:
    """Return, by name, all event schemas and every schema that an event uses."""
    types: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (trigger.name, "serialization", TypeAdapter(trigger.output)) for trigger in TRIGGERS
    ]
    _, shared = TypeAdapter.json_schemas(types, ref_template=REF)
    return {**shared.get("$defs", {}), **{event_name(trigger): event_schema(trigger) for trigger in TRIGGERS}}


def _derived(name: str, value: Any) -> dict[str, Any]:
    subject, _, suffix = name.rpartition("_")
    if suffix == "text":
        return {"type": "string", "description": f"{subject} as text."}
    if suffix == "count":
        return {"type": "integer", "description": f"Count of {subject}."}
    kind = "integer" if isinstance(value, int) else "string"
    return _or_null({"type": kind, "description": f"{suffix} of {subject}."})


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    if nullable(schema):
        return dict(schema)
    about = {key: schema[key] for key in ("title", "description") if key in schema}
    return {**about, "anyOf": [{key: schema[key] for key in schema if key not in about}, {"type": "null"}]}


ANY_EVENT: Mapping[str, Any] = {
    "anyOf": [{"$ref": REF.format(model=event_name(trigger))} for trigger in TRIGGERS]
}
