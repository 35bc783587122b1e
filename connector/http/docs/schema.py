"""Put JSON schemas into words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

REF = "#/components/schemas/{model}"

NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


def resolved(schema: Schema, definitions: Schema) -> Schema:
    """Follow a reference into the definitions; return a schema without a reference unchanged."""
    reference = schema.get("$ref")
    target: Schema = definitions[reference.rpartition("/")[2]] if reference else schema
    return target


def in_words(schema: Schema, definitions: Schema) -> str:
    """Name the values that a schema allows: "text", "list of whole number", "`text` or `voice`"."""
    schema = resolved(schema, definitions)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(dict.fromkeys(in_words(member, definitions) for member in _not_null(schema)))
    if schema.get("type") == "array":
        return f"list of {in_words(schema.get('items', {}), definitions)}"
    return NAMES.get(str(schema.get("type")), "anything")


def nullable(schema: Schema) -> bool:
    """Tell whether null is one of the alternatives."""
    return any(member.get("type") == "null" for member in _members(schema))


def inside(schema: Schema, definitions: Schema) -> Schema | None:
    """Return the first schema with named properties in a schema or its list items, or None."""
    schema = resolved(schema, definitions)
    if schema.get("properties"):
        return schema
    parts = [*_members(schema), *([schema["items"]] if "items" in schema else [])]
    return next((found for part in parts if (found := inside(part, definitions))), None)


def _members(schema: Schema) -> list[Schema]:
    members: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return members


def _not_null(schema: Schema) -> list[Schema]:
    members = _members(schema)
    return [member for member in members if member.get("type") != "null"] or members
