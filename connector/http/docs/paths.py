"""Describe the declared endpoints as paths of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic import TypeAdapter

from connector.http.endpoint import Endpoint, parameter

TAGS: Final[Mapping[str, str]] = {
    "launches": "From an Amplitude cohort to interviews: plan, launch, follow.",
    "results": "From an interview to Amplitude: sync, receipts, analysis.",
    "people": "One person, everywhere.",
    "connections": "The Koji and Amplitude projects that are wired, their checks and the audit log.",
    "hooks": "Subscriptions to events.",
    "triggers": "Events to poll, and samples.",
    "webhooks": "What Koji and Amplitude call.",
    "integrations": "Other products' own protocols.",
    "server": "The server itself, and what the token may do.",
}
"""The groups of routes: subjects of operations, else the first step of a path, or `server`."""


def endpoint_paths(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the path items of endpoints, by path."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return paths


def query_parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the properties of an object as parameters of a query string."""
    required = schema.get("required", [])
    return [
        {
            **parameter(name, "query", field.get("description", "")),
            "required": name in required,
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in schema.get("properties", {}).items()
    ]


def json_content(schema: Mapping[str, Any], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of a JSON body."""
    shown = {} if example is None else {"example": dict(example)}
    return {"application/json": {"schema": dict(schema), **shown}}


def refusals(statuses: Sequence[str]) -> dict[str, Any]:
    """Return references to the shared problem responses of some statuses."""
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    tag = endpoint.path.split("/")[1]
    done = {"description": "Done.", "content": {endpoint.media_type: {"schema": _schema(endpoint.answers)}}}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [tag if tag in TAGS else "server"],
        "summary": endpoint.summary,
        "description": endpoint.description or f"{endpoint.summary}.",
        "parameters": list(endpoint.parameters),
        "responses": {str(endpoint.status): done, **refusals(endpoint.refused)},
    }
    if endpoint.is_open:
        operation["security"] = []
    if endpoint.asks is None:
        return operation
    schema = _schema(endpoint.asks, mode="validation")
    if endpoint.method == "GET":
        return {**operation, "parameters": [*endpoint.parameters, *query_parameters(schema)]}
    return {**operation, "requestBody": {"required": True, "content": json_content(schema)}}


def _schema(shape: Any, mode: Any = "serialization") -> Mapping[str, Any]:
    if isinstance(shape, Mapping):
        return shape
    if get_origin(shape) is list:  # the item's schema is inline, because a path can hold no definitions
        return {"type": "array", "items": _schema(get_args(shape)[0], mode)}
    return TypeAdapter(shape).json_schema(mode=mode)
