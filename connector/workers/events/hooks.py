"""The hook worker delivers to each subscription at its own pace: a dead target delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import structlog

from connector.context import Context
from connector.domain.events.event import DeliveryOutcome, Hook, HookDelivery
from connector.domain.lease import Lease
from connector.metrics import HOOK_DELIVERIES
from connector.net.names import Names
from connector.net.target_client import TargetClient
from connector.service import triggers
from connector.text.json import dumps
from connector.workers.base import INTERNAL_ERROR, is_interruption
from connector.workers.events.delivery import Message, deliver, retry_or_fail
from connector.workers.tasks import Job, TaskWorker

BATCH: Final = 50
AT_ONCE: Final = 8
FRESH: Final = 1_000
"""The longest time from rendering an event to sending it (ms)."""
_RATE: Final = 25.0
_NAMES: Final = Names(most=128)
_log = structlog.get_logger(__name__)


class HookWorker(TaskWorker):
    """Delivers due events to every subscription."""

    name = "hooks"

    def __init__(self, context: Context, *, paced: bool = True) -> None:
        super().__init__(context, context.ledger.hooks.next_due)
        self._rate = _RATE if paced else None

    async def due(self, now: int) -> list[Job]:
        """Return the subscriptions with due events."""
        due = await self._ledger.hooks.due(now)
        return [
            Job(hook.id, hook.connection, partial(self._deliver_all, hook=hook, sealed=sealed))
            for hook, sealed in due
        ]

    async def _deliver_all(self, lease: Lease, hook: Hook, sealed: str) -> None:
        ctx, secret = self._context, self._ledger.unseal(sealed)
        # a client for each hook: a pool scans its connections at each request, and a dead target holds some
        allow_private = ctx.settings.connector_allow_private_targets
        client = TargetClient(_NAMES, allow_private=allow_private, connections=AT_ONCE)
        try:
            while not ctx.stopping.is_set():
                due = await self._ledger.hooks.due_for(hook.id, self._clock.now(), BATCH)
                if not due or not await self._deliver(lease, client, hook, secret, due):
                    return
        finally:
            await client.close()

    async def _deliver(
        self, lease: Lease, client: TargetClient, hook: Hook, secret: str, due: list[HookDelivery]
    ) -> bool:
        """Deliver a batch; return False if the target is gone or a delivery must be retried."""
        ctx, clock = self._context, self._clock
        outcomes: dict[int, DeliveryOutcome] = {}
        gate = asyncio.Semaphore(AT_ONCE)

        rendered = await self._rendered(due)
        rendered_at = clock.now()

        async def send(position: int, delivery: HookDelivery, view: Mapping[str, Any] | None) -> None:
            if self._rate is not None:
                await clock.sleep(position / self._rate)
            async with gate:
                event = delivery.event
                if view is None or clock.now() - rendered_at > FRESH:
                    # since then the subscription may have ended, and a person may have been erased
                    if hook not in await self._ledger.hooks.listed([hook.connection], hook.target_url):
                        return
                    (view,) = await triggers.render(ctx, [event])
                message = Message(event.id, dumps(view).encode(), event.at, delivery.tries)
                sent = await deliver(client, hook.target_url, secret, message, clock.now())
                outcomes[delivery.number] = sent

        async def attempt(position: int, delivery: HookDelivery, view: Mapping[str, Any] | None) -> None:
            event = delivery.event
            failed = retry_or_fail(event.at, delivery.tries, INTERNAL_ERROR, {}, clock.now())
            sending = send(position, delivery, view)
            if await self.attempt(f"{hook.id}/{event.id}", hook.connection, sending, lambda _: failed.due):
                outcomes[delivery.number] = failed

        await asyncio.gather(*map(attempt, range(len(due)), due, rendered))
        for outcome in outcomes.values():
            HOOK_DELIVERIES.labels(outcome.state).inc()
        if any(outcome.state == "gone" for outcome in outcomes.values()):
            _log.warning("hook_deleted", hook=hook.id, reason="the target answered 410")
            await self._ledger.hooks.unsubscribe([hook.connection], hook_id=hook.id, target_url=None)
            return False
        await self._ledger.hooks.settle(lease, outcomes, clock.now())
        return all(outcome.due is None for outcome in outcomes.values())

    async def _rendered(self, due: list[HookDelivery]) -> Sequence[Mapping[str, Any] | None]:
        """Render the events of a batch; if one cannot be rendered, each is rendered on its own."""
        try:
            return await triggers.render(self._context, [delivery.event for delivery in due])
        except Exception as error:
            if is_interruption(error):
                raise
            return [None] * len(due)
