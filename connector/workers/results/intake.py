"""The intake: what came in becomes the next state of its sync."""

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
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from connector.text.json import loads
from connector.workers.base import Worker

BATCH = 128  # bodies have up to 1 MiB, and webhooks wait for the commit that decides over a batch
_log = structlog.get_logger(__name__)


class IntakeWorker(Worker):
    """Reads stored deliveries in order of arrival and decides over their interviews."""

    name = "intake"

    async def drain(self, lease: Lease) -> int | None:
        """Decide over one batch of deliveries."""
        # those of a connection that this process does not know stay for one that does
        deliveries = await self._context.ledger.inbox.take_new(
            list(self._context.settings.connections), BATCH
        )
        if not deliveries:
            return None
        told = [one for delivery in deliveries if (one := self._heard(delivery))]
        heard = await recognised(self._context, told)
        changed = await self._context.ledger.syncs.revise(
            list({one.key for one in heard}),
            partial(_revised, heard=heard),
            lease=lease,
            heard=heard,
            done=[delivery.id for delivery in deliveries],
        )
        stages = {sync.stage for sync in changed}
        for kind, stage in (("koji", Stage.READ), ("amplitude", Stage.SEND)):
            if stage in stages:
                self._context.wake(kind)
        return 0 if len(deliveries) == BATCH else 1

    def _heard(self, delivery: InboundWebhook) -> Observation | None:
        if delivery.interview_id is None:  # such a one is unreadable, and never new
            return None
        connection = self._context.connection(delivery.connection)
        interview = self._read(delivery, delivery.interview_id, connection)
        return Observation(rules=sync_rules(connection), interview=interview, at=delivery.received_at)

    def _read(self, delivery: InboundWebhook, interview_id: str, connection: Connection) -> Interview:
        try:
            return read_interview(
                loads(delivery.body or ""),
                interview_id,
                event=delivery.event,
                aliases=connection.koji_field_aliases,
                signed_at=delivery.signed_at,
                project_id=connection.koji_project_id,
            )
        except (ValueError, ArithmeticError, RecursionError, LookupError, TypeError) as error:
            # one body must not hold up all others: Koji is asked about its interview instead
            _log.error("delivery_not_understood", delivery=delivery.id, error=type(error).__name__)
            return Interview(interview_id)


def _revised(
    before: Mapping[tuple[str, str], Sync], people: People, *, heard: Sequence[Observation]
) -> list[Sync]:
    """Return the syncs that change; several observations of one interview follow each other."""
    after = dict(before)
    for one in heard:
        after[one.key] = advance(after.get(one.key), one, people)
    return [sync for key, sync in after.items() if sync is not before.get(key)]
