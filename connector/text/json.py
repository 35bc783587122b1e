"""Read and write JSON: our own text fast, strangers' text with care. Integers stay exact."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

import orjson

from connector.errors import InvalidInput

MAX_NESTING = 64

# Escapes that decode to text that no database stores: NUL and halves of a surrogate pair.
SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)  # NaN and its like are no JSON: not known
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DIGITS_TO_ZERO = bytes(ord("0") if byte in b"0123456789" else byte for byte in range(256))
_BEYOND_64_BITS = b"0" * 19  # the shortest integer that orjson makes a float of is -2^63 - 1
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9]{19}|^-?[0-9]{19}")


def dumps(value: Any) -> str:
    """Return compact JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits, half of a surrogate pair
        return _ENCODER.encode(value)


def loads(text: str) -> Any:
    """Return the value of JSON text, with integers of any size. Raises `ValueError` or `RecursionError`."""
    if _has_long_number(text.encode("utf-8", "replace")):
        return _DECODER.decode(text)
    return loads_64_bits(text)


def _has_long_number(written: bytes) -> bool:
    # first what is cheap to look for, though it is found in texts too
    return _BEYOND_64_BITS in written.translate(_DIGITS_TO_ZERO) and bool(_LONG_NUMBER.search(written))


def loads_64_bits(text: str) -> Any:
    """Return the value of JSON text in which no integer is beyond 64 bits; raises as `loads` does."""
    try:
        return orjson.loads(text)
    except ValueError:  # also NaN, and half of a surrogate pair, which the standard library reads
        return _DECODER.decode(text)


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object in a body, or None if the body is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a stranger's body: its nesting is bounded, and databases can store its text.

    Raises `InvalidInput` (`malformed_json`, `nested_too_deep`).
    """
    try:
        value = _parse(body.decode("utf-8-sig"))
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise _malformed_json(f" (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        raise _malformed_json("") from None
    _check_nesting(value)
    if SUSPECT_ESCAPE.search(body) and _holds_unstorable(value):
        raise unstorable()
    return value


def _parse(text: str) -> Any:
    # As bytes, json would accept lone surrogates, and encodings other than UTF-8 (RFC 8259).
    if not _has_long_number(text.encode("utf-8", "replace")):
        with suppress(ValueError):  # holds other threads up for a fifth of the time; json knows the place
            return orjson.loads(text)
    return json.loads(text, parse_constant=_refuse_constant)


def unstorable() -> InvalidInput:
    """Return the error for text that no database stores."""
    return InvalidInput("The body holds text that is not valid Unicode, or a NUL character; remove it.")


def _check_nesting(value: Any) -> None:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _holds_unstorable(value: Any) -> bool:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str) and UNSTORABLE.search(item):
            return True
        if isinstance(item, dict):
            rest.extend(item.keys())
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
    return False


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _malformed_json(place: str) -> InvalidInput:
    return InvalidInput(f"The body is not valid JSON{place}.", code="malformed_json")


def _too_deep() -> InvalidInput:
    return InvalidInput(f"The body is nested deeper than {MAX_NESTING} levels.", code="nested_too_deep")
