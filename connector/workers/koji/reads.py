"""Read interviews from Koji if their webhooks left out fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connector.domain.lease import Fault, Lease
from connector.domain.results.interview import Interview, Stage
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, read_refused, waited_in_vain, with_respondent
from connector.errors import CredentialsRejected, NotFound, UpstreamRejected, UpstreamUnavailable
from connector.service.attribution import read_from_koji
from connector.settings.rules import sync_rules
from connector.workers.base import INTERNAL_ERROR
from connector.workers.koji.pause import PAUSES, KojiCalls

_RELEASES_BACKFILL_AFTER = 5  # failed reads; then the backfill is sent without the interview


class Reads(KojiCalls):
    """Reads due interviews, one call at a time, within the rate limit of the key."""

    async def read(self, lease: Lease, sync: Sync) -> None:
        """Read one interview, and store the next state of its sync."""
        began = self._clock.now()
        try:
            body = await self._koji.read(sync.interview_id, fresh=sync.force)
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
            rules = sync_rules(self._context.connection(sync.connection))
            read = await read_from_koji(self._context, rules, sync.interview_id, body)
            await self._revise(lease, sync, lambda present, people: advance(present, read, people), [read])
        self._context.trace("koji.read", sync.connection, sync.interview_id, began, self._clock.now())
        await self._pause.answered()
        if sync.backfill:
            await self._ledger.runs.release_backfills(self._clock.now())
        self._context.wake("amplitude")

    async def put_off(self, lease: Lease, sync: Sync, fault: Fault) -> None:
        """Read an interview again later, or end its sync if it was tried too often."""

        def later(present: Sync, people: People) -> Sync:
            if fault.due is None:
                return read_refused(present, INTERNAL_ERROR, self._unread(sync), people)
            return present._replace(due=fault.due) if present.stage is Stage.READ else present

        await self._revise(lease, sync, later)

    async def _end(self, lease: Lease, sync: Sync, reason: str) -> None:
        seen = self._unread(sync)
        await self._revise(lease, sync, lambda present, people: read_refused(present, reason, seen, people))

    def _unread(self, sync: Sync) -> Observation:
        """Return the observation of a read that showed nothing."""
        return Observation(
            rules=sync_rules(self._context.connection(sync.connection)),
            interview=Interview(sync.interview_id),
            at=self._clock.now(),
            trusted=self._context.trusted_now(),
        )

    async def _revise(
        self,
        lease: Lease,
        sync: Sync,
        step: Callable[[Sync, People], Sync],
        observations: Sequence[Observation] = (),
    ) -> None:
        key = (sync.connection, sync.interview_id)

        def revise(before: Mapping[tuple[str, str], Sync], people: People) -> list[Sync]:
            return [with_respondent(step(before[key], people), people)] if key in before else []

        await self._ledger.syncs.revise([key], revise, lease=lease, observations=observations)

    async def _later(self, lease: Lease, sync: Sync, error: UpstreamUnavailable) -> None:
        wait = await self._pause.for_unreachable(error)
        now = self._clock.now()
        seen = self._unread(sync)

        def later(present: Sync, people: People) -> Sync:
            if present.stage is not Stage.READ:
                return present
            if sent := waited_in_vain(present, seen, people):
                return sent
            # behind the other interviews, because a read that always fails must not delay them
            tries = present.tries + 1
            reads = max(present.reads, 1) if tries >= _RELEASES_BACKFILL_AFTER else present.reads
            return present._replace(due=now + wait + 1, tries=tries, reads=reads)

        await self._revise(lease, sync, later)
        if sync.backfill:
            await self._ledger.runs.release_backfills(now)
        self._context.wake("amplitude")
