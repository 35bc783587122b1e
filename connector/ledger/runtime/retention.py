"""Retention: delete old values that name or quote a person, and rows that are of no more use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from connector.domain.launches.credits import day_of
from connector.domain.launches.launch import LaunchStatus
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.decision import ANONYMOUS, SUPPRESSED
from connector.domain.results.interview import Interview
from connector.ledger.access import idempotency
from connector.ledger.db.bulk import BulkStatement, fetch, types_of
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.repository import Repository, writes
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.results import sync
from connector.ledger.events import events
from connector.ledger.launches import cohort_inbox
from connector.ledger.launches.launch_row import PERSONAL
from connector.ledger.results import inbox, runs, tallies
from connector.ledger.results.sync_row import dump_facts, load_facts
from connector.ledger.results.syncs import KEY
from connector.ledger.runtime import diagnostics, faults
from connector.text.json import dumps, loads

_CHUNK = 1_000
_DIAGNOSTICS_KEPT = 3_600_000  # ms
_FAULTS_KEPT = 7 * 86_400_000  # ms
_ORDER_KEPT = 2 * 86_400_000  # ms from the beginning of a day: an event is polled for a day at least
_PLAN_KEPT = 3_600_000  # ms
_NOTHING_GIVEN: Mapping[str, Any] = {"metadata": {}, "quota": None, "segment_by": None, "override_rest": None}
_FORGET = BulkStatement(
    "UPDATE sync SET {changes}, user_id = NULL, identify = NULL, event = NULL, attempts = NULL "
    "FROM {rows} AS r WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    types_of(sync, *KEY, "facts", "pruned_at"),
    key=KEY,
)


class Retention(Repository):
    """All pruning."""

    async def prune(self, before: int, now: int) -> int:
        """Remove bodies, names and addresses older than `before`; return how many rows changed.

        It works in chunks between which others may write, and skips rows that another transaction has locked.
        """
        total = 0
        for remove in (
            lambda c: inbox.prune(c, before, _CHUNK),
            lambda c: _prune_syncs(c, before, now, _CHUNK),
            lambda c: _prune_invitations(c, before, now, _CHUNK),
            lambda c: _prune_launches(c, before, _CHUNK),
            lambda c: _prune_ended_launches(c, before, now, _CHUNK),
            lambda c: cohort_inbox.prune(c, before, _CHUNK),
        ):
            while removed := await self.db.write(remove):
                total += removed
        while await self.db.write(lambda c: events.prune(c, before, _CHUNK)):
            pass
        while await self.db.write(lambda c: events.hide_order(c, now - _ORDER_KEPT, _CHUNK)):
            pass
        while await self.db.write(lambda c: tallies.prune(c, day_of(before), _CHUNK)):
            pass
        await self.db.write(lambda c: runs.prune(c, before, now))
        await self.db.write(lambda c: diagnostics.prune(c, now - _DIAGNOSTICS_KEPT))
        await self.db.write(lambda c: faults.prune(c, now - _FAULTS_KEPT))
        await self.db.write(lambda c: idempotency.prune(c, now))
        if total and not await self.db.empty_log_now():
            self.db.empty_log()
        return total

    @writes
    def delete_unused_plans(self, c: Connection, now: int) -> int:
        """Delete plans that were not launched within an hour of their planning; return how many."""
        lock_people(c)
        is_unused = launch.c.status == LaunchStatus.PLANNED, launch.c.planned_at < now - _PLAN_KEPT
        unused = select(launch.c.id).where(*is_unused).with_for_update(skip_locked=True)
        launch_ids = c.execute(unused).scalars().all()
        c.execute(delete(invitation).where(invitation.c.launch_id.in_(launch_ids)))
        c.execute(delete(launch).where(launch.c.id.in_(launch_ids)))
        return len(launch_ids)


def _prune_syncs(c: Connection, before: int, now: int, limit: int) -> int:
    """Remove values that name or quote a person from syncs that ended before `before`; return how many.

    The interview id with its outcome, the user's keyed hash and the completion time stay: they keep an
    interview from being counted twice, and older interviews from overwriting newer user properties. An
    anonymous mark stays too, because it was a promise.
    """
    old = (
        select(sync.c.connection, sync.c.interview_id, sync.c.reason, sync.c.facts)
        .where(
            sync.c.first_received_at < before,
            sync.c.updated_at < before,
            sync.c.pruned_at.is_(None),
            sync.c.stage.is_(None),
            sync.c.sending_since.is_(None),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = fetch(c, old)
    values = [(connection, key, _mark(key, reason, facts), now) for connection, key, reason, facts in rows]
    if values:
        _FORGET.execute(c, values)
    return len(values)


def _mark(interview_id: str, reason: str | None, facts: str | None) -> str | None:
    known = load_facts(facts) or Interview(interview_id)
    marks = Interview(
        interview_id,
        anonymous=known.anonymous or reason == ANONYMOUS,
        suppressed=known.suppressed or reason == SUPPRESSED,
    )
    return dump_facts(marks) if is_anonymous_or_erased(reason, known) else None


def _prune_invitations(c: Connection, before: int, now: int, limit: int) -> int:
    """Remove names, addresses, links and tokens of invitations made before `before`; return how many.

    The person's alias keys and the time of the start stay, so that no person is asked twice. An invitation
    that is not sent yet keeps what its start needs.
    """
    old = (
        select(invitation.c.id)
        .where(
            invitation.c.created_at < before,
            invitation.c.pruned_at.is_(None),
            invitation.c.state.not_in(("planned", "waiting", "sending")),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = c.execute(old).scalars().all()
    if ids:
        pruned = update(invitation).where(invitation.c.id.in_(ids))
        c.execute(pruned.values(**dict.fromkeys(PERSONAL), pruned_at=now))
    return len(ids)


def _prune_launches(c: Connection, before: int, limit: int) -> int:
    """Remove the examples of skipped people from launches made before `before`; return how many."""
    old = select(launch.c.id).where(launch.c.created_at < before, launch.c.examples.is_not(None)).limit(limit)
    old = old.with_for_update(skip_locked=True)
    pruned = update(launch).where(launch.c.id.in_(old.scalar_subquery()))
    return c.execute(pruned.values(examples=None)).rowcount


def _prune_ended_launches(c: Connection, before: int, now: int, limit: int) -> int:
    """Remove what a caller gave, and values of people's properties, from launches that are over; count them.

    A launch that still runs needs both: Koji gets the metadata with each start, and waves count by cell.
    """
    old = select(launch.c.id, launch.c.options).where(
        launch.c.created_at < before,
        launch.c.pruned_at.is_(None),
        launch.c.status.in_(("finished", "cancelled")),
    )
    rows = c.execute(old.limit(limit).with_for_update(skip_locked=True)).all()
    for launch_id, options in rows:
        left = dumps({**loads(options), **_NOTHING_GIVEN})
        values = {"options": left, "available": None, "cohort_segments": None, "pruned_at": now}
        c.execute(update(launch).where(launch.c.id == launch_id).values(values))
    mine = invitation.c.launch_id.in_([row.id for row in rows])
    valued = mine & or_(invitation.c.cell.is_not(None), invitation.c.segment.is_not(None))
    c.execute(update(invitation).where(valued).values(cell=None, segment=None))
    return len(rows)
