"""Wait for a sync to end, as long as a caller has patience."""

from __future__ import annotations

from connector.context import Context
from connector.domain.results.interview import Stage
from connector.domain.results.sync import Sync
from connector.errors import CredentialsRejected, UpstreamRejected
from connector.service.views.sync import flat

_FIRST = 0.01
_LONGEST = 0.25
_KEYS = frozenset({"koji_key", "koji_permission", "amplitude_key"})


async def until_ended(ctx: Context, sync: Sync, seconds: float) -> Sync:
    """Return the sync as it ended, or as it is after `seconds`.

    Raises `CredentialsRejected` or `UpstreamRejected` when the lane it waits for is paused: waiting longer
    cannot help, and the interview is kept.
    """
    until = ctx.clock.now() + seconds * 1000
    pause = _FIRST
    while sync.stage is not None and sync.reason != "not_configured":
        await _raise_for_pause(ctx, sync)
        if ctx.clock.now() >= until or ctx.stopping.is_set():
            break
        await ctx.clock.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
        sync = await ctx.ledger.find(sync.connection, sync.interview_id) or sync
    return sync


async def _raise_for_pause(ctx: Context, sync: Sync) -> None:
    connection = ctx.connection(sync.connection)
    lane = connection.koji_lane if sync.stage is Stage.READ else connection.amplitude_lane
    for pause in await ctx.ledger.pauses():
        if pause.lane == lane and pause.code != "koji_unreachable":
            refusal = CredentialsRejected if pause.code in _KEYS else UpstreamRejected
            raise refusal(
                f"{pause.words.rstrip('.')}. The interview is kept; it goes on once check_connection "
                "finds all well.",
                result=flat(sync),
            )
