"""Show how a call goes on, and with which pause or limit it waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from connector.cli.operations.progress import Show
from connector.context import Context
from connector.domain.lease import Pause
from connector.domain.results.interview import Stage
from connector.errors import CredentialsRejected
from connector.service.execution.operation import Output

_STANDSTILL = 3_000  # milliseconds without any change while a lane is paused


def showing(ctx: Context, connection: str, show: Show) -> Callable[[Output], Awaitable[None]]:
    """Return what shows each state of a call on a connection.

    It raises `CredentialsRejected` when nothing moves because a key was refused: watching longer cannot help.
    """
    last: Output | None = None
    changed_at = ctx.clock.now()

    async def tell(state: Output) -> None:
        nonlocal last, changed_at
        if state != last:
            last, changed_at = state, ctx.clock.now()
        pause = await _pause(ctx, connection)
        for_key = pause is not None and pause.code != "koji_unreachable"
        if pause is not None and for_key and ctx.clock.now() - changed_at > _STANDSTILL:
            rest = "What is left goes on once check_connection finds the key good."
            message = f"{pause.words.rstrip('.')}. {rest}"
            raise CredentialsRejected(message, result=state.model_dump(mode="json"))
        unread = await ctx.ledger.syncs.waiting(Stage.READ, [connection])
        why = pause.words if pause else await _why(ctx, connection, unread)
        show(state, unread, "" if hasattr(state, "message") else why)

    return tell


async def forget_pauses(ctx: Context, connection: str) -> None:
    """Let the lanes of a connection try again at once: their owner asks for it, perhaps with a mended key."""
    mine = ctx.connection(connection)
    for lane in (mine.koji_lane, mine.amplitude_lane):
        if lane is not None:
            await ctx.ledger.leases.resume(lane)


async def _pause(ctx: Context, connection: str) -> Pause | None:
    mine = ctx.connection(connection)
    lanes = (mine.koji_lane, mine.amplitude_lane)
    return next((pause for pause in await ctx.ledger.leases.pauses() if pause.lane in lanes), None)


async def _why(ctx: Context, connection: str, unread: int) -> str:
    limit = ctx.connection(connection).koji_rate_limit_per_minute
    unsent = await ctx.ledger.syncs.waiting(Stage.SEND, [connection])
    reading = [f"{unread} to read from Koji, at most {limit} a minute"] if unread else []
    return ", ".join([*reading, *([f"{unsent} to send"] if unsent else [])])
