"""The hook lane: delivers events to subscriptions, each at its own pace, one dead one delaying no other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import httpcore
import structlog

from connector import triggers
from connector.errors import Conflict, StoreUnavailable
from connector.hooks import Delivery, Hook, Settled
from connector.json_text import dumps
from connector.ports import Context, Lease
from connector.retry_after import retry_after_seconds
from connector.target_client import PrivateTarget, TargetClient
from connector.webhook_signing import signed

BATCH: Final = 50
AT_ONCE: Final = 8
FRESH: Final = 1_000
"""How long what was looked up may wait to be sent, in ms."""
GIVE_UP_AFTER: Final = 3 * 86_400_000
_FIRST_WAIT, _LONGEST_WAIT = 10_000, 4 * 3_600_000
_RATE: Final = 25.0
_GONE: Final = 410
_log = structlog.get_logger(__name__)


class HookLane:
    """Keeps one task for every subscription to which something is due."""

    name = "hooks"

    def __init__(self, context: Context, *, paced: bool = True) -> None:
        self._context = context
        self._rate = _RATE if paced else None
        self._busy: dict[str, asyncio.Task[None]] = {}

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
            if hook.id not in self._busy:
                task = asyncio.create_task(self._serve(lease, hook, secret), name=f"hook {hook.id}")
                self._busy[hook.id] = task
                task.add_done_callback(partial(self._ended, hook.id))
        return 100

    def _ended(self, hook_id: str, _task: asyncio.Task[None]) -> None:
        self._busy.pop(hook_id, None)
        self._context.wake("hooks")

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
        self, lease: Lease, client: TargetClient, hook: Hook, secret: str, due: list[Delivery]
    ) -> bool:
        """Deliver some; return whether the target takes more now."""
        ctx = self._context
        settled: list[Settled] = []
        gate = asyncio.Semaphore(AT_ONCE)

        shown = await triggers.render(ctx, [one.event for one in due])
        shown_at = ctx.clock.now()

        async def one(position: int, delivery: Delivery, told: Mapping[str, Any]) -> None:
            if self._rate is not None:
                await ctx.clock.sleep(position / self._rate)
            async with gate:
                if ctx.clock.now() - shown_at > FRESH:  # somebody may have been forgotten since
                    (told,) = await triggers.render(ctx, [delivery.event])
                settled.append(await self._try(client, hook, secret, delivery, dumps(told).encode()))

        await asyncio.gather(*map(one, range(len(due)), due, shown))
        if any(one.state == "gone" for one in settled):
            _log.warning("hook_deleted", hook=hook.id, reason="the target answered 410")
            await ctx.ledger.hooks.unsubscribe([hook.connection], hook_id=hook.id, target_url=None)
            return False
        await ctx.ledger.hooks.settle(lease, settled, ctx.clock.now())
        return all(one.due is None for one in settled)

    async def _try(
        self, client: TargetClient, hook: Hook, secret: str, delivery: Delivery, body: bytes
    ) -> Settled:
        now = self._context.clock.now()
        headers = signed(secret, delivery.event.id, body, now)
        try:
            status, answer = await client.post(hook.target_url, body, headers)
        except PrivateTarget:
            return self._again(delivery, "private_target", {}, now)
        except (TimeoutError, httpcore.TimeoutException):
            return self._again(delivery, "timeout", {}, now)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
            return self._again(delivery, "unreachable", {}, now)
        if 200 <= status < 300:
            return Settled(delivery.number, "delivered", str(status), None)
        if status == _GONE:
            return Settled(delivery.number, "gone", str(status), None)
        return self._again(delivery, str(status), answer, now)

    def _again(self, delivery: Delivery, outcome: str, answer: Mapping[str, str], now: int) -> Settled:
        """Try later and later, for days; `Retry-After` may ask for more."""
        wait = min(_FIRST_WAIT * 2 ** min(delivery.tries, 20), _LONGEST_WAIT)
        asked = (retry_after_seconds(answer, now / 1_000) or 0) * 1_000
        due = now + max(int(random.uniform(wait / 2, wait)), min(asked, _LONGEST_WAIT))  # noqa: S311 - spreads load
        if due - delivery.event.at > GIVE_UP_AFTER and delivery.tries:
            return Settled(delivery.number, "failed", outcome, None)
        return Settled(delivery.number, "waiting", outcome, due)

    async def close(self) -> None:
        """Let go of what is on its way; it is delivered again."""
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
