"""How a user's properties change: each change makes a new dict, so that events keep the one of their time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Properties = Mapping[str, Any]


def apply_user_properties(current: Properties, change: Properties) -> Properties:
    """Return the properties after `change`: plain keys are set, `$` keys are Amplitude's identify operators.

    Amplitude Identify API: `$set`, `$setOnce`, `$add`, `$append`, `$prepend`, `$unset`, `$preInsert`,
    `$postInsert`, `$remove`, `$clearAll`. `current` is never changed.
    """
    if not change:
        return current
    if not next(iter(change)).startswith("$"):
        return {**current, **change}
    result: dict[str, Any] = {} if "$clearAll" in change else dict(current)
    for operator, apply in _APPLY.items():
        values = change.get(operator)
        if values:
            for key, value in values.items():
                apply(result, key, value)
    return result


def _unset(properties: dict[str, Any], key: str, _value: Any) -> None:
    properties.pop(key, None)


def _set(properties: dict[str, Any], key: str, value: Any) -> None:
    properties[key] = value


def _set_once(properties: dict[str, Any], key: str, value: Any) -> None:
    properties.setdefault(key, value)


def _add(properties: dict[str, Any], key: str, value: Any) -> None:
    before = properties.get(key, 0)
    properties[key] = before + value if type(before) in {int, float} else value


def _append(properties: dict[str, Any], key: str, value: Any) -> None:
    properties[key] = _as_list(properties.get(key)) + _as_list(value)


def _prepend(properties: dict[str, Any], key: str, value: Any) -> None:
    properties[key] = _as_list(value) + _as_list(properties.get(key))


def _pre_insert(properties: dict[str, Any], key: str, value: Any) -> None:
    before = _as_list(properties.get(key))
    properties[key] = _absent(value, before) + before


def _post_insert(properties: dict[str, Any], key: str, value: Any) -> None:
    before = _as_list(properties.get(key))
    properties[key] = before + _absent(value, before)


def _remove(properties: dict[str, Any], key: str, value: Any) -> None:
    if key in properties:
        gone = _as_list(value)
        properties[key] = [item for item in _as_list(properties[key]) if item not in gone]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _absent(value: Any, before: list[Any]) -> list[Any]:
    return [item for item in _as_list(value) if item not in before]


# JSON objects have no order, so the stand-in needs one of its own.
_APPLY: Final[Mapping[str, Callable[[dict[str, Any], str, Any], None]]] = {
    "$unset": _unset,
    "$set": _set,
    "$setOnce": _set_once,
    "$add": _add,
    "$append": _append,
    "$prepend": _prepend,
    "$preInsert": _pre_insert,
    "$postInsert": _post_insert,
    "$remove": _remove,
}
OPERATORS: Final = frozenset({"$clearAll", *_APPLY})
