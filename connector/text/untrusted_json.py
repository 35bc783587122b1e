"""PURE: JSON from strangers: bounded in depth, and text that every store can hold."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from connector.errors import InvalidInput

MAX_NESTING = 64

# Escapes that decode to text which no store takes: NUL and halves of a surrogate pair.
SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(body: bytes) -> Any:
    """Return a JSON value of bounded nesting. Raises `InvalidInput` with code `malformed_json`."""
    try:
        # Given bytes, json would let lone surrogates and other encodings than UTF-8 (RFC 8259) through.
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
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


def unstorable() -> InvalidInput:
    """Return the error for text that no store takes."""
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
