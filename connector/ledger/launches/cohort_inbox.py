"""Messages of Amplitude's cohort webhook: stored whole, then decided over chunk by chunk."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, case, delete, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from connector.domain.launches.cohort_message import CohortMessage
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus
from connector.domain.people.same_person import KeyedMember, Member
from connector.ledger.db.bulk import BulkStatement, storable
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema import cohort_message, cohort_piece, cohort_told, launch
from connector.ledger.launches.launch_row import dump_launch, load_launch
from connector.text.json import loads

_DONE = "done"
_STANDS = (LaunchStatus.RUNNING, LaunchStatus.PAUSED)
_COLUMNS = tuple(cohort_message.c[name] for name in CohortMessage._fields)
_LATER = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN cohort_told AS t ON t.key = r.key AND t.cohort_id = r.cohort_id "
    "WHERE t.computed_at > r.computed_at",
    {"key": "bigint", "cohort_id": "text", "computed_at": "bigint"},
    returns=["t.key"],
)
_TELL = BulkStatement(
    "INSERT INTO cohort_told ({names}) SELECT {names} FROM {rows} AS r WHERE true "
    "ON CONFLICT (key, cohort_id) DO UPDATE SET computed_at = excluded.computed_at, "
    "updated_at = excluded.updated_at",
    {"key": "bigint", "cohort_id": "text", "computed_at": "bigint", "updated_at": "bigint"},
)


class CohortInbox(Repository):
    """Messages of Amplitude's cohort webhook."""

    @writes
    def accept(self, c: Connection, message: CohortMessage, chunks: Sequence[str]) -> bool:
        """Store a message with its people (`cohort_message.chunk_text`); False when it is known by its id."""
        # hashed, because it outlives the people, who may be in a body that it is the digest of
        message = message._replace(message_id=self.keys.keyed_hash(message.message_id))
        values = {name: storable(value) for name, value in message._asdict().items() if name != "id"}
        dialect = sqlite if c.dialect.name == "sqlite" else postgresql
        once = dialect.insert(cohort_message).values(**values)
        made = once.on_conflict_do_nothing(index_elements=["connection", "message_id"])
        number = c.execute(made.returning(cohort_message.c.id)).scalar()
        if number is None:
            return False
        rows = [{"message": number, "position": at, "members": chunk} for at, chunk in enumerate(chunks)]
        if rows:
            c.execute(insert(cohort_piece), rows)
        return True

    @reads
    def latest(self, c: Connection, connection: str) -> int | None:
        """Return when the last message of a connection came (ms); None when none is kept."""
        newest = select(cohort_message.c.received_at).where(cohort_message.c.connection == connection)
        query = newest.order_by(cohort_message.c.received_at.desc()).limit(1)
        at: int | None = c.execute(query).scalar()
        return at

    @reads
    def next_open(self, c: Connection, connections: Sequence[str]) -> CohortMessage | None:
        """Return the message that was begun, else the one whose cohort was computed first."""
        begun = case((cohort_message.c.stage == "new", 1), else_=0)
        query = select(*_COLUMNS).where(
            cohort_message.c.connection.in_(connections), cohort_message.c.stage != _DONE
        )
        ordered = query.order_by(begun, cohort_message.c.computed_at, cohort_message.c.id)
        row = c.execute(ordered.limit(1)).first()
        return None if row is None else CohortMessage._make(row)

    @reads
    def chunk(self, c: Connection, message: CohortMessage) -> tuple[int, list[Member]] | None:
        """Return the next of a message's people, with their place; None after the last."""
        query = select(cohort_piece.c.position, cohort_piece.c.members).where(
            cohort_piece.c.message == message.id
        )
        row = c.execute(query.order_by(cohort_piece.c.position).limit(1)).first()
        return None if row is None else (row.position, [Member(*one) for one in loads(row.members)])

    @reads
    def overtaken(self, c: Connection, message: CohortMessage, keyed: Sequence[KeyedMember]) -> set[int]:
        """Return the keys of people whom a later computed message named already."""
        firsts = {keys[0] for _, keys in keyed if keys}
        rows = [(key, message.cohort_id, message.computed_at) for key in sorted(firsts)]
        return {row[0] for row in _LATER.fetch(c, rows)} if rows else set()


def end_piece(c: Connection, message: CohortMessage, position: int, keys: Iterable[int], now: int) -> None:
    """Let go of people who were decided over; what stays is when which keys were told of."""
    set_stage(c, message, "deciding")  # first: what another transaction keeps is not pruned
    rows = [(key, message.cohort_id, message.computed_at, now) for key in sorted(set(keys))]
    if rows:
        _TELL.execute(c, rows)
    mine = (cohort_piece.c.message == message.id) & (cohort_piece.c.position == position)
    c.execute(delete(cohort_piece).where(mine))


def set_stage(c: Connection, message: CohortMessage, stage: str, *, held: bool = False) -> None:
    """Note how far a message is."""
    mine = update(cohort_message).where(cohort_message.c.id == message.id)
    c.execute(mine.values(stage=stage, held=held))


def done(c: Connection, message: CohortMessage) -> None:
    """Keep of a message only that it came."""
    set_stage(c, message, _DONE)
    c.execute(delete(cohort_piece).where(cohort_piece.c.message == message.id))


def standing(c: Connection, message: CohortMessage) -> Launch | None:
    """Return the newest standing launch of a message's cohort, kept for this transaction."""
    mine = (
        launch.c.standing
        & (launch.c.connection == message.connection)
        & (launch.c.cohort_id == message.cohort_id)
    )
    newest = select(launch).where(mine).order_by(launch.c.created_at.desc(), launch.c.id.desc()).limit(1)
    row = c.execute(newest.with_for_update()).first()
    return None if row is None else load_launch(row)


def stands(one: Launch | None) -> bool:
    """Tell whether a launch still grows."""
    return one is not None and one.status in _STANDS


def obtain(c: Connection, message: CohortMessage, options: LaunchOptions, now: int) -> Launch | None:
    """Return the cohort's standing launch, made when there is none; None when it was called off meanwhile.

    A message that came before a launch was cancelled was cancelled with it; a later one begins another.
    """
    one = standing(c, message)
    if one is not None and not stands(one) and (one.finished_at or 0) >= message.received_at:
        return None
    if one is None or not stands(one):
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
        )
        c.execute(insert(launch).values(**dump_launch(made)))
        return made
    name = message.cohort_name or one.cohort_name
    if (options, name) != (one.options, one.cohort_name):  # the settings changed, or the name
        one = replace(one, options=options, cohort_name=name)
        told = {key: dump_launch(one)[key] for key in ("options", "cohort_name")}
        c.execute(update(launch).where(launch.c.id == one.id).values(**told))
    return one


def prune(c: Connection, before: int, limit: int) -> int:
    """Remove messages that came before a time, and the keys that were told of before it; return how many."""
    old = select(cohort_message.c.id).where(cohort_message.c.received_at < before).limit(limit)
    ids = c.execute(old.with_for_update(skip_locked=True)).scalars().all()
    if ids:
        c.execute(delete(cohort_piece).where(cohort_piece.c.message.in_(ids)))
        c.execute(delete(cohort_message).where(cohort_message.c.id.in_(ids)))
    key = cohort_told.c.key, cohort_told.c.cohort_id
    told = select(*key).where(cohort_told.c.updated_at < before).limit(limit)
    keys = [tuple(row) for row in c.execute(told.with_for_update(skip_locked=True))]
    if keys:
        c.execute(delete(cohort_told).where(tuple_(*key).in_(keys)))
    return len(ids) + len(keys)
