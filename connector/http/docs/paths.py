"""What the OpenAPI document tells beside the operations: subscriptions, triggers, webhooks, probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from connector.domain.events.event import EventType
from connector.http.docs.schema import REF, nullable
from connector.http.hooks import (
    DeliveryOutput,
    Replayed,
    Subscribe,
    Subscribed,
    Subscription,
)
from connector.http.triggers import Poll
from connector.service.triggers import TRIGGERS, Trigger, sample

_HEAD: Mapping[str, Any] = {
    "id": {"type": "string", "description": "Unique to the event; what repeats it has the same."},
    "type": {"type": "string", "description": "The trigger's name."},
    "timestamp": {"type": "string", "description": "When it happened, ISO 8601 with offset."},
    "connection": {"type": "string", "description": "The connection that it happened on."},
}
_STATUS: Mapping[str, Any] = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "description": "How it is."}},
}
_NOTHING: Mapping[str, Any] = {"type": "object", "maxProperties": 0}
_ANYTHING: Mapping[str, Any] = {"type": "object"}
_TARGET = "Only subscriptions that lead there."


def beside() -> dict[str, Any]:
    """Return the paths that are not operations, by path."""
    names = [one.name.value for one in TRIGGERS]
    trigger = _parameter("trigger", "path", "The trigger's name.", {"type": "string", "enum": names})
    hook = _parameter("hook_id", "path", "The subscription's id.")
    target = _parameter("target_url", "query", _TARGET)
    return {
        "/hooks": {
            "post": _call(
                "subscribe", "Subscribe an address to a trigger", {"201": _of(Subscribed)}, asks=_subscribe()
            ),
            "get": _call("list_hooks", "List subscriptions", {"200": _array(_of(Subscription))}, [target]),
            "delete": _call(
                "unsubscribe_target",
                "End the subscriptions of an address",
                {"200": _NOTHING},
                [{**target, "required": True}],
            ),
        },
        "/hooks/{hook_id}": {
            "delete": _call("unsubscribe", "End a subscription", {"200": _NOTHING}, [hook]),
        },
        "/hooks/{hook_id}/deliveries": {
            "get": _call(
                "list_deliveries", "The newest deliveries", {"200": _array(_of(DeliveryOutput))}, [hook]
            ),
        },
        "/hooks/{hook_id}/replay": {
            "post": _call("replay_deliveries", "Send failed ones again", {"200": _of(Replayed)}, [hook]),
        },
        "/triggers": {"get": _call("list_triggers", "The triggers", {"200": _array(_catalogue())})},
        "/triggers/{trigger}": {
            "get": _call(
                "poll_trigger",
                "The newest events",
                {"200": _array(_any_event())},
                [trigger, *query_parameters(_of(Poll))],
            ),
        },
        "/triggers/{trigger}/sample": {
            "get": _call(
                "sample_trigger",
                "An event that nobody caused, of the same shape",
                {"200": _any_event()},
                [trigger],
            ),
        },
        **_doors(),
    }


def query_parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the properties of an object as parameters of a query string."""
    needed = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": field.get("description", ""),
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in schema.get("properties", {}).items()
    ]


def event_schema(trigger: Trigger) -> dict[str, Any]:
    """Return the shape of a trigger's events: every key is always there, null for what is not known."""
    shown = sample(trigger, "default")
    told = TypeAdapter(trigger.output).json_schema(mode="serialization", ref_template=REF)["properties"]
    fields = {
        name: _HEAD.get(name) or (_or_null(told[name]) if name in told else _derived(name)) for name in shown
    }
    return {"type": "object", "required": list(shown), "properties": fields, "examples": [shown]}


def event_parts() -> dict[str, Any]:
    """Return the schemas that the shapes of events refer to, by name."""
    wanted: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (one.name, "serialization", TypeAdapter(one.output)) for one in TRIGGERS
    ]
    _, shared = TypeAdapter.json_schemas(wanted, ref_template=REF)
    return {**shared.get("$defs", {}), **{event_name(one): event_schema(one) for one in TRIGGERS}}


def event_name(trigger: Trigger) -> str:
    """Return what the shape of a trigger's events is called."""
    return "".join(part.capitalize() for part in trigger.name.split("_")) + "Event"


def _any_event() -> dict[str, Any]:
    return {"anyOf": [{"$ref": REF.format(model=event_name(one))} for one in TRIGGERS]}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    if nullable(schema):
        return dict(schema)
    about = {key: schema[key] for key in ("title", "description") if key in schema}
    return {**about, "anyOf": [{key: schema[key] for key in schema if key not in about}, {"type": "null"}]}


