"""Rewrite the rows of interviews without a respondent apart from those of the invitations they came from.

A database keeps which rows changed together: PostgreSQL shows the transaction of each row (`xmin`) and its
place (`ctid`), SQLite the order in which rows were made (`rowid`) and, in its log, each transaction. Both
rows change in one transaction when an interview turns out anonymous, or is erased. That transaction marks
them with `TO_DO`. The rewriting puts them, together with others that were rewritten before, in random order
into two later transactions, so that neither tells which invitation led to which interview.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Column, Connection, Table, select, text, tuple_, update

from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.results import inbox, sync
from connector.ledger.events import events
from connector.ledger.launches.launch_row import lock_invitations
from connector.ledger.results import inbox as came_in

TO_DO: Final = 1
_DONE: Final = range(2, 2**15)
"""A rewritten row has one of these numbers, by which an index finds some of them without reading all."""
_NEW, _OTHERS = 300, 200  # rows in one transaction
_MARK = BulkStatement(
    "UPDATE sync SET scatter = 1 FROM {rows} AS r "
    "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    types_of(sync, "connection", "interview_id"),
)
_random = random.SystemRandom()


def mark(c: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Mark interviews, by (connection, interview id), that lost their respondent in this transaction."""
    if keys:
        _MARK.execute(c, sorted(keys))


class Scatter(Repository):
    """The rewriting. Each method rewrites up to 300 marked rows, and returns whether there may be more."""

    @writes
    def invitations(self, c: Connection) -> bool:
        """Rewrite invitations, with their launches; of the times of their events only the day stays."""
        columns = [invitation.c.connection, invitation.c.id]
        chosen, more = _chosen(c, invitation, columns)
        if not chosen:
            return False
        ids = [row[1] for row in chosen]
        lock_invitations(c, invitation.c.id.in_(ids))
        _rewrite(c, invitation, columns, chosen)
        events.to_the_day(c, chosen)
        theirs = select(invitation.c.launch_id).where(invitation.c.id.in_(ids))
        c.execute(update(launch).where(launch.c.id.in_(theirs)).values(single=launch.c.single))
        self.db.empty_log()
        return more

    @writes
    def interviews(self, c: Connection) -> bool:
        """Rewrite interviews, with what came in about them."""
        columns = [sync.c.connection, sync.c.interview_id]
        chosen, more = _chosen(c, sync, columns)
        if not chosen:
            return False
        theirs = tuple_(*columns).in_(chosen)
        c.execute(select(sync.c.interview_id).where(theirs).order_by(*columns).with_for_update())
        _rewrite(c, sync, columns, chosen)
        about = tuple_(inbox.c.connection, inbox.c.interview_id).in_(chosen) & (inbox.c.state != "new")
        c.execute(update(inbox).where(about).values(state=inbox.c.state))
        self.db.empty_log()
        return more

    @writes
    def webhooks(self, c: Connection) -> bool:
        """Give webhooks of anonymous interviews ids that do not tell when they came."""
        if hidden := came_in.hide_order(c, _NEW):
            self.db.empty_log()
        return hidden == _NEW


def _chosen(c: Connection, table: Table, key: Sequence[Column[str]]) -> tuple[list[tuple[str, ...]], bool]:
    """Return the keys of marked rows and of some that were rewritten before, in random order."""
    marked = c.execute(select(*key).where(table.c.scatter == TO_DO).limit(_NEW)).all()
    if not marked:
        return [], False
    pivot = _random.choice(_DONE)
    done = select(*key).order_by(table.c.scatter)
    rows = [*marked, *c.execute(done.where(table.c.scatter >= pivot).limit(_OTHERS))]
    room = _OTHERS - (len(rows) - len(marked))
    rows += c.execute(done.where(table.c.scatter.between(_DONE[0], pivot - 1)).limit(room))
    chosen = [tuple(row) for row in rows]
    _random.shuffle(chosen)
    return chosen, len(marked) == _NEW


def _rewrite(
    c: Connection, table: Table, key: Sequence[Column[str]], chosen: Sequence[tuple[str, ...]]
) -> None:
    """Write each row anew, one after the other: the rows of one statement would keep their old order.

    SQLite keeps a changed row in its place: it gets a new number, and with it a place at the end.
    """
    place = "rowid = (SELECT max(rowid) + 1 FROM {}), " if c.dialect.name == "sqlite" else ""
    one = " AND ".join(f"{column.name} = :{column.name}" for column in key)
    names = [column.name for column in key]
    values = [{**dict(zip(names, row, strict=True)), "number": _random.choice(_DONE)} for row in chosen]
    changes = place.format(table.name) + "scatter = :number"
    c.execute(text(f"UPDATE {table.name} SET {changes} WHERE {one}"), values)  # noqa: S608
