"""Write a value as a cell of CSV that no spreadsheet takes for a formula, and no terminal for a command."""

from __future__ import annotations

import re
from typing import Any

from connector.text.json import dumps

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Replace control characters: text from outside may hold a terminal's escape sequences."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def cell(value: Any) -> Any:
    """Return a JSON value as a cell: an apostrophe precedes what would be a formula."""
    if isinstance(value, list):
        value = ", ".join(item if isinstance(item, str) else dumps(item) for item in value)
    elif isinstance(value, dict):
        value = dumps(value)
    if not isinstance(value, str):
        return value
    value = _DIRECTION.sub("", value)  # invisible, and a letter greets the person by this name
    return clean(f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value)
