"""Find a user property under the names that Amplitude, spreadsheets and people give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector.text.redaction import safe
from connector.text.table import spelling

_PREFIX = "gp:"  # Amplitude writes so before user properties in several of its formats
_MOST_NAMES = 10
_LONGEST_NAME = 60


def property_of(properties: Mapping[str, Any], name: str) -> Any:
    """Return a property, or, where it is absent or empty, the first that is the same but for its spelling.

    `gp:email`, `Email`, `E-mail` and `Email Address` are found as `email`.
    """
    value = properties.get(name)
    if value not in (None, ""):
        return value
    wanted = spelling(name)
    for other, its_value in properties.items():
        if its_value not in (None, "") and spelling(other) == wanted:
            return its_value
    return value


def spellings(name: str) -> list[str]:
    """Return the names under which a cohort's download may hold a property, the exact one first."""
    plain = name.removeprefix(_PREFIX)
    forms = [name, _PREFIX + plain, plain.lower(), plain.capitalize()]
    return list(dict.fromkeys([*forms, "E-mail", "Email Address"] if spelling(name) == "email" else forms))


def carried(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the first properties that rows carry, for the caller who may choose one."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(safe(name)[:_LONGEST_NAME] for name in [*row][:_MOST_NAMES]))
        if len(names) >= _MOST_NAMES:
            break
    return tuple(names)[:_MOST_NAMES]
