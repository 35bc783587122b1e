"""Runs over many interviews: what they cover and how far they are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, select

from connector.ledger.schema import run, run_item, sync
from connector.models import Stage
from connector.ports import RunProgress


def create(
    connection: Connection, run_id: str, name: str, operation: str, interview_ids: Sequence[str], now: int
) -> None:
    """Store a run and what it covers."""
    connection.execute(
        insert(run).values(
            id=run_id, connection=name, operation=operation, created_at=now, total=len(interview_ids)
        )
    )
    if interview_ids:
        connection.execute(
            insert(run_item), [{"run_id": run_id, "interview_id": interview_id} for interview_id in interview_ids]
        )


def progress(connection: Connection, run_id: str) -> RunProgress | None:
    """Count what became of a run's interviews."""
    head = connection.execute(select(run).where(run.c.id == run_id)).first()
    if head is None:
        return None
    counts = connection.execute(
        select(sync.c.status, sync.c.reason, sync.c.stage, func.count().label("n"))
        .select_from(
            run_item.join(
                sync, and_(sync.c.connection == head.connection, sync.c.interview_id == run_item.c.interview_id)
            )
        )
        .where(run_item.c.run_id == run_id)
        .group_by(sync.c.status, sync.c.reason, sync.c.stage)
    ).all()
    skipped: dict[str, int] = {}
    failed: dict[str, int] = {}
    synced = unread = 0
    for row in counts:
        if row.stage is not None:
            unread += row.n if row.stage == Stage.READ else 0
        elif row.status == "synced":
            synced += row.n
        elif row.status == "skipped":
            skipped[row.reason or ""] = skipped.get(row.reason or "", 0) + row.n
        elif row.status == "failed":
            failed[row.reason or ""] = failed.get(row.reason or "", 0) + row.n
    ended = synced + sum(skipped.values()) + sum(failed.values())
    return RunProgress(
        run_id=run_id,
        connection=head.connection,
        operation=head.operation,
        created_at=head.created_at,
        total=head.total,
        pending=head.total - ended,
        synced=synced,
        skipped=skipped,
        failed=failed,
        unread=unread,
    )


def prune(connection: Connection, before: int) -> int:
    """Delete runs older than `before`."""
    old = select(run.c.id).where(run.c.created_at < before).scalar_subquery()
    connection.execute(delete(run_item).where(run_item.c.run_id.in_(old)))
    return connection.execute(delete(run).where(run.c.created_at < before)).rowcount
