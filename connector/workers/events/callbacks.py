"""The callback lane: looks when what was begun has ended, and posts the result to whoever waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from connector.context import Context
from connector.domain.events.callback import Callback, Result, secret_of
from connector.domain.lease import Lease
from connector.errors import Conflict, StoreUnavailable
from connector.net.target_client import TargetClient
from connector.workers.events.delivery import Message, deliver
from connector.workers.tasks import Tasks

AT_ONCE: Final = 50
LONGEST_WATCH: Final = 30 * 86_400_000
_SHORTEST_LOOK, _LONGEST_LOOK = 1_000, 60_000
Look = Callable[[Context, Callback], Awaitable[Result | None]]
"""Tells how what was begun stands, None when nobody can tell any more."""
_log = structlog.get_logger(__name__)


class CallbackWorker:
    """Keeps one task for every callback that is due."""

    name = "callbacks"

    def __init__(self, context: Context, look: Look) -> None:
        self._context = context
        self._look = look
        self._tasks = Tasks(lambda: context.wake("callbacks"))

    async def recover(self, _lease: Lease, /) -> None:
        """Nothing to do: what was not settled is posted again, under the same id."""

    async def drain(self, lease: Lease, /) -> int | None:
        """Serve what is due, as far as there is room; what is being served is left alone."""
        ctx = self._context
        now = ctx.clock.now()
        following = await ctx.ledger.callbacks.next_due()
        if following is None or following > now:
            return None if following is None else following - now
        for callback in await ctx.ledger.callbacks.due(now, AT_ONCE):
            if callback.id not in self._tasks and len(self._tasks) < AT_ONCE:
                self._tasks.start(callback.id, self._serve(lease, callback))
        return 100

    async def _serve(self, lease: Lease, callback: Callback) -> None:
        owed, now = self._context.ledger.callbacks, self._context.clock.now()
        try:
            result = await self._look(self._context, callback)
            if result is None or now - callback.created_at > LONGEST_WATCH:
                _log.warning("callback_dropped", operation=callback.operation, callback=callback.id)
                await owed.end(lease, callback.id)
            elif not result.ended:
                rest = _until_next_look(now - callback.created_at)
                await owed.later(lease, callback._replace(due=now + rest))
            else:
                await self._post(lease, callback, result)
        except (Conflict, StoreUnavailable) as error:  # the lane's next owner, or this one, tries again
            _log.warning("callback_interrupted", callback=callback.id, code=error.reason)

    async def _post(self, lease: Lease, callback: Callback, result: Result) -> None:
        ctx = self._context
        now = ctx.clock.now()
        since = callback.ready_at or now
        letter = Message(callback.id, result.body.encode(), since, callback.tries)
        client = TargetClient(allow_private=ctx.settings.connector_allow_private_targets)
        try:
            secret = secret_of(ctx.ledger.plan_key, callback.id)
            tried = await deliver(client, callback.target_url, secret, letter, now)
        finally:
            await client.close()
        if tried.due is not None:
            await ctx.ledger.callbacks.later(
                lease, callback._replace(due=tried.due, ready_at=since, tries=callback.tries + 1)
            )
            return
        if tried.state != "delivered":
            _log.warning("callback_failed", callback=callback.id, outcome=tried.outcome)
        await ctx.ledger.callbacks.end(lease, callback.id)

    async def close(self) -> None:
        """Let go of what is on its way; it is posted again."""
        await self._tasks.close()


def _until_next_look(age: int) -> int:
    """Look often at first, ever less often later (ms): a result is told at most a tenth late."""
    return min(max(age // 10, _SHORTEST_LOOK), _LONGEST_LOOK)
