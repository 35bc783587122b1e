"""Pauses of a connection's lanes: which end by themselves, and the errors of those that do not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from connector.context import Context
from connector.domain.launches.launch import KOJI_LIMIT, KOJI_UNREACHABLE
from connector.domain.lease import ConnectionPause, Pause
from connector.errors import CredentialsRejected, UpstreamRejected

_KEY_CODES = frozenset({"koji_key", "koji_permission", "amplitude_key"})
_NOTHING_LOST = "Nothing is lost; the work continues once check_connection finds no fault."


async def pause_of_lanes(ctx: Context, lanes: Collection[str | None]) -> Pause | None:
    """Return the first pause of these lanes, or None if they all work."""
    return next((pause for pause in await ctx.ledger.leases.pauses() if pause.lane in lanes), None)


async def announced_pauses(ctx: Context) -> list[ConnectionPause]:
    """Return the pauses of all connections that were announced."""
    stored = await ctx.ledger.connection_pauses.listed(list(ctx.settings.connections))
    return [pause for pause in stored if pause.announced]


def ends_by_itself(pause: Pause) -> bool:
    """Tell whether a pause ends once Koji answers; any other lasts until a person mends its cause."""
    return pause.code in (KOJI_UNREACHABLE, KOJI_LIMIT)


def raise_for_pause(pause: Pause, result: Mapping[str, Any]) -> None:
    """Raise the error of a pause that does not end by itself; `result` is the unfinished answer.

    Raises `CredentialsRejected` for a refused key, else `UpstreamRejected` (no credits, a wrong URL).
    """
    if not ends_by_itself(pause):
        error = CredentialsRejected if pause.code in _KEY_CODES else UpstreamRejected
        raise error(f"{pause.message.rstrip('.')}. {_NOTHING_LOST}", result=result)
