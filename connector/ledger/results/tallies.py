"""Tallies: counted when an interview is synced for the first time, and read as totals of some days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, literal, literal_column, select, tuple_, union_all

from connector.domain.results.tally import LEAST, Cell, Kind, spans_of
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.results import tally as table

_COUNTED = frozenset(Kind) - {Kind.INTERVIEW}
_LABELS = (Kind.THEME, Kind.QUESTION, Kind.ANSWER)
_ADD = BulkStatement(
    "INSERT INTO tally ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (connection, kind, days, day, subject, value) DO UPDATE SET n = tally.n + excluded.n",
    types_of(table, *Cell._fields, "n"),
)


class Totals(NamedTuple):
    """Numbers of interviews: of all days, by day, and by (kind, subject, value) of at least `LEAST`.

    `hidden` is how many themes, questions and answers have fewer.
    """

    interviews: int
    per_day: list[tuple[int, int]]
    cells: dict[tuple[str, str, str], int]
    hidden: int


def count(c: Connection, cells: Iterable[Cell]) -> None:
    """Count one interview more in each of the cells, which may repeat."""
    # sorted, so that two processes lock the rows in the same order
    if values := [(*cell, n) for cell, n in sorted(Counter(cells).items())]:
        _ADD.execute(c, values)


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete up to `limit` cells of fewer than `LEAST` interviews that end before a day; return how many."""
    key = tuple_(*table.primary_key)
    over = table.c.day < before, table.c.day + table.c.days <= before
    few = select(*table.primary_key).where(*over, table.c.n < literal_column(str(LEAST)))
    return c.execute(delete(table).where(key.in_(few.limit(limit)))).rowcount


class Tallies(Repository):
    """The tallies of connections."""

    @reads
    def of_days(
        self, c: Connection, connection: str, first: int, last: int, kinds: Collection[Kind] = _COUNTED
    ) -> Totals:
        """Return the totals of some UTC days, both included."""
        if not (runs := spans_of(first, last + 1)):
            return Totals(0, [], {}, 0)
        mine = table.c.connection == connection
        is_whole = table.c.kind == Kind.INTERVIEW
        days = select(table.c.day, table.c.n).where(mine, is_whole, table.c.days == 1)
        days = days.where(table.c.day.between(first, last)).order_by(table.c.day)
        # the kinds are named, so that the key finds the days
        every = select(table).where(mine, table.c.kind.in_([Kind.INTERVIEW, *kinds]))
        of_runs = (
            every.where(table.c.days == size, table.c.day >= begins, table.c.day < ends)
            for size, begins, ends in runs
        )
        parts = union_all(*of_runs).subquery()
        key = parts.c.kind, parts.c.subject, parts.c.value
        totals = select(*key, func.sum(parts.c.n).label("n")).group_by(*key).cte()
        shown = select(*totals.c).where((totals.c.n >= LEAST) | (totals.c.kind == Kind.INTERVIEW))
        few = select(func.count()).where(totals.c.n < LEAST, totals.c.kind.in_(_LABELS))
        hidden = select(literal(""), literal(""), literal(""), few.scalar_subquery())
        rows = c.execute(union_all(shown, hidden))
        cells = {(kind, subject, value): int(n) for kind, subject, value, n in rows}
        per_day = [(day, int(n)) for day, n in c.execute(days)]
        return Totals(cells.pop((Kind.INTERVIEW, "", ""), 0), per_day, cells, cells.pop(("", "", "")))
