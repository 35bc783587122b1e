"""The run worker begins the interviews of backfills and replays, some hundreds in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from connector.domain.lease import Lease
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.koji_fields import read_envelope, read_interview
from connector.domain.results.observation import Observation
from connector.domain.results.replay import refresh, replay
from connector.domain.results.respondent import People
from connector.domain.results.run import RunChunk, RunItem
from connector.domain.results.sync import InboundWebhook, Sync
from connector.domain.results.transitions import advance
from connector.settings.rules import sync_rules
from connector.text.json import loads
from connector.workers.base import Worker

_BODIES = 16  # of up to 1 MiB each, read and held at a time
_ENDED_UNSENT = (SyncStatus.SKIPPED, SyncStatus.FAILED)


class RunWorker(Worker):
    """Does the runs one after the other, in the order of their calls."""

    name = "runs"

    async def drain(self, lease: Lease, /) -> int | None:
        """Do the next chunk of a run."""
        held = [*self.held(), *self.parked()]
        chunk = await self._ledger.runs.next_chunk(list(self._context.settings.connections), held)
        if chunk is None:
            return self.next_attempt(None)
        if not await self.attempt(chunk.job, chunk.connection, self._step(lease, chunk)):
            self._context.wake("intake", "koji", "amplitude")
        return 0

    async def _step(self, lease: Lease, chunk: RunChunk) -> None:
        if chunk.step == "reread":
            await self._reread(lease, chunk)
        elif chunk.step == "backfill":
            await self._backfill(lease, chunk)
        else:
            await self._replay(lease, chunk)

    async def _reread(self, lease: Lease, chunk: RunChunk) -> None:
        """Give webhooks that can be read now back to the intake, and count their interviews."""
        aliases = self._context.connection(chunk.connection).koji_field_aliases
        ids, found = [int(item.interview_id) for item in chunk.items], list[RunItem]()
        for at in range(0, len(ids), _BODIES):
            readable = {}
            for webhook in await self._ledger.inbox.still_unreadable(ids[at : at + _BODIES]):
                envelope = read_envelope(loads(webhook.body or ""), aliases=aliases)
                if envelope.interview_id is not None:
                    readable[webhook.id] = (envelope.event or webhook.event, envelope.interview_id)
                    found.append(RunItem(None, None, envelope.interview_id))
            await self._ledger.inbox.reread(readable)
        await self._ledger.runs.cover(lease, chunk._replace(items=found))

    async def _replay(self, lease: Lease, chunk: RunChunk) -> None:
        rules, now = sync_rules(self._context.connection(chunk.connection)), self._clock.now()

        def revise(before: Mapping[tuple[str, str], Sync], people: People) -> list[Sync]:
            if chunk.step == "refresh":
                return [refresh(sync, rules, now, people) for sync in before.values()]
            force = chunk.step == "force"
            return [replay(sync, rules, now, people, force=force) for sync in before.values()]

        keys = [(chunk.connection, item.interview_id) for item in chunk.items]
        await self._ledger.syncs.revise(keys, revise, lease=lease, chunk=chunk)

    async def _backfill(self, lease: Lease, chunk: RunChunk) -> None:
        rules, now = sync_rules(self._context.connection(chunk.connection)), self._clock.now()
        observations = {
            (chunk.connection, item.interview_id): Observation(
                rules=rules, interview=_interview(item), at=now, run_id=chunk.run_id
            )
            for item in chunk.items
        }
        await self._ledger.syncs.revise(
            list(observations),
            partial(_begin, observations=observations),
            lease=lease,
            observations=[*observations.values()],
            record=[_webhook(said.interview, chunk.connection, now) for said in observations.values()],
            chunk=chunk,
        )
        await self._ledger.runs.release_backfills(now)


def _interview(item: RunItem) -> Interview:
    fields = {"completed_at": item.completed_at, "respondent_email": item.email}
    given = {name: value for name, value in fields.items() if value}
    return read_interview(given, item.interview_id, event=None)


def _begin(
    before: Mapping[tuple[str, str], Sync],
    people: People,
    *,
    observations: Mapping[tuple[str, str], Observation],
) -> list[Sync]:
    """Return the syncs that join the run: all but those that are synced or on their way anyway."""
    return [
        advance(sync, observation, people)
        for key, observation in observations.items()
        if (sync := before.get(key)) is None or _may_join(sync)
    ]


def _may_join(sync: Sync) -> bool:
    """Tell whether a sync may join the run. One in an earlier run may: a crash may have cut that run."""
    if sync.frozen_at is not None:
        return False
    return sync.status in _ENDED_UNSENT or (sync.backfill and sync.stage in (Stage.READ, Stage.HOLD))


def _webhook(interview: Interview, connection: str, now: int) -> InboundWebhook:
    fields = {"completed_at": interview.completed_at, "respondent_email": interview.respondent_email}
    return InboundWebhook(
        connection=connection,
        received_at=now,
        source="backfill",
        state="done",
        interview_id=interview.interview_id,
        body=json.dumps({name: value for name, value in fields.items() if value is not None}),
    )
