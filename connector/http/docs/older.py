"""Write the OpenAPI document in version 3.0, for importers that do not know 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_VALUES: Final = frozenset({"default", "enum", "example", "examples", "required", "security"})
"""Keys whose values are data, and no schemas."""


def openapi_3_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of version 3.1 in version 3.0."""
    older: dict[str, Any] = _older(document)
    return {**older, "openapi": "3.0.3"}


def _older(part: Any) -> Any:
    if isinstance(part, list):
        return [_older(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    older = {
        key: value
        if key in _VALUES
        else {name: _older(field) for name, field in value.items()}
        if key == "properties"
        else _older(value)
        for key, value in part.items()
    }
    if isinstance(examples := older.get("examples"), list):
        del older["examples"]
        older.setdefault("example", examples[0])
    if "const" in older:
        older["enum"] = [older.pop("const")]
    return _nullable(older)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with `nullable` for null as a type, and without words beside a reference."""
    kinds = schema.pop("anyOf", None)
    if kinds is None:
        reference = {"$ref": schema.pop("$ref")} if "$ref" in schema else None
        return schema if reference is None else {"allOf": [reference], **schema} if schema else reference
    rest = [kind for kind in kinds if kind != {"type": "null"}]
    if len(rest) < len(kinds):
        rest = [_or_null(kind) for kind in rest]
        if schema.get("default", ...) is None:  # an object behind a reference may not be null
            del schema["default"]
    return {**rest[0], **schema} if len(rest) == 1 else {**schema, "anyOf": rest}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"type": "object", "nullable": True, "allOf": [schema]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, **more, "nullable": True}
