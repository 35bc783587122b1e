"""PURE: forms and query strings to values, and flat keys to nested ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, MultipartState, create_form_parser

from connector.errors import InvalidInput
from connector.text.json import MAX_NESTING, UNSTORABLE, unstorable

MAX_FORM_FIELDS = 10_000
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4_096


def parse_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what a form or query string holds: repeated keys and `key[]` are lists, `a__b` keys objects."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if UNSTORABLE.search(key) or UNSTORABLE.search(value):
            raise unstorable()
        name = key.removesuffix("[]")
        if name not in values:
            values[name] = [value] if name != key else value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return unflatten(values)


def unflatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with `a__b` keys as nested objects. Raises `InvalidInput` when two collide."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        path = key.split("__")
        if not all(path) or len(path) > MAX_NESTING:
            path = [key]
        target = nested
        for step in path[:-1]:
            child = target.setdefault(step, {})
            if not isinstance(child, dict):
                raise _given_twice(key)
            target = child
        leaf = path[-1]
        present = target.get(leaf)
        if isinstance(present, dict) and isinstance(value, dict) and not present.keys() & value.keys():
            target[leaf] = {**present, **value}
        elif leaf in target:
            raise _given_twice(key)
        else:
            target[leaf] = dict(value) if isinstance(value, dict) else value
    return nested


def urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of an urlencoded body. Raises `InvalidInput` with code `malformed_form`."""
    if body.count(b"&") >= MAX_FORM_FIELDS:
        raise _too_many_fields()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise _malformed_form() from None


def multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a multipart body; a file is the text in it. Raises as `urlencoded`."""
    # Files stay in memory: what people uploaded is not to lie about in a temporary directory.
    limits = {
        "MAX_MEMORY_FILE_SIZE": len(body) + 1,
        "MAX_HEADER_COUNT": MAX_PART_HEADERS,
        "MAX_HEADER_SIZE": MAX_PART_HEADER_BYTES,
    }
    parts: list[tuple[bytes | None, bytes]] = []

    def keep(name: bytes | None, value: bytes) -> None:
        if len(parts) >= MAX_FORM_FIELDS:  # the parser's own limit counts no parts of multipart bodies
            raise _too_many_fields()
        parts.append((name, value))

    def on_field(field: Field) -> None:
        keep(field.field_name, field.value or b"")

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        value = file.file_object.read()
        file.close()
        keep(file.field_name, value)

    try:
        parser = create_form_parser({"Content-Type": content_type.encode()}, on_field, on_file, config=limits)
        parser.write(body)
        parser.finalize()
        if getattr(parser.parser, "state", None) is not MultipartState.END:
            # what the parser drops without a word may be the field that keeps an operation from spending
            raise InvalidInput(
                "The form ends before its closing boundary; send it whole.", code="malformed_form"
            )
        return [((name or b"").decode(), value.decode()) for name, value in parts]
    except (FormParserError, ValueError):
        raise _malformed_form(
            f", or a part has over {MAX_PART_HEADERS} headers or one over {MAX_PART_HEADER_BYTES:,} bytes"
        ) from None


def _malformed_form(more: str = "") -> InvalidInput:
    return InvalidInput(f"The body is not a valid form in UTF-8{more}.", code="malformed_form")


def _too_many_fields() -> InvalidInput:
    return InvalidInput(
        f"The form has more than {MAX_FORM_FIELDS:,} fields; send fewer, or send JSON.", code="malformed_form"
    )


def _given_twice(key: str) -> InvalidInput:
    return InvalidInput.of(key[:80], "is given twice; give it once")
