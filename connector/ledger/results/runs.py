"""Runs over many interviews: their items, their progress, and the release of the syncs they hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)

from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.sync import RunChunk, RunItem, RunProgress
from connector.ledger.db.bulk import BulkStatement, portions, storable, types_of
from connector.ledger.db.queries import first
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.people import erasure
from connector.ledger.db.schema.results import run, run_item, run_source, sync
from connector.text.json import dumps, loads

CHUNK = 200
"""The items of one transaction, for which webhooks wait."""
_CUT_AFTER = 600_000  # ms
_OF_RUN = run_source.c.run_id == run.c.id
_HAS_SOURCE = exists().where(_OF_RUN)
_COVER = BulkStatement(
    "INSERT INTO run_item ({names}) SELECT {names} FROM {rows} AS r WHERE true ON CONFLICT DO NOTHING",
    types_of(run_item, "run_id", "interview_id"),
)


class Runs(Repository):
    """Runs over many interviews."""

    async def create(
        self, run_id: str, connection: str, operation: str, step: str, items: Sequence[RunItem], now: int
    ) -> None:
        """Store a run, and its items for the worker, which begins when all of them are stored."""
        chunks = await asyncio.to_thread(_texts, items)
        row = {"id": run_id, "connection": connection, "operation": operation, "step": step}
        *before, last = portions(chunks)
        for part in before:
            await self._store({**row, "created_at": now, "total": 0}, part)
        await self._store({**row, "created_at": now, "total": len(items)}, last)

    @writes
    def _store(self, c: Connection, row: Mapping[str, Any], chunks: Sequence[tuple[int, str]]) -> None:
        if not chunks or chunks[0][0] == 0:
            c.execute(insert(run).values(row))
        else:
            c.execute(update(run).where(run.c.id == row["id"]).values(total=row["total"]))
        for position, text in chunks:
            c.execute(insert(run_source).values(run_id=row["id"], position=position, interviews=text))

    @reads
    def next_chunk(self, c: Connection, connections: Sequence[str], held: Collection[str]) -> RunChunk | None:
        """Return the next chunk of the oldest run whose job is not `held`, or None."""
        job = run.c.id + "/" + cast(run_source.c.position, Text)
        waits = (run.c.total > 0) & run.c.connection.in_(connections) & job.not_in(held)
        query = select(run.c.id, run.c.connection, run.c.step, run_source.c.position)
        chunks = query.join_from(run, run_source, _OF_RUN).where(waits)
        ordered = chunks.order_by(run.c.created_at, run.c.id, run_source.c.position)
        if (head := first(c, ordered, _without_items)) is None:
            return None
        text = c.execute(select(run_source.c.interviews).where(*_is_of(head))).scalar_one()
        return head._replace(items=[RunItem(*item) for item in loads(text)])

    @fenced
    def cover(self, c: Connection, chunk: RunChunk) -> None:
        """Count the interviews of a chunk, of which nothing else is to be done."""
        end_chunk(c, chunk)

    @reads
    def progress(self, c: Connection, run_id: str) -> RunProgress | None:
        """Return the progress of a run: how many of its interviews ended, and how."""
        columns = run.c.id, run.c.connection, run.c.operation, run.c.created_at, run.c.total
        head = c.execute(select(*columns).where(run.c.id == run_id)).first()
        if head is None:
            return None
        covered = run_item.join(
            sync, and_(sync.c.connection == head.connection, sync.c.interview_id == run_item.c.interview_id)
        )
        counts = c.execute(
            select(sync.c.status, sync.c.reason, sync.c.stage, func.count().label("n"))
            .select_from(covered)
            .where(run_item.c.run_id == run_id)
            .group_by(sync.c.status, sync.c.reason, sync.c.stage)
        )
        ended: dict[str, Counter[str]] = {status: Counter() for status in SyncStatus}
        begun = select(func.count()).select_from(run_item).where(run_item.c.run_id == run_id)
        unread = head.total - c.execute(begun).scalar_one()
        for row in counts:
            if row.stage is None:
                ended[row.status][row.reason or ""] += row.n
            elif row.stage == Stage.READ:
                unread += row.n
        synced = ended[SyncStatus.SYNCED].total()
        skipped, failed = ended[SyncStatus.SKIPPED], ended[SyncStatus.FAILED]
        return RunProgress(
            *head,
            pending=head.total - synced - skipped.total() - failed.total(),
            synced=synced,
            skipped=dict(skipped),
            failed=dict(failed),
            unread=unread,
        )

    @writes
    def release_backfills(self, c: Connection, now: int) -> int:
        """Release the held syncs of runs without an unread interview; return how many."""
        has_held = exists().where(sync.c.run_id == run.c.id, sync.c.stage == Stage.HOLD)
        has_unread = exists().where(sync.c.run_id == run.c.id, sync.c.stage == Stage.READ, sync.c.reads == 0)
        ready = c.execute(select(run.c.id).where(has_held, ~has_unread, ~_HAS_SOURCE)).scalars().all()
        key = sync.c.connection, sync.c.interview_id
        waiting = select(*key).where(sync.c.stage == Stage.HOLD, sync.c.run_id.in_(ready))
        # locked in the order of their keys, as everywhere
        released = update(sync).where(tuple_(*key).in_(waiting.order_by(*key).with_for_update()))
        return c.execute(released.values(stage=Stage.SEND, due=now)).rowcount


def end_chunk(c: Connection, chunk: RunChunk) -> None:
    """Let a run cover the interviews of a chunk, and delete the chunk; the last makes the run's total exact.

    Items may name an interview twice, and an erasure may have taken some out.
    """
    if covered := [(chunk.run_id, item.interview_id) for item in chunk.items]:
        _COVER.execute(c, covered)
    c.execute(delete(run_source).where(*_is_of(chunk)))
    total = select(func.count()).select_from(run_item).where(run_item.c.run_id == chunk.run_id)
    ended = update(run).where(run.c.id == chunk.run_id, ~_HAS_SOURCE)
    c.execute(ended.values(total=total.scalar_subquery()))


def prune(c: Connection, before: int, now: int) -> int:
    """Delete ended runs that are older than `before`, and those that a crash cut; return how many."""
    waits = exists().where(sync.c.run_id == run.c.id, sync.c.stage.is_not(None))
    goes_on = exists().where(erasure.c.run_id == run.c.id, erasure.c.finished_at.is_(None))
    ended = (run.c.created_at < before) & ~waits & ~goes_on & ~_HAS_SOURCE
    cut = (run.c.created_at < now - _CUT_AFTER) & (run.c.total == 0) & _HAS_SOURCE
    old = c.execute(select(run.c.id).where(ended | cut).order_by(run.c.id)).scalars().all()
    for run_id in old:
        for column in (run_item.c.run_id, run_source.c.run_id, erasure.c.run_id, run.c.id):
            c.execute(delete(column.table).where(column == run_id))
    return len(old)


def _is_of(chunk: RunChunk) -> tuple[ColumnElement[bool], ...]:
    return run_source.c.run_id == chunk.run_id, run_source.c.position == chunk.position


def _without_items(row: Row[Any]) -> RunChunk:
    return RunChunk(row.id, row.connection, row.step, row.position, ())


def _texts(items: Sequence[RunItem]) -> list[str]:
    return [
        dumps([[storable(value) for value in item] for item in items[start : start + CHUNK]])
        for start in range(0, len(items), CHUNK)
    ]
