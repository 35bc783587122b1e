"""A cohort from a CSV file."""

from __future__ import annotations

import csv
import io
from typing import Any

from connector.errors import InvalidInput

_OWN = ("user_id", "email", "name")


def read_members(field: str, text: str) -> list[dict[str, Any]]:
    """Return the people of a CSV file with a header row; columns other than ours are user properties.

    Raises `InvalidInput` that names the line.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    people: list[dict[str, Any]] = []
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {"user_id", "email"} & set(names):
            raise InvalidInput.of(field, "the file has no column user_id or email in its header row")
        reader.fieldnames = names
        for row in reader:
            if None in row or None in row.values():
                raise InvalidInput.of(
                    field, f"line {reader.line_num} has another number of cells than the header"
                )
            if any(value.strip() for value in row.values()):
                people.append(_person(row))
    except csv.Error:
        raise InvalidInput.of(field, f"the file cannot be read as CSV near line {reader.line_num}") from None
    if not people:
        raise InvalidInput.of(field, "the file names nobody")
    return people


def _person(row: dict[str, str]) -> dict[str, Any]:
    told = {name: value.strip() for name, value in row.items() if value.strip()}
    person: dict[str, Any] = {name: told.pop(name) for name in _OWN if name in told}
    return {**person, "properties": told} if told else person
