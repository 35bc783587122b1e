"""Tallies: counted when an interview is synced for the first time, and read as totals of some days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, literal, literal_column, select, tuple_, union_all

from connector.domain.results.tally import LEAST, Cell, Kind
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.results import tally as table

_COUNTED = frozenset(Kind) - {Kind.INTERVIEW}
_LABELS = (Kind.THEME, Kind.QUESTION, Kind.ANSWER)
_ADD = BulkStatement(
    "INSERT INTO tally ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (connection, kind, day, subject, value) DO UPDATE SET n = tally.n + excluded.n",
    types_of(table, *Cell._fields, "n"),
)


class Totals(NamedTuple):
    """Numbers of interviews: by day, and by (kind, subject, value) of at least `LEAST`.

    `hidden` is how many themes, questions and answers have fewer.
    """

    per_day: list[tuple[int, int]]
    cells: dict[tuple[str, str, str], int]
    hidden: int


def count(c: Connection, cells: Iterable[Cell]) -> None:
    """Count one interview more in each of the cells, which may repeat."""
    # sorted, so that two processes lock the rows in the same order
    if values := [(*cell, n) for cell, n in sorted(Counter(cells).items())]:
        _ADD.execute(c, values)


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete up to `limit` cells of fewer than `LEAST` interviews on days before a day; return how many."""
    key = tuple_(*table.primary_key)
    few = select(*table.primary_key).where(table.c.day < before, table.c.n < literal_column(str(LEAST)))
    return c.execute(delete(table).where(key.in_(few.limit(limit)))).rowcount


class Tallies(Repository):
    """The tallies of connections."""

    @reads
    def of_days(
        self, c: Connection, connection: str, first: int, last: int, kinds: Collection[Kind] = _COUNTED
    ) -> Totals:
        """Return the totals of some UTC days, both included."""
        of_days = table.c.connection == connection, table.c.day.between(first, last)
        days = select(table.c.day, table.c.n).where(*of_days, table.c.kind == Kind.INTERVIEW)
        others = table.c.kind.in_(kinds)
        key = table.c.kind, table.c.subject, table.c.value
        totals = select(*key, func.sum(table.c.n).label("n")).where(*of_days, others).group_by(*key).cte()
        shown = select(*totals.c).where(totals.c.n >= LEAST)
        few = select(func.count()).where(totals.c.n < LEAST, totals.c.kind.in_(_LABELS))
        hidden = select(literal(""), literal(""), literal(""), few.scalar_subquery())
        rows = c.execute(union_all(shown, hidden))
        cells = {(kind, subject, value): int(n) for kind, subject, value, n in rows}
        per_day = [(day, int(n)) for day, n in c.execute(days.order_by(table.c.day))]
        return Totals(per_day, cells, cells.pop(("", "", "")))