def _doors() -> dict[str, Any]:
    """Return the doors that have checks of their own, and those that are open."""
    connection = _parameter("connection", "path", "Whose secret it is.")
    koji = _call(
        "koji_webhook",
        "Koji's webhooks: signed with KOJI_WEBHOOK_SECRET, any JSON object",
        {"200": _STATUS},
        asks=_body(_ANYTHING),
        refused=("400", "401", "413", "503"),
    )
    cohorts = _call(
        "cohort_webhook",
        "Amplitude's cohort webhook: who entered or left a cohort; AMPLITUDE_COHORT_WEBHOOK_TOKEN opens it",
        {"200": _STATUS},
        asks=_body({"type": ["object", "array"], "description": "Amplitude's format, or a list of users."}),
        refused=("400", "401", "404", "413", "422", "503"),
    )
    asked = [
        _parameter("cohort_id", "query", "Of which cohort a bare list is."),
        _parameter("token", "query", "The token, where no header can be set."),
    ]
    census = _call(
        "census",
        "Census's custom destination: one JSON-RPC 2.0 call",
        {"200": {"type": "object", "required": ["jsonrpc", "id"], "description": "With result or error."}},
        asks=_body({"type": "object", "required": ["jsonrpc", "method", "id"]}),
        refused=("401", "413", "415", "429", "503"),
    )
    return {
        "/webhooks/koji": {"post": {**koji, "security": []}},
        "/webhooks/koji/{connection}": {
            "post": {
                **koji,
                "operationId": "koji_webhook_of_connection",
                "parameters": [connection],
                "responses": {**koji["responses"], "404": {"$ref": "#/components/responses/404"}},
                "security": [],
            }
        },
        "/webhooks/amplitude/cohorts": {"post": {**cohorts, "parameters": asked, "security": []}},
        "/webhooks/amplitude/cohorts/{connection}": {
            "post": {
                **cohorts,
                "operationId": "cohort_webhook_of_connection",
                "parameters": [connection, *asked],
                "security": [],
            }
        },
        "/integrations/census": {"post": census},
        "/healthz": {"get": _open("healthz", "The process answers", ())},
        "/readyz": {"get": _open("readyz", "The store answers", ("503",))},
    }


def _open(name: str, summary: str, refused: Sequence[str]) -> dict[str, Any]:
    return {**_call(name, summary, {"200": _STATUS}, refused=refused), "security": []}


def _call(
    name: str,
    summary: str,
    answers: Mapping[str, Mapping[str, Any]],
    parameters: Sequence[Mapping[str, Any]] = (),
    *,
    asks: Mapping[str, Any] | None = None,
    refused: Sequence[str] = ("401", "403", "404", "413", "415", "422", "429", "503"),
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            **{
                status: {"description": "Done.", "content": {"application/json": {"schema": dict(schema)}}}
                for status, schema in answers.items()
            },
            **{status: {"$ref": f"#/components/responses/{status}"} for status in refused},
        },
    }
    return told if asks is None else {**told, "requestBody": asks}


def _subscribe() -> dict[str, Any]:
    fields = {
        "target_url": {"type": "string", "description": "Where to: a public HTTPS address."},
        "event": {
            "type": "string",
            "enum": [one.value for one in EventType],
            "description": "Of which trigger.",
        },
        "connection": {"type": "string", "description": Subscribe.model_fields["connection"].description},
    }
    schema = {
        "type": "object",
        "required": ["target_url", "event"],
        "properties": fields,
        "additionalProperties": False,
        "examples": [{"target_url": "https://hooks.example.com/1", "event": "interview_synced"}],
    }
    return _body(schema)


def _catalogue() -> dict[str, Any]:
    fields = {
        "name": {"type": "string", "description": "What it is called here."},
        "title": {"type": "string", "description": "What people call it."},
        "description": {"type": "string", "description": "When it happens."},
        "sample": {"type": "object", "description": "An event that nobody caused."},
    }
    return {"type": "object", "required": list(fields), "properties": fields}


def _derived(name: str) -> dict[str, Any]:
    of, _, what = name.rpartition("_")
    if what == "text":
        return {"type": "string", "description": f"{of} as text."}
    return {"type": "integer", "description": f"How many {of}."}


def _of(model: type[Any]) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(mode="serialization")


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": dict(schema)}}}


def _parameter(
    name: str, where: str, description: str, schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": dict(schema or {"type": "string"}),
    }
