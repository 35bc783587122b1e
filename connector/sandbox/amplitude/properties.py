"""Change a user's properties: each change makes a new dict, so that events keep the one of their arrival."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Properties = Mapping[str, Any]
Apply = Callable[[dict[str, Any], str, Any], object]


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


def _add(properties: dict[str, Any], key: str, value: Any) -> None:
    before = properties.get(key, 0)
    properties[key] = before + value if type(before) in {int, float} else value


def _remove(properties: dict[str, Any], key: str, value: Any) -> None:
    if key in properties:
        properties[key] = _absent(_as_list(properties[key]), _as_list(value))


def _listed(joined: Callable[[list[Any], list[Any]], list[Any]]) -> Apply:
    """Return the operator that joins the present list and the new one."""

    def apply(properties: dict[str, Any], key: str, value: Any) -> None:
        properties[key] = joined(_as_list(properties.get(key)), _as_list(value))

    return apply


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _absent(items: list[Any], others: list[Any]) -> list[Any]:
    """Return the items that are not among the others."""
    return [item for item in items if item not in others]


# JSON objects have no order, so the stand-in needs one of its own.
_APPLY: Final[Mapping[str, Apply]] = {
    "$unset": lambda properties, key, _: properties.pop(key, None),
    "$set": dict.__setitem__,
    "$setOnce": dict.setdefault,
    "$add": _add,
    "$append": _listed(lambda before, new: before + new),
    "$prepend": _listed(lambda before, new: new + before),
    "$preInsert": _listed(lambda before, new: _absent(new, before) + before),
    "$postInsert": _listed(lambda before, new: before + _absent(new, before)),
    "$remove": _remove,
}
OPERATORS: Final = frozenset({"$clearAll", *_APPLY})
