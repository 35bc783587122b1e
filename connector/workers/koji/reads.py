"""Read interviews from Koji for what a webhook did not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connector.context import Context, Koji
from connector.domain.lease import Lease
from connector.domain.results.interview import Stage
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, unread, with_respondent
from connector.errors import CredentialsRejected, NotFound, UpstreamRejected, UpstreamUnavailable
from connector.service.attribution import read_from_koji
from connector.settings.rules import sync_rules
from connector.workers.koji.pause import PAUSES, KojiPause

_HOLDS_NOBODY_AFTER = 5  # failed reads; the rest of its backfill then goes without it


class Reads:
    """Reads what is due, one call at a time, within the budget of its key."""

    def __init__(self, context: Context, koji: Koji, pause: KojiPause) -> None:
        self._context = context
        self._koji = koji
        self._pause = pause

    async def read(self, lease: Lease, sync: Sync) -> None:
        """Read one interview and decide over it."""
        try:
            body = await self._koji.read(sync.interview_id)
        except NotFound:
            await self._end(lease, sync, "not_found_in_koji")
        except (CredentialsRejected, UpstreamRejected) as error:
            if error.reason in PAUSES:
                await self._pause.for_key(error)
                return
            await self._end(lease, sync, "refused_by_koji")
        except UpstreamUnavailable as error:
            await self._later(lease, sync, error)
            return
        else:
            await self._told(lease, sync, body)
        await self._pause.answered()
        if sync.backfill:
            await self._context.ledger.runs.release_backfills(self._context.clock.now())
        self._context.wake("amplitude")

    async def _told(self, lease: Lease, sync: Sync, body: Mapping[str, Any]) -> None:
        connection = self._context.connection(sync.connection)
        heard = await read_from_koji(self._context, sync_rules(connection), sync.interview_id, body)
        await self._revise(lease, sync, lambda present, people: advance(present, heard, people), [heard])

    async def _end(self, lease: Lease, sync: Sync, reason: str) -> None:
        now = self._context.clock.now()
        await self._revise(lease, sync, lambda present, _: unread(present, reason, now))

    async def _revise(
        self,
        lease: Lease,
        sync: Sync,
        step: Callable[[Sync, People], Sync],
        heard: Sequence[Observation] = (),
    ) -> None:
        key = (sync.connection, sync.interview_id)

        def revise(before: Mapping[tuple[str, str], Sync], people: People) -> list[Sync]:
            return [with_respondent(step(before[key], people), people)] if key in before else []

        await self._context.ledger.syncs.revise([key], revise, lease=lease, heard=heard)

    async def _later(self, lease: Lease, sync: Sync, error: UpstreamUnavailable) -> None:
        wait = await self._pause.for_silence(error)
        now = self._context.clock.now()

        def later(present: Sync, _: People) -> Sync:
            if present.stage is not Stage.READ:
                return present
            # behind the others: an interview that Koji cannot show must not hold them up
            tries = present.tries + 1
            reads = max(present.reads, 1) if tries >= _HOLDS_NOBODY_AFTER else present.reads
            return present._replace(due=now + wait + 1, tries=tries, reads=reads)

        await self._revise(lease, sync, later)
        if sync.backfill:
            await self._context.ledger.runs.release_backfills(now)
