"""The hook lane: delivers events to subscriptions, each at its own pace, one dead one delaying no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from connector.context import Context
from connector.domain.events.event import DeliveryOutcome, Hook, HookDelivery
from connector.domain.lease import Lease
from connector.errors import Conflict, StoreUnavailable
from connector.net.target_client import TargetClient
from connector.service import triggers
from connector.text.json import dumps
from connector.workers.events.delivery import Message, deliver
from connector.workers.tasks import Tasks

BATCH: Final = 50
AT_ONCE: Final = 8
FRESH: Final = 1_000
"""How long what was looked up may wait to be sent, in ms."""
_RATE: Final = 25.0
_log = structlog.get_logger(__name__)


class HookWorker:
    """Keeps one task for every subscription to which something is due."""

    name = "hooks"

    def __init__(self, context: Context, *, paced: bool = True) -> None:
        self._context = context
        self._rate = _RATE if paced else None
        self._tasks = Tasks(lambda: context.wake("hooks"))

    async def recover(self, _lease: Lease, /) -> None:
        """Nothing to do: what was not settled is delivered again, under the same id."""

    async def drain(self, lease: Lease, /) -> int | None:
        """Let every subscription with something due be served; those that are served are left alone."""
        ctx = self._context
        now = ctx.clock.now()
        following = await ctx.ledger.hooks.next_due()
        if following is None or following > now:
            return None if following is None else following - now
        for hook, secret in await ctx.ledger.hooks.due(now):
            if hook.id not in self._tasks:
                self._tasks.start(hook.id, self._serve(lease, hook, secret))
        return 100

    async def _serve(self, lease: Lease, hook: Hook, secret: str) -> None:
        ctx = self._context
        # connections of its own: a pool looks at all of them at each request, and a dead target holds its own
        client = TargetClient(allow_private=ctx.settings.connector_allow_private_targets, connections=AT_ONCE)
        try:
            while not ctx.stopping.is_set():
                due = await ctx.ledger.hooks.due_for(hook.id, ctx.clock.now(), BATCH)
                if not due or not await self._deliver(lease, client, hook, secret, due):
                    return
        except (Conflict, StoreUnavailable) as error:  # the lane's next owner, or this one, tries again
            _log.warning("hook_interrupted", hook=hook.id, code=error.reason)
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
                if ctx.clock.now() - shown_at > FRESH:  # somebody may have been forgotten since
                    (told,) = await triggers.render(ctx, [delivery.event])
                event = delivery.event
                letter = Message(event.id, dumps(told).encode(), event.at, delivery.tries)
                tried = await deliver(client, hook.target_url, secret, letter, ctx.clock.now())
                settled.append(DeliveryOutcome(delivery.number, *tried))

        await asyncio.gather(*map(one, range(len(due)), due, shown))
        if any(one.state == "gone" for one in settled):
            _log.warning("hook_deleted", hook=hook.id, reason="the target answered 410")
            await ctx.ledger.hooks.unsubscribe([hook.connection], hook_id=hook.id, target_url=None)
            return False
        await ctx.ledger.hooks.settle(lease, settled, ctx.clock.now())
        return all(one.due is None for one in settled)

    async def close(self) -> None:
        """Let go of what is on its way; it is delivered again."""
        await self._tasks.close()
