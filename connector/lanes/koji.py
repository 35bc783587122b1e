"""The Koji lane: reads interviews for what a webhook did not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.lanes.base import CREDENTIAL_WAIT, backoff
from connector.models import Stage, SyncStatus
from connector.ports import Context, Koji, Lease, Sync
from connector.syncing import advance, heard_from_read

_BATCH = 20
_HOLDS_NOBODY_AFTER = 5  # failed reads; the rest of its backfill then goes without it
_PAUSES = frozenset({"koji_key", "koji_permission", "koji_credits", "koji_redirect"})
_log = structlog.get_logger(__name__)


class KojiLane:
    """Reads what is due, one call at a time, within the budget of its key."""

    def __init__(self, context: Context, name: str, connections: tuple[str, ...], koji: Koji) -> None:
        self.name = name
        self._context = context
        self._connections = connections
        self._koji = koji
        self._failures = 0
        self._rests_until = 0
        self._paused = False

    async def recover(self, _lease: Lease, /) -> None:
        """Try again whatever pause an earlier owner left."""
        await self._context.ledger.resume(self.name)

    async def drain(self, lease: Lease) -> int | None:
        """Read the interviews that are due."""
        now = self._context.clock.now()
        if self._paused and (now >= self._rests_until or not await self._is_paused()):
            await self._go_on()
        if now < self._rests_until:
            return self._rests_until - now
        ledger = self._context.ledger
        following = await ledger.next_due(Stage.READ, self._connections)
        if following is None or following > now:
            return None if following is None else following - now
        for sync in await ledger.due_reads(self._connections, now, _BATCH):
            if self._context.stopping.is_set() or self._context.clock.now() < self._rests_until:
                break
            await self._read(lease, sync)
        return 0

    async def _is_paused(self) -> bool:
        return any(pause.lane == self.name for pause in await self._context.ledger.pauses())

    async def _go_on(self) -> None:
        """End a pause before trying again: whoever asks meanwhile waits for what the try shows."""
        self._paused, self._rests_until = False, 0
        await self._context.ledger.resume(self.name)

    async def _read(self, lease: Lease, sync: Sync) -> None:
        try:
            body = await self._koji.read(sync.interview_id)
        except NotFound:
            await self._revise(lease, sync, lambda present: self._failed(present, "not_found_in_koji"))
        except (CredentialsRejected, UpstreamRejected) as error:
            if error.reason in _PAUSES:
                await self._pause(error)
                return
            await self._revise(lease, sync, lambda present: self._failed(present, "refused_by_koji"))
        except UpstreamUnavailable as error:
            await self._rest(lease, sync, error)
            return
        else:
            await self._told(lease, sync, body)
        self._failures = 0
        if sync.backfill:
            await self._context.ledger.release_backfills(self._context.clock.now())
        self._context.wake("amplitude")

    async def _told(self, lease: Lease, sync: Sync, body: Mapping[str, Any]) -> None:
        connection = self._context.connection(sync.connection)
        heard = heard_from_read(connection, sync.interview_id, body, self._context.clock.now())

        def revise(present: Sync) -> Sync:
            return advance(present, heard, self._context.ledger.hash_user)

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
        await self._context.ledger.revise(
            [key], lambda before: [revise(before[key])] if key in before else [], lease=lease
        )

    async def _pause(self, error: ConnectorError) -> None:
        now = self._context.clock.now()
        self._paused, self._rests_until = True, now + CREDENTIAL_WAIT
        _log.warning("koji_lane_paused", lane=self.name, code=error.reason)
        await self._context.ledger.pause(self.name, self._rests_until, error.reason, error.message)

    async def _rest(self, lease: Lease, sync: Sync, error: UpstreamUnavailable) -> None:
        self._failures += 1
        wait = max((error.retry_after or 0) * 1000, backoff(self._failures))
        now = self._context.clock.now()
        self._rests_until = now + wait

        def later(present: Sync) -> Sync:
            if present.stage is not Stage.READ:
                return present
            # behind the others: an interview that Koji cannot show must not hold them up
            tries = present.tries + 1
            reads = max(present.reads, 1) if tries >= _HOLDS_NOBODY_AFTER else present.reads
            return present._replace(due=now + wait + 1, tries=tries, reads=reads)

        await self._revise(lease, sync, later)
        if sync.backfill:
            await self._context.ledger.release_backfills(now)
