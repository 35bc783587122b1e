"""Quotas: so many people for each value of a user property."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict

from connector.domain.people.name import IDENTIFYING
from connector.domain.people.properties import property_of
from connector.domain.people.same_person import Member
from connector.errors import InvalidInput
from connector.text.table import spelling
from connector.text.values import text

MOST_CELLS = 200
_LONGEST = 256


class Quota(TypedDict):
    """`per_value` people for each value that occurs, or a number for each of `values`; as it is stored."""

    property: str
    per_value: NotRequired[int]
    values: NotRequired[Mapping[str, int]]


class Cell(NamedTuple):
    """The people with one value: how many are wanted, may be invited, are invited, and came back."""

    value: str
    wanted: int
    available: int
    to_invite: int
    completed: int

    @property
    def short(self) -> bool:
        """Tell whether fewer people are there than are wanted."""
        return self.available < self.wanted


def cell_of(value: Any) -> str | None:
    """Return a property's value as the name of a cell, or None without one."""
    shown = str(value).lower() if isinstance(value, bool) else text(value)
    return None if shown is None else shown[:_LONGEST]


def wanted(quota: Quota, value: str | None) -> int:
    """Return how many people with a value are wanted; none without a value."""
    if value is None:
        return 0
    return quota["values"].get(value, 0) if "values" in quota else quota["per_value"]


def require_group(name: str, field: str, others: Collection[str]) -> None:
    """Raise `InvalidInput` for a property that names one person: it is among `others`, or known for that."""
    if spelling(name) in IDENTIFYING.union(map(spelling, others)):
        detail = "the property names single people; give one that many people share, such as plan"
        raise InvalidInput.of(field, detail, code="personal_property")


def require_few(values: Collection[str], field: str) -> None:
    """Raise `InvalidInput` for more values of a field's property than can be counted apart, or addresses."""
    if any("@" in value for value in values):
        detail = "values of the property look like e-mail addresses; give another property"
        raise InvalidInput.of(field, detail, code="personal_property")
    if len(values) > MOST_CELLS:
        detail = f"the property has more than {MOST_CELLS} values; give another property"
        raise InvalidInput.of(field, detail, code="too_many_values")


def valued(
    member: Member, properties: Mapping[str, Any], quota: str | None, segment_by: str | None
) -> Member:
    """Return a member with the values of the quota's property and of the property of the segments."""
    if quota is None and segment_by is None:
        return member
    cell, segment = (
        None if name is None else cell_of(property_of(properties, name)) for name in (quota, segment_by)
    )
    return member._replace(cell=cell, segment=segment)


def cells(
    quota: Quota, available: Mapping[str, int], invited: Mapping[str | None, tuple[int, int]]
) -> list[Cell]:
    """Return the cells of a quota, by value; `invited` are (to invite, completed)."""
    values = quota.get("values") or available
    return [
        Cell(value, wanted(quota, value), available.get(value, 0), *invited.get(value, (0, 0)))
        for value in sorted(values)
    ]
