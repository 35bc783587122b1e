"""The paths of the OpenAPI document beside the operations: one operation for each declared endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter

from connector.http.endpoint import Endpoint


def endpoint_paths(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the path items of endpoints, by path."""
    paths: dict[str, Any] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return paths


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


def json_content(schema: Mapping[str, Any], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of a JSON body."""
    shown = {} if example is None else {"example": dict(example)}
    return {"application/json": {"schema": dict(schema), **shown}}


def refusals(statuses: Sequence[str]) -> dict[str, Any]:
    """Return references to the shared problem responses of some statuses."""
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    answered = {"description": "Done.", "content": json_content(_schema(endpoint.answers))}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": list(endpoint.parameters),
        "responses": {str(endpoint.status): answered, **refusals(endpoint.refused)},
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.is_open:
        operation["security"] = []
    if endpoint.asks is None:
        return operation
    asked = _schema(endpoint.asks, mode="validation")
    if endpoint.method == "GET":
        return {**operation, "parameters": [*endpoint.parameters, *query_parameters(asked)]}
    return {**operation, "requestBody": {"required": True, "content": json_content(asked)}}


def _schema(shape: Any, mode: Any = "serialization") -> Mapping[str, Any]:
    if isinstance(shape, Mapping):
        return shape
    if get_origin(shape) is list:  # its item in place, because nothing in a path can be referred to
        return {"type": "array", "items": _schema(get_args(shape)[0], mode)}
    return TypeAdapter(shape).json_schema(mode=mode)
