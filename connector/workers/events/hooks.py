"""The hook worker: delivers events to subscriptions, each at its own pace, one dead one delaying no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import structlog

from connector.context import Context
from connector.domain.events.event import DeliveryOutcome, Hook, HookDelivery
from connector.domain.lease import Lease
from connector.net.target_client import TargetClient
from connector.service import triggers
from connector.text.json import dumps
from connector.workers.events.delivery import Message, deliver
from connector.workers.tasks import Serve, TaskWorker

BATCH: Final = 50
AT_ONCE: Final = 8
FRESH: Final = 1_000
"""How long what was looked up may wait to be sent, in ms."""
_RATE: Final = 25.0
_log = structlog.get_logger(__name__)


class HookWorker(TaskWorker):
    """Serves every subscription to which something is due."""

    name = "hooks"

    def __init__(self, context: Context, *, paced: bool = True) -> None:
        super().__init__(context)
        self._rate = _RATE if paced else None

    async def next_due(self) -> int | None:
        """Return when the next delivery is due."""
        return await self._context.ledger.hooks.next_due()

    async def due(self, now: int) -> list[tuple[str, Serve]]:
        """Return the subscriptions to which something is due."""
        due = await self._context.ledger.hooks.due(now)
        return [(hook.id, partial(self._deliver_all, hook=hook, secret=secret)) for hook, secret in due]

    async def _deliver_all(self, lease: Lease, hook: Hook, secret: str) -> None:
        ctx = self._context
        # connections of its own: a pool looks at all of them at each request, and a dead target holds its own
        client = TargetClient(allow_private=ctx.settings.connector_allow_private_targets, connections=AT_ONCE)
        try:
            while not ctx.stopping.is_set():
                due = await ctx.ledger.hooks.due_for(hook.id, ctx.clock.now(), BATCH)
                if not due or not await self._deliver(lease, client, hook, secret, due):
                    return
        finally:
            await client.close()

    async def _deliver(
        self, lease: Lease, client: TargetClient, hook: Hook, secret: str, due: list[HookDelivery]
    ) -> bool:
        """Deliver some; return whether the target takes more now."""
        ctx = self._context
        settled: list[DeliveryOutcome] = []
        gate = asyncio.Semaphore(AT_ONCE)

        shown = await triggers.render(ctx, [one.event for one in due])
        shown_at = ctx.clock.now()

        async def one(position: int, delivery: HookDelivery, told: Mapping[str, Any]) -> None:
            if self._rate is not None:
                await ctx.clock.sleep(position / self._rate)
            async with gate:
                if ctx.clock.now() - shown_at > FRESH:  # a person may have been erased since
                    (told,) = await triggers.render(ctx, [delivery.event])
                event = delivery.event
                message = Message(event.id, dumps(told).encode(), event.at, delivery.tries)
                tried = await deliver(client, hook.target_url, secret, message, ctx.clock.now())
                settled.append(DeliveryOutcome(delivery.number, *tried))

        await asyncio.gather(*map(one, range(len(due)), due, shown))
        if any(one.state == "gone" for one in settled):
            _log.warning("hook_deleted", hook=hook.id, reason="the target answered 410")
            await ctx.ledger.hooks.unsubscribe([hook.connection], hook_id=hook.id, target_url=None)
            return False
        await ctx.ledger.hooks.settle(lease, settled, ctx.clock.now())
        return all(one.due is None for one in settled)
