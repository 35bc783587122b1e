"""Read the values out of a request's body or query string, in the formats that common tools write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, MultipartState, create_form_parser

from connector.errors import FieldError, InvalidInput
from connector.text.json import MAX_NESTING, UNSTORABLE, parse_json, unstorable

MAX_BODY_BYTES = 20 * 1024 * 1024
MAX_FORM_FIELDS = 10_000
MAX_FIELDS = 100_000
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4_096


class BodyTooLarge(InvalidInput, code="body_too_large", http_status=413):
    """The body is larger than we read."""


class DuplicateHeader(InvalidInput, code="duplicate_header", http_status=400):
    """A header that may stand once stands twice."""


class UnsupportedContentType(InvalidInput, code="unsupported_content_type", http_status=415):
    """The body is in a format that the server does not read."""


def parse_body(content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the values of a JSON, urlencoded or multipart body; an empty body has none.

    No content type means JSON. One object in an array counts as that object, `a__b` keys become objects, and
    repeated or `[]` form keys lists. Raises `InvalidInput` (`malformed_json`, `malformed_form`),
    `BodyTooLarge` and `UnsupportedContentType`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise too_large(MAX_BODY_BYTES)
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if not body.strip():
        return {}
    if media_type in {"", "application/json", "text/json"} or media_type.endswith("+json"):
        return unflatten(_one_object(parse_json(body)))
    if media_type == "application/x-www-form-urlencoded":
        return parse_pairs(_urlencoded(body))
    if media_type == "multipart/form-data":
        return parse_pairs(_multipart(content_type or "", body))
    raise UnsupportedContentType(
        "Content-Type: send application/json, application/x-www-form-urlencoded or multipart/form-data."
    )


def too_large(most: int) -> BodyTooLarge:
    """Return the error for a body above the limit, in bytes."""
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return BodyTooLarge(f"The body is larger than {size}; send it in several requests.")


def parse_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of a form or query: repeated keys and `key[]` are lists, `a__b` keys objects."""
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
                raise _duplicate(key)
            target = child
        leaf = path[-1]
        present = target.get(leaf)
        if isinstance(present, dict) and isinstance(value, dict) and not present.keys() & value.keys():
            target[leaf] = {**present, **value}
        elif leaf in target:
            raise _duplicate(key)
        else:
            target[leaf] = dict(value) if isinstance(value, dict) else value
    return nested


def _one_object(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise InvalidInput(
            "The body must be one JSON object with the fields of this operation.",
            errors=[FieldError("", "must be one JSON object")],
        )
    if len(value) > MAX_FIELDS:
        detail = f"has more than {MAX_FIELDS:,} fields"
        raise InvalidInput(f"The body {detail}; send fewer.", errors=[FieldError("", detail)])
    return value


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a urlencoded body. Raises `InvalidInput` (`malformed_form`)."""
    if body.count(b"&") >= MAX_FORM_FIELDS:
        raise _too_many_fields()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise _malformed_form("is not valid in UTF-8") from None


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a multipart body; a file counts as its text. Raises as `_urlencoded`."""
    # Files stay in memory: an upload must not remain in a temporary directory.
    limits = {
        "MAX_MEMORY_FILE_SIZE": len(body) + 1,
        "MAX_HEADER_COUNT": MAX_PART_HEADERS,
        "MAX_HEADER_SIZE": MAX_PART_HEADER_BYTES,
    }
    parts: list[tuple[bytes | None, bytes]] = []

    def keep(name: bytes | None, value: bytes) -> None:
        if len(parts) >= MAX_FORM_FIELDS:  # the parser's own limit does not count parts of multipart bodies
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
            # the parser drops the last field silently; without it the operation might spend
            raise _malformed_form("ends before its closing boundary; send it whole")
        return [((name or b"").decode(), value.decode()) for name, value in parts]
    except (FormParserError, ValueError):
        raise _malformed_form(
            f"is not valid in UTF-8, or a part has over {MAX_PART_HEADERS} headers "
            f"or one over {MAX_PART_HEADER_BYTES:,} bytes"
        ) from None


def _malformed_form(detail: str) -> InvalidInput:
    return InvalidInput(f"The form {detail}.", code="malformed_form")


def _too_many_fields() -> InvalidInput:
    return _malformed_form(f"has more than {MAX_FORM_FIELDS:,} fields; send fewer, or send JSON")


def _duplicate(key: str) -> InvalidInput:
    return InvalidInput.of(key[:80], "is given twice; give it once")
