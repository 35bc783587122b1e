"""Read interviews from Koji for what a webhook did not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connector.context import Context, Koji
from connector.domain.lease import Lease
from connector.domain.results.interview import Stage, SyncStatus
from connector.domain.results.observation import heard_from_read
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance
from connector.errors import CredentialsRejected, NotFound, UpstreamRejected, UpstreamUnavailable
from connector.service.attribution import recognised
from connector.settings.rules import sync_rules
from connector.workers.koji.pause import PAUSES, Rest

_HOLDS_NOBODY_AFTER = 5  # failed reads; the rest of its backfill then goes without it


class Reads:
    """Reads what is due, one call at a time, within the budget of its key."""

    def __init__(self, context: Context, koji: Koji, rest: Rest) -> None:
        self._context = context
        self._koji = koji
        self._rest = rest

    async def read(self, lease: Lease, sync: Sync) -> None:
        """Read one interview and decide over it."""
        try:
            body = await self._koji.read(sync.interview_id)
        except NotFound:
            await self._revise(lease, sync, lambda present: self._failed(present, "not_found_in_koji"))
        except (CredentialsRejected, UpstreamRejected) as error:
            if error.reason in PAUSES:
                await self._rest.for_key(error)
                return
            await self._revise(lease, sync, lambda present: self._failed(present, "refused_by_koji"))
        except UpstreamUnavailable as error:
            await self._later(lease, sync, error)
            return
        else:
            await self._told(lease, sync, body)
        await self._rest.well()
        if sync.backfill:
            await self._context.ledger.runs.release_backfills(self._context.clock.now())
        self._context.wake("amplitude")

    async def _told(self, lease: Lease, sync: Sync, body: Mapping[str, Any]) -> None:
        connection = self._context.connection(sync.connection)
        read = heard_from_read(sync_rules(connection), sync.interview_id, body, self._context.clock.now())
        (heard,) = await recognised(self._context.ledger.attribution, [read])

        def revise(present: Sync) -> Sync:
            return advance(present, heard, self._context.ledger.keyed_hash)

        await self._revise(lease, sync, revise)

    def _failed(self, present: Sync, reason: str) -> Sync:
        if present.stage is not Stage.READ:
            return present
        ended = present._replace(
            stage=None,
            due=None,
            force=False,
            reads=present.reads + 1,
            updated_at=self._context.clock.now(),
        )
        if present.status is SyncStatus.SYNCED:
            return ended
        return ended._replace(status=SyncStatus.FAILED, reason=reason)

    async def _revise(self, lease: Lease, sync: Sync, revise: Callable[[Sync], Sync]) -> None:
        key = (sync.connection, sync.interview_id)
        await self._context.ledger.syncs.revise(
            [key], lambda before: [revise(before[key])] if key in before else [], lease=lease
        )

    async def _later(self, lease: Lease, sync: Sync, error: UpstreamUnavailable) -> None:
        wait = await self._rest.for_silence(error)
        now = self._context.clock.now()

        def later(present: Sync) -> Sync:
            if present.stage is not Stage.READ:
                return present
            # behind the others: an interview that Koji cannot show must not hold them up
            tries = present.tries + 1
            reads = max(present.reads, 1) if tries >= _HOLDS_NOBODY_AFTER else present.reads
            return present._replace(due=now + wait + 1, tries=tries, reads=reads)

        await self._revise(lease, sync, later)
        if sync.backfill:
            await self._context.ledger.runs.release_backfills(now)
