"""Wait for Koji's first webhook and say what came of it."""

from __future__ import annotations

import asyncio

from connector.cli.terminal import PROGRAM, say
from connector.context import Context
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import InboundWebhook
from connector.operations.check_connection import CHECK_CONNECTION
from connector.service.execution.operation import Input

_LOOK_EVERY = 0.5
_SETTLE_SECONDS = 10.0
_PING = "ping"


async def watch(ctx: Context, since: int) -> None:
    """Return once a webhook was accepted after `since` (ms); say on the way what was refused, and why."""
    told: set[tuple[str, str]] = set()
    while True:
        for name in ctx.settings.connections:
            latest = await ctx.ledger.inbox.latest_webhook(name)
            if latest is not None and latest.received_at >= since:
                await _tell(ctx, latest)
                return
        for name in ("", *ctx.settings.connections):
            await _tell_notes(ctx, name, since, told)
        await asyncio.sleep(_LOOK_EVERY)


async def _tell(ctx: Context, delivery: InboundWebhook) -> None:
    what = delivery.event or "A webhook without an event name"
    say(f"{what} came, signed in the header {delivery.header} ({delivery.scheme}), on {delivery.connection}.")
    if delivery.interview_id is None:
        found = await CHECK_CONNECTION.run(ctx, Input(connection=delivery.connection))
        say(next(check.message for check in found.checks if check.name == "unreadable_webhooks"))
        return
    outcome = await _outcome(ctx, delivery.connection, delivery.interview_id)
    say(f"Interview {delivery.interview_id}: {outcome}")


async def _outcome(ctx: Context, connection: str, interview_id: str) -> str:
    """Give the lanes a moment and return what became of the interview."""
    until = ctx.clock.now() + _SETTLE_SECONDS * 1000
    while ctx.clock.now() < until:
        sync = await ctx.ledger.syncs.find(connection, interview_id)
        if sync is not None and sync.status is not SyncStatus.PENDING:
            return f"{sync.status}" + (f" ({sync.reason})" if sync.reason else "")
        await asyncio.sleep(_LOOK_EVERY)
    return f"on its way; look with {PROGRAM} get-sync --interview-id {interview_id}"


async def _tell_notes(ctx: Context, connection: str, since: int, told: set[tuple[str, str]]) -> None:
    if (_PING, connection) not in told and await ctx.ledger.diagnostics.since(connection, _PING, since):
        told.add((_PING, connection))
        say("Koji's test call came: the address is right. Waiting for the result of an interview.")
    for note in await ctx.ledger.diagnostics.since(connection, "refused", since):
        setting = str(note.detail.get("setting"))
        if (setting, connection) not in told:
            told.add((setting, connection))
            say(f"A webhook was refused. {setting}")
            say("  Change it in .env and start again; `doctor` shows what came.")
