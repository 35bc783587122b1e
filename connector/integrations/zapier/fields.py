"""Turn the JSON schemas of inputs and outputs into fields of a Zapier app."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connector.http.docs.schema import Schema, nullable, resolved

DROP_DOWNS = {"connection": "connections.id.name", "cohort_id": "cohorts.id.name"}
LONG_TEXTS = frozenset({"csv"})
ACRONYMS = {"id": "ID", "ids": "IDs", "url": "URL", "csv": "CSV", "eta": "ETA"}
SMALL_WORDS = frozenset(
    {"a", "an", "and", "as", "at", "by", "did", "for", "in", "of", "on", "or", "the", "to"}
)
_SAMPLE_TYPES = {bool: "boolean", int: "integer", float: "number"}


def title_case(words: str) -> str:
    """Return words as Zapier wants its labels, such as "Sync an Interview to Amplitude"."""
    first, *others = words.replace("_", " ").split()
    return " ".join([_capital(first), *(word if word in SMALL_WORDS else _capital(word) for word in others)])


def input_fields(schema: Schema, definitions: Schema, *, without: frozenset[str]) -> list[dict[str, Any]]:
    """Return a field for each property of an input; required fields come first."""
    required = schema.get("required", [])
    fields = [
        {
            "key": name,
            "label": title_case(name),
            "required": name in required,
            **_input(name, field, definitions),
        }
        for name, field in schema["properties"].items()
        if name not in without
    ]
    return sorted(fields, key=lambda field: not field["required"])


def output_fields(properties: Mapping[str, Schema], definitions: Schema) -> list[dict[str, Any]]:
    """Return a field for each plain value and each list of strings in an answer."""
    return list(_outputs(properties, definitions))


def with_sample(fields: Iterable[dict[str, Any]], sample: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields, and one for each further key of a sample, as `parent__child` and `rows[]child`."""
    by_key = {field["key"]: field for field in fields}
    for field in _of_sample(sample, ""):
        by_key.setdefault(field["key"], field)
    return list(by_key.values())


def _of_sample(sample: Mapping[str, Any], above: str) -> Iterator[dict[str, Any]]:
    for name, value in sample.items():
        key = f"{above}{name}"
        field = {"key": key, "label": title_case(key.replace("[]", " ")), "type": "string"}
        match value:
            case {} if value:
                yield from _of_sample(value, f"{key}__")
            case [{}, *_]:
                yield from _of_sample({one: row[one] for row in value for one in row}, f"{key}[]")
            case list():
                yield {**field, "list": True}
            case _:
                yield {**field, "type": _SAMPLE_TYPES.get(type(value), "string")}


def _capital(word: str) -> str:
    return ACRONYMS.get(word, word[:1].upper() + word[1:])


def _input(name: str, field: Schema, definitions: Schema) -> dict[str, Any]:
    kind = _without_null(field, definitions)
    item = resolved(kind.get("items", {}), definitions)
    if lines := [
        {"key": key, "label": title_case(key), "type": "string", "helpText": part["description"]}
        for key, part in item.get("properties", {}).items()
        if _without_null(part, definitions).get("type") == "string"
    ]:
        return {"children": lines}  # Zapier takes no help text beside line items
    shown = {"helpText": field["description"], **_zapier_type(name, kind)}
    default = field.get("default")
    if isinstance(default, str | int) and not isinstance(default, bool):
        shown["default"] = str(default)
    return shown


def _zapier_type(name: str, kind: Schema) -> dict[str, Any]:
    if name in DROP_DOWNS:
        return {"type": "string", "dynamic": DROP_DOWNS[name]}
    if "enum" in kind:
        return {"type": "string", "choices": {choice: title_case(choice) for choice in kind["enum"]}}
    match kind.get("type"):
        case "array":
            return {"type": "string", "list": True}
        case "object":
            return {"type": "string", "dict": True}
        case "integer" | "number" | "boolean" as plain:
            return {"type": plain}
        case _:
            return {"type": "text" if name in LONG_TEXTS else "string"}


def _outputs(properties: Mapping[str, Schema], definitions: Schema) -> Iterator[dict[str, Any]]:
    for name, field in properties.items():
        kind = _without_null(field, definitions)
        label = {"key": name, "label": title_case(name)}
        plain = kind.get("type", "string")
        if plain == "array":
            if _without_null(kind.get("items", {}), definitions).get("type") == "string":
                yield {**label, "type": "string", "list": True}
        elif plain != "object":
            dated = name == "timestamp" or name.endswith("_at")
            yield {**label, "type": "datetime" if dated else plain}


def _without_null(field: Schema, definitions: Schema) -> Schema:
    """Return the schema of a field without null."""
    if not nullable(field):
        return resolved(field, definitions)
    return next(resolved(kind, definitions) for kind in field["anyOf"] if kind.get("type") != "null")
