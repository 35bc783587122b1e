"""PURE: operations as tools: what a model is told of each before it calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.types import Tool, ToolAnnotations
from pydantic import TypeAdapter

from connector.operations.base import AnyOperation, Effect

PAGE: Final = 10
"""Rows of a list when a model does not say: what it reads, it pays for."""

_HINTS: Final[Mapping[Effect, tuple[bool, bool, bool]]] = {  # read-only, destructive, open world
    Effect.READ: (True, False, True),
    Effect.WRITE: (False, False, False),
    Effect.SEND: (False, True, True),
    Effect.ERASE: (False, True, True),
}


def tool(op: AnyOperation) -> Tool:
    """Return an operation as a tool; every hint is stated, because the defaults differ from ours."""
    read_only, destructive, open_world = _HINTS[op.effect]
    return Tool(
        name=op.name,
        title=op.title,
        description=op.summary,
        input_schema=input_schema(op),
        output_schema=output_schema(op),
        annotations=ToolAnnotations(
            title=op.title,
            read_only_hint=read_only,
            destructive_hint=destructive,
            idempotent_hint=True,
            open_world_hint=open_world,
        ),
    )


def input_schema(op: AnyOperation) -> dict[str, Any]:
    """Return what a tool takes; unknown arguments are refused."""
    schema = _plain(op.input.model_json_schema())
    if is_list(op):
        schema["properties"]["limit"]["default"] = PAGE
    return schema


def output_schema(op: AnyOperation) -> dict[str, Any]:
    """Return what a tool answers: always an object, as clients before 2026-07-28 want it."""
    schema = _plain(TypeAdapter(op.output).json_schema(mode="serialization"))
    return {"type": "object", **schema}


def is_list(op: AnyOperation) -> bool:
    """Tell whether an operation answers in pages."""
    return "limit" in op.input.model_fields


def with_page(op: AnyOperation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with a model's page size, where it gave none."""
    return {"limit": PAGE, **arguments} if is_list(op) else dict(arguments)


def _plain(schema: Any) -> Any:
    """Return a schema in as few words as say the same: titles only repeat names, and null is one more type."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {
        key: {name: _plain(one) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    return _with_null(plain)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    match schema.get("anyOf"):
        case [{"type": str(kind), **rest}, {"type": "null"}] if "enum" not in rest:
            others = {key: value for key, value in schema.items() if key != "anyOf"}
            return {"type": [kind, "null"], **rest, **others}
        case _:
            return schema
