"""Runs over many interviews: their items, their progress, and the release of the syncs they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, tuple_, update

from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.sync import RunProgress
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.people import erasure
from connector.ledger.db.schema.results import run, run_item, sync

ORPHANED_AFTER = 600_000  # ms
_COVER = BulkStatement(
    "INSERT INTO run_item ({names}) SELECT {names} FROM {rows} AS r",
    types_of(run_item, "run_id", "interview_id"),
)


class Runs(Repository):
    """Runs over many interviews."""

    @writes
    def create(
        self,
        c: Connection,
        run_id: str,
        connection: str,
        operation: str,
        interview_ids: Sequence[str],
        now: int,
    ) -> None:
        """Store a run and its items, each interview once."""
        covered = list(dict.fromkeys(interview_ids))
        row = {"id": run_id, "connection": connection, "operation": operation, "created_at": now}
        c.execute(insert(run).values(**row, total=len(covered)))
        if covered:
            _COVER.execute(c, [(run_id, interview_id) for interview_id in covered])

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
        unread = 0
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
        """Release the held syncs of runs without an unread interview; return how many.

        A run is stored after its interviews. After a crash, syncs of a run that was not stored are
        released later.
        """
        has_held = exists().where(sync.c.run_id == run.c.id, sync.c.stage == Stage.HOLD)
        has_unread = exists().where(sync.c.run_id == run.c.id, sync.c.stage == Stage.READ, sync.c.reads == 0)
        ready = c.execute(select(run.c.id).where(has_held, ~has_unread)).scalars().all()
        orphan = ~exists().where(run.c.id == sync.c.run_id) & (sync.c.updated_at < now - ORPHANED_AFTER)
        key = sync.c.connection, sync.c.interview_id
        waiting = select(*key).where(sync.c.stage == Stage.HOLD, or_(sync.c.run_id.in_(ready), orphan))
        # locked in the order of their keys, as everywhere
        released = update(sync).where(tuple_(*key).in_(waiting.order_by(*key).with_for_update()))
        return c.execute(released.values(stage=Stage.SEND, due=now)).rowcount


def prune(c: Connection, before: int) -> int:
    """Delete ended runs that are older than `before`; return how many."""
    waits = exists().where(sync.c.run_id == run.c.id, sync.c.stage.is_not(None))
    goes_on = exists().where(erasure.c.run_id == run.c.id, erasure.c.finished_at.is_(None))
    ended = select(run.c.id).where(run.c.created_at < before, ~waits, ~goes_on)
    old = c.execute(ended.order_by(run.c.id)).scalars().all()
    for run_id in old:
        for column in (run_item.c.run_id, erasure.c.run_id, run.c.id):
            c.execute(delete(column.table).where(column == run_id))
    return len(old)
