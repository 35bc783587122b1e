"""Messages of Amplitude's cohort webhook: stored as a whole, then decided over chunk by chunk."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeGuard

from sqlalchemy import Connection, case, delete, insert, select, tuple_, update

from connector.domain.launches.cohort_message import CohortMessage, members_of
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus
from connector.domain.people.same_person import KeyedMember, Member
from connector.ledger.db.bulk import BulkStatement, storable, types_of
from connector.ledger.db.queries import first, insert_once
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.launches import cohort_mention, cohort_message, cohort_piece, launch
from connector.ledger.launches.launch_row import dump_launch, load_launch
from connector.ledger.people.aliases import forgotten
from connector.text.json import loads

_DONE = "done"
_STANDS = (LaunchStatus.RUNNING, LaunchStatus.PAUSED)
_COLUMNS = tuple(cohort_message.c[name] for name in CohortMessage._fields)
_LATER = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN cohort_mention AS m "
    "ON m.key = r.key AND m.cohort_id = r.cohort_id WHERE m.computed_at > r.computed_at",
    types_of(cohort_mention, "key", "cohort_id", "computed_at"),
    returns=["m.key"],
)
_TELL = BulkStatement(
    "INSERT INTO cohort_mention ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (key, cohort_id) DO UPDATE SET computed_at = excluded.computed_at, "
    "updated_at = excluded.updated_at",
    types_of(cohort_mention, "key", "cohort_id", "computed_at", "updated_at"),
)


class CohortInbox(Repository):
    """Messages of Amplitude's cohort webhook."""

    @writes
    def accept(self, c: Connection, message: CohortMessage, chunks: Sequence[str]) -> bool:
        """Store a message with its members (`cohort_message.chunk_text`); False when its id is known."""
        # hashed: the id, perhaps the digest of a body with members, is kept longer than they are
        message = message._replace(message_id=self.keys.keyed_hash(message.message_id))
        values = {name: storable(value) for name, value in message._asdict().items() if name != "id"}
        if not insert_once(c, cohort_message, **values):
            return False
        number = select(cohort_message.c.id).where(
            cohort_message.c.connection == message.connection,
            cohort_message.c.message_id == message.message_id,
        )
        stored = c.execute(number).scalar_one()
        rows = [{"message": stored, "position": at, "members": chunk} for at, chunk in enumerate(chunks)]
        if rows:
            c.execute(insert(cohort_piece), rows)
        return True

    @reads
    def latest(self, c: Connection, connection: str) -> int | None:
        """Return when the last message of a connection came (ms), or None if no message is stored."""
        newest = select(cohort_message.c.received_at).where(cohort_message.c.connection == connection)
        return first(c, newest.order_by(cohort_message.c.received_at.desc()), lambda row: int(row[0]))

    @reads
    def next_open(
        self, c: Connection, connections: Sequence[str], held: Collection[int] = ()
    ) -> CohortMessage | None:
        """Return the message that was begun, or else the one whose cohort was computed first; none `held`."""
        not_begun = case((cohort_message.c.stage == "new", 1), else_=0)
        query = select(*_COLUMNS).where(
            cohort_message.c.connection.in_(connections),
            cohort_message.c.stage != _DONE,
            cohort_message.c.id.not_in(held),
        )
        ordered = query.order_by(not_begun, cohort_message.c.computed_at, cohort_message.c.id)
        return first(c, ordered, CohortMessage._make)

    @reads
    def chunk(self, c: Connection, message: CohortMessage) -> tuple[int, list[Member]] | None:
        """Return the next chunk of a message's members, with its position, or None after the last."""
        query = select(cohort_piece.c.position, cohort_piece.c.members).where(
            cohort_piece.c.message == message.id
        )
        ordered = query.order_by(cohort_piece.c.position)
        return first(c, ordered, lambda row: (row.position, members_of(row.members)))

    @reads
    def overtaken(self, c: Connection, message: CohortMessage, keyed: Sequence[KeyedMember]) -> set[int]:
        """Return the keys of members that a later computed message named before this one."""
        firsts = {keys[0] for _, keys in keyed if keys}
        rows = [(key, message.cohort_id, message.computed_at) for key in sorted(firsts)]
        return {row[0] for row in _LATER.fetch(c, rows)} if rows else set()


