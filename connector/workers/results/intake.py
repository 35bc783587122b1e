"""The intake worker turns stored webhooks into the next state of their syncs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from connector.domain.lease import Lease
from connector.domain.results.interview import Interview, Stage
from connector.domain.results.koji_fields import read_interview
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import InboundWebhook, Sync
from connector.domain.results.transitions import advance
from connector.service.attribution import recognised
from connector.settings.rules import sync_rules
from connector.text.json import loads
from connector.workers.base import Worker, is_interruption

BATCH = 128  # bodies have up to 1 MiB, and new webhooks wait for the commit of a batch
_log = structlog.get_logger(__name__)


class IntakeWorker(Worker):
    """Reads stored webhooks in order of arrival, and updates the syncs of their interviews."""

    name = "intake"

    async def drain(self, lease: Lease) -> int | None:
        """Process one batch of webhooks."""
        # a webhook of an unknown connection waits for a process that knows the connection
        connections, held = list(self._context.settings.connections), [int(job) for job in self.held() if job]
        webhooks = await self._ledger.inbox.take_new(connections, BATCH, held)
        if not webhooks:
            return self.next_attempt(None)
        try:
            await self._process(lease, webhooks)
        except Exception as error:
            if is_interruption(error):
                raise
            for webhook in webhooks:  # one of them must not hold up the others
                await self._process_alone(lease, webhook)
        else:
            for webhook in webhooks:
                await self.succeeded(str(webhook.id))
        return 0 if len(webhooks) == BATCH else 1

    async def _process_alone(self, lease: Lease, webhook: InboundWebhook) -> None:
        fault = await self.attempt(str(webhook.id), webhook.connection, self._process(lease, [webhook]))
        if fault and fault.due is None:
            await self._ledger.inbox.set_aside(webhook.id)

    async def _process(self, lease: Lease, webhooks: Sequence[InboundWebhook]) -> None:
        read = [seen for webhook in webhooks if (seen := self._observation(webhook))]
        observations = await recognised(self._context, read)
        changed = await self._ledger.syncs.revise(
            list({observation.key for observation in observations}),
            partial(_revised, observations=observations),
            lease=lease,
            observations=observations,
            done=[webhook.id for webhook in webhooks],
        )
        stages = {sync.stage for sync in changed}
        for kind, stage in (("koji", Stage.READ), ("amplitude", Stage.SEND)):
            if stage in stages:
                self._context.wake(kind)

    def _observation(self, webhook: InboundWebhook) -> Observation | None:
        if webhook.interview_id is None:  # such a webhook is unreadable, and never new
            return None
        rules = sync_rules(self._context.connection(webhook.connection))
        try:
            interview = read_interview(
                loads(webhook.body or ""),
                webhook.interview_id,
                event=webhook.event,
                aliases=rules.field_aliases,
                signed_at=webhook.signed_at,
                project_id=rules.project_id,
                whole=rules.added.need_analysis(),
            )
        except (ValueError, ArithmeticError, RecursionError, LookupError, TypeError) as error:
            # one body must not delay all others: the interview is read from Koji instead
            _log.error("delivery_not_understood", delivery=webhook.id, error=type(error).__name__)
            interview = Interview(webhook.interview_id)
        return Observation(rules=rules, interview=interview, at=webhook.received_at)


def _revised(
    before: Mapping[tuple[str, str], Sync], people: People, *, observations: Sequence[Observation]
) -> list[Sync]:
    """Return the changed syncs; observations of one interview apply in order."""
    after = dict(before)
    for observation in observations:
        after[observation.key] = advance(after.get(observation.key), observation, people)
    return [sync for key, sync in after.items() if sync is not before.get(key)]
