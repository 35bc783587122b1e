"""Show lists page by page: filters by time, cursors, and the shape of a page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, Self, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypeForm

from connector.errors import InvalidInput
from connector.service.execution.operation import Output
from connector.text.values import read_time

T = TypeVar("T")
P = TypeVar("P")
Place = Annotated[int, Field(ge=0, lt=2**63)]
"""A number as large as a column holds."""
_PLUS = re.compile(r"(T\S*) (\d\d:?\d\d)$")  # in a URL, + stands for a space


class Page(Output, Generic[T]):
    """One page of a list."""

    items: list[T] = Field(description="The rows of this page.")
    next_cursor: str | None = Field(
        description="Give it as cursor to get the next page; null on the last one."
    )
    has_more: bool = Field(description="Whether there is a next page.")

    @classmethod
    def of(cls, items: list[T], next_cursor: str | None) -> Self:
        """Return the page that ends where `next_cursor` says."""
        return cls(items=items, next_cursor=next_cursor, has_more=next_cursor is not None)


class Cursor(Generic[P]):
    """Writes the place where a page ends as one text, and reads it back. `place` is its JSON type."""

    def __init__(self, place: TypeForm[P]) -> None:
        self._type: TypeAdapter[P] = TypeAdapter(place, config=ConfigDict(strict=True))

    def read(self, text: str | None) -> P | None:
        """Return the place, or None at the beginning. Raises `InvalidInput` for a text that is not ours."""
        if text is None:
            return None
        try:
            return self._type.validate_json(base64.urlsafe_b64decode(text))
        except ValueError:
            detail = "is not one of ours; take next_cursor of the page before"
            raise InvalidInput.of("cursor", detail) from None

    def write(self, place: P) -> str:
        """Return the text of a place."""
        return base64.urlsafe_b64encode(self._type.dump_json(place)).decode()

    def after(self, rows: Sequence[T], limit: int, place_of: Callable[[T], P]) -> str | None:
        """Return the text of the place of a page's last row, or None if there is no row beyond it."""
        return self.write(place_of(rows[limit - 1])) if len(rows) > limit else None


def bound(name: str, text: str | None) -> int | None:
    """Return a time filter in milliseconds. Raises `InvalidInput` for a text that is no time."""
    if text is None:
        return None
    at = read_time(_PLUS.sub(r"\1+\2", text))
    if at is None:
        raise InvalidInput.of(name, "is no time; write it like 2026-01-31T12:00:00Z")
    return at


def bounds(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Return both ends of a filter in milliseconds. Raises `InvalidInput`."""
    begin, end = bound("since", since), bound("until", until)
    if begin is not None and end is not None and begin > end:
        raise InvalidInput.of("until", "is before since; give a later time")
    return begin, end