def end_chunk(
    c: Connection, message: CohortMessage, position: int, members: Collection[tuple[int, ...]], now: int
) -> None:
    """Delete a chunk that was decided over, and store when the cohort named each member, by alias keys.

    Nothing is stored of erased persons and of members without an alias.
    """
    erased = forgotten(c, [key for keys in members for key in keys])
    named = {keys[0] for keys in members if keys and erased.isdisjoint(keys)}
    set_stage(c, message, "deciding")  # first, because pruning skips locked messages
    if rows := [(key, message.cohort_id, message.computed_at, now) for key in sorted(named)]:
        _TELL.execute(c, rows)
    mine = (cohort_piece.c.message == message.id) & (cohort_piece.c.position == position)
    c.execute(delete(cohort_piece).where(mine))


def set_stage(c: Connection, message: CohortMessage, stage: str, *, held: bool = False) -> None:
    """Store the progress of a message."""
    mine = update(cohort_message).where(cohort_message.c.id == message.id)
    c.execute(mine.values(stage=stage, held=held))


def done(c: Connection, message: CohortMessage) -> None:
    """Delete the members of a message, and keep only that it came."""
    set_stage(c, message, _DONE)
    c.execute(delete(cohort_piece).where(cohort_piece.c.message == message.id))


def standing(c: Connection, message: CohortMessage) -> Launch | None:
    """Return the newest standing launch of a message's cohort, locked for this transaction."""
    mine = (launch.c.connection == message.connection) & (launch.c.cohort_id == message.cohort_id)
    newest = select(launch).where(launch.c.standing, mine)
    newest = newest.order_by(launch.c.created_at.desc(), launch.c.id.desc())
    return first(c, newest.with_for_update(), load_launch)


def stands(one: Launch | None) -> TypeGuard[Launch]:
    """Tell whether a launch still takes new members."""
    return one is not None and one.status in _STANDS


def obtain(c: Connection, message: CohortMessage, options: LaunchOptions, now: int) -> Launch | None:
    """Return the cohort's standing launch, made when there is none, or None if it was cancelled meanwhile.

    Cancelling a launch cancels the messages that came before; a later message begins another launch.
    """
    known = standing(c, message)
    if not stands(known):
        if known is not None and (known.finished_at or 0) >= message.received_at:
            return None
        made = Launch(
            id=f"lau_{secrets.token_hex(12)}",
            connection=message.connection,
            status=LaunchStatus.RUNNING,
            created_at=now,
            options=options,
            goes_on=True,
            started_at=now,
            cohort_id=message.cohort_id,
            cohort_name=message.cohort_name,
            standing=True,
            carried=tuple(loads(message.carried or "[]")),
        )
        c.execute(insert(launch).values(**dump_launch(made)))
        return made
    name = message.cohort_name or known.cohort_name
    if (options, name) != (known.options, known.cohort_name):  # the settings changed, or the name
        known = replace(known, options=options, cohort_name=name)
        values = {key: dump_launch(known)[key] for key in ("options", "cohort_name")}
        c.execute(update(launch).where(launch.c.id == known.id).values(**values))
    return known


def prune(c: Connection, before: int, limit: int) -> int:
    """Delete messages that came before a time, and the keys last named before it; return how many."""
    old = select(cohort_message.c.id).where(cohort_message.c.received_at < before).limit(limit)
    ids = c.execute(old.with_for_update(skip_locked=True)).scalars().all()
    if ids:
        c.execute(delete(cohort_piece).where(cohort_piece.c.message.in_(ids)))
        c.execute(delete(cohort_message).where(cohort_message.c.id.in_(ids)))
    key = cohort_mention.c.key, cohort_mention.c.cohort_id
    named = select(*key).where(cohort_mention.c.updated_at < before).limit(limit)
    keys = [tuple(row) for row in c.execute(named.with_for_update(skip_locked=True))]
    if keys:
        c.execute(delete(cohort_mention).where(tuple_(*key).in_(keys)))
    return len(ids) + len(keys)
