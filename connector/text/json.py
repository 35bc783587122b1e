"""JSON text by the thousand: orjson, and the standard library for the few values that orjson refuses."""

from __future__ import annotations

import json
from typing import Any

import orjson

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)  # NaN and its like are no JSON: not told
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(value: Any) -> str:
    """Return compact JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits, half of a surrogate pair
        return _ENCODER.encode(value)


def loads(text: str) -> Any:
    """Return the value behind JSON text. Raises `ValueError` or `RecursionError` for what is none."""
    try:
        return orjson.loads(text)
    except ValueError:  # also NaN, and half of a surrogate pair, which the standard library reads
        return _DECODER.decode(text)
