from __future__ import annotations

from typing import Any

import pytest

from connector.sandbox.amplitude.properties import apply_user_properties

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
        ({"a": 1}, {"$set": {"a": 2}}, {"a": 2}),
        ({"a": 1}, {"$setOnce": {"a": 2, "b": 2}}, {"a": 1, "b": 2}),
        ({"a": 1}, {"$add": {"a": 2, "b": 3}}, {"a": 3, "b": 3}),
        ({"a": [1]}, {"$append": {"a": 1, "b": [2]}}, {"a": [1, 1], "b": [2]}),
        ({"a": "x"}, {"$prepend": {"a": ["y", "z"]}}, {"a": ["y", "z", "x"]}),
        ({"a": 1, "b": 2}, {"$unset": {"a": "-", "c": "-"}}, {"b": 2}),
        ({"a": [1]}, {"$preInsert": {"a": [1, 2]}}, {"a": [2, 1]}),
        ({"a": [1]}, {"$postInsert": {"a": [1, 2]}}, {"a": [1, 2]}),
        ({"a": [1, 2, 1]}, {"$remove": {"a": 1, "b": 1}}, {"a": [2]}),
        ({"a": 1}, {"$clearAll": "-"}, {}),
        ({"a": 1}, {"$unset": {"b": "-"}, "$set": {"c": 1}}, {"a": 1, "c": 1}),
    ],
)
def test_operators(before: dict[str, Any], change: dict[str, Any], after: dict[str, Any]) -> None:
    kept = dict(before)
    assert apply_user_properties(before, change) == after
    assert before == kept
