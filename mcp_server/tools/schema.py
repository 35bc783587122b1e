"""PURE: JSON schemas in as few words as say the same: every model that is connected pays for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_server.tools.field_words import ANSWERED, SUMMED_UP, TAKEN

_JUDGED_BY_US = frozenset({"pattern", "minLength", "maxLength", "maxItems"})
"""Bounds that a refusal tells as well."""


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without references, titles and the docstrings of models."""
    defs: Mapping[str, Any] = schema.get("$defs", {})
    plain = _plain({key: value for key, value in schema.items() if key != "$defs"}, defs)
    assert isinstance(plain, dict)  # noqa: S101 - an object's schema is one
    plain.pop("description", None)
    return plain


def of_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool takes; null only says that an argument is not given, so that no type names it."""
    plain = inlined(schema)
    plain["properties"] = {
        name: _briefly(name, _without_null(value), TAKEN) for name, value in plain["properties"].items()
    }
    return plain


def of_output(schema: Mapping[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    """Return what a tool answers, without `left_out`: one object, also of an answer in several shapes."""
    plain = inlined(schema)
    properties: dict[str, Any] = {}
    for shape in plain.get("anyOf", [plain]):
        properties |= {name: value for name, value in shape["properties"].items() if name not in properties}
    return _kept({"type": "object", "properties": properties}, left_out, "")


def _plain(schema: Any, defs: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_plain(one, defs) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if (reference := schema.get("$ref")) is not None:
        model = dict(_plain(defs[str(reference).rpartition("/")[2]], defs))
        model.pop("description", None)
        return {**model, **{key: value for key, value in schema.items() if key != "$ref"}}
    plain = {
        key: {name: _plain(one, defs) for name, one in value.items()}
        if key == "properties"
        else _plain(value, defs)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
        and not (key == "additionalProperties" and value is True)
        and key not in _JUDGED_BY_US
    }
    return _with_null(plain)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    match schema.get("anyOf"):
        case [{"type": str(kind)} as some, {"type": "null"}] if "enum" not in some:
            others = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**some, "type": [kind, "null"], **others}
        case _:
            return schema


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(schema)
    match plain.get("type"), plain.get("anyOf"):
        case [str(kind), "null"], None:
            plain["type"] = kind
        case None, [dict() as only, {"type": "null"}]:
            del plain["anyOf"]
            plain = {**only, **plain}
    if isinstance(items := plain.get("items"), dict) and "properties" in items:
        fields = {name: _without_null(one) for name, one in items["properties"].items()}
        plain["items"] = {**items, "properties": fields}
    return plain


def _briefly(name: str, schema: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    return {**schema, "description": words[name]} if name in words else schema


def _kept(schema: dict[str, Any], left_out: frozenset[str], path: str) -> dict[str, Any]:
    """Return a schema without fields that are left out, and without telling that the others are there."""
    schema = {key: value for key, value in schema.items() if key != "required"}
    if path.rpartition(".")[0] in SUMMED_UP:
        summed = {key: value for key, value in schema.items() if key != "properties"}
        return {**summed, "items": {"type": "object"}} if "items" in summed else summed
    if "properties" in schema:
        schema["properties"] = {
            name: _briefly(name, _kept(value, left_out, f"{path}{name}."), ANSWERED)
            for name, value in schema["properties"].items()
            if f"{path}{name}" not in left_out
        }
    if isinstance(items := schema.get("items"), dict):
        schema["items"] = _kept(items, left_out, path)
    return schema
