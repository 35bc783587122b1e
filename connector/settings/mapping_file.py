"""Read `mapping.toml`: the event and user properties that are computed from interviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connector.domain.results.added_properties import MOST, SEEN, AddedProperties, wrong_name
from connector.domain.results.expressions import fault_in

_EVENT: Final = "event_properties"
_USER: Final = "user_properties"


def expressions_of(content: Mapping[str, Any]) -> AddedProperties:
    """Return the expressions in a file's tables. Raises `ValueError` for the first that is wrong."""
    if other := next((name for name in content if name not in (_EVENT, _USER)), None):
        raise ValueError(f"{other} is not one of the tables [{_EVENT}] and [{_USER}]")
    return AddedProperties(_table(content, _EVENT), _table(content, _USER))


def _table(content: Mapping[str, Any], table: str) -> Mapping[str, str]:
    found = content.get(table, {})
    if not isinstance(found, dict) or len(found) > MOST:
        raise ValueError(f"{table} must be a table of at most {MOST} properties")
    for name, expression in found.items():
        if wrong := wrong_name(name) or _wrong(expression):
            raise ValueError(f"{name} {wrong}")
    return found


def _wrong(expression: Any) -> str | None:
    if not isinstance(expression, str):
        return "must be a JMESPath expression in quotation marks, as \"'koji'\""
    fault = fault_in(expression, SEEN)
    return fault and f"{fault.words} (character {fault.at + 1} of its expression)"
