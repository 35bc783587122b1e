"""PURE: the bytes of a request to the values in it, whatever tool wrote them."""

from __future__ import annotations

from typing import Any

from connector.errors import FieldError, InvalidInput
from connector.http.form import (
    multipart,
    parse_pairs,
    unflatten,
    urlencoded,
)
from connector.text.json import parse_json

MAX_BODY_BYTES = 20 * 1024 * 1024


class BodyTooLarge(InvalidInput):
    """The body is larger than we read."""

    code = "body_too_large"


class DuplicateHeader(InvalidInput):
    """A header that may stand once stands twice."""

    code = "duplicate_header"


class UnsupportedContentType(InvalidInput):
    """The body is in a format that we do not read."""

    code = "unsupported_content_type"


def parse_body(content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the values of a JSON, urlencoded or multipart body; an empty body has none.

    No content type means JSON. One object in an array counts as that object, `a__b` keys become objects, and
    repeated or `[]` form keys lists. Raises `InvalidInput` (`malformed_json`, `malformed_form`),
    `BodyTooLarge` and `UnsupportedContentType`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise too_large()
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if not body.strip():
        return {}
    if media_type in {"", "application/json", "text/json"} or media_type.endswith("+json"):
        return unflatten(_one_object(parse_json(body)))
    if media_type == "application/x-www-form-urlencoded":
        return parse_pairs(urlencoded(body))
    if media_type == "multipart/form-data":
        return parse_pairs(multipart(content_type or "", body))
    raise UnsupportedContentType(
        "Content-Type: send application/json, application/x-www-form-urlencoded or multipart/form-data."
    )


def too_large() -> BodyTooLarge:
    """Return the error for a body above the limit."""
    return BodyTooLarge("The body is larger than 20 MiB; send it in several requests.")


def _one_object(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return value
    raise InvalidInput(
        "The body must be one JSON object with the fields of this operation.",
        errors=[FieldError("", "must be one JSON object")],
    )
