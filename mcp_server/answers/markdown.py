"""PURE: write values as short Markdown without empty ones; text from outside never begins a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lines(values: Mapping[str, Any]) -> list[str]:
    """Return a line for each value, and one for each row of a list."""
    found: list[str] = []
    for name, value in values.items():
        if _is_empty(value):
            continue
        if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            found += [f"- {name}:", *(f"  - {_inline(one)}" for one in value)]
        else:
            found.append(f"- {name}: {_inline(value)}")
    return found


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return "; ".join(f"{name}: {_inline(one)}" for name, one in value.items() if not _is_empty(one))
        case str():
            return " ".join(value.split())
        case Sequence():
            return ", ".join(_inline(one) for one in value)
        case _:
            return str(value)


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value in ([], {})
