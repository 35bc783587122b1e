"""Queries and statements that several repositories share."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from operator import ge, lt
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    TextClause,
    func,
    literal,
    select,
    text,
    tuple_,
)

from connector.domain.results.sync import ListFilter

T = TypeVar("T")
_DAY = 86_400_000  # ms


def first(c: Connection, query: Select[Any], load: Callable[[Any], T]) -> T | None:
    """Return what `load` makes of a query's first row, or None if there is none."""
    row = c.execute(query.limit(1)).first()
    return None if row is None else load(row)


def earliest(c: Connection, time: ColumnElement[Any], *where: ColumnElement[bool]) -> int | None:
    """Return the smallest value of a column, or None if no row has one."""
    at: int | None = c.execute(select(func.min(time)).where(*where)).scalar()
    return at


def narrowed(
    query: Select[Any], *conditions: tuple[ColumnElement[Any], Callable[[Any, Any], Any], Any]
) -> Select[Any]:
    """Add the conditions whose value is not None, such as `(sync.c.status, eq, "failed")`."""
    for column, compare, value in conditions:
        if value is not None:
            query = query.where(compare(column, value))
    return query


def newest_first(
    query: Select[Any],
    time: ColumnElement[Any],
    key: ColumnElement[Any],
    where: ListFilter,
    limit: int,
    after: tuple[int, str] | None,
) -> Select[Any]:
    """Make a query return one page in the times of a filter, beginning after a (time, key)."""
    query = narrowed(query, (time, ge, where.since), (time, lt, where.until))
    if after is not None:
        query = query.where(tuple_(time, key) < tuple_(literal(after[0]), literal(after[1])))
    return query.order_by(time.desc(), key.desc()).limit(limit)


def insert_once(c: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless another has its key; return whether it was inserted."""
    return c.execute(_insert_once(table, tuple(values)), values).rowcount > 0


@cache
def _insert_once(table: Table, names: tuple[str, ...]) -> TextClause:
    marks = ", ".join(f":{name}" for name in names)
    return text(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING")  # noqa: S608


def number_in_day(at: int) -> int:
    """Return a number for a row that tells its day, and of the order within the day nothing.

    It is negative: no row has it by counting up.
    """
    return at // _DAY * 2**44 + random.SystemRandom().randrange(2**44) - 2**62
