"""End `init`: serve, or watch the store of a running server, until Koji's first webhook came."""

from __future__ import annotations

import asyncio

from connector.app import build
from connector.cli.announce import announce, local_url, obtain_token
from connector.cli.serving import make_server, open_store
from connector.cli.setup.checks import Listener, who_listens
from connector.cli.terminal import PROGRAM, say
from connector.context import Context
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import InboundWebhook
from connector.errors import SettingsError, StoreUnavailable
from connector.http.server.server import listening
from connector.operations.check_connection import CHECK_CONNECTION
from connector.service.execution.operation import Input
from connector.settings.model import Settings, require_startable

_LOOK_EVERY = 0.5
_SETTLE_SECONDS = 10.0
_PING = "ping"


def wait(settings: Settings, *, restart: bool) -> int:
    """Wait until a webhook was accepted, or Ctrl-C; `restart` when a running server has older settings.

    Raises SettingsError when another program holds the port, or the server may not start.
    """
    match who_listens(settings):
        case Listener.STRANGER:
            raise SettingsError(
                f"PORT: another program listens at {local_url(settings)}; for example PORT=8081"
            )
        case Listener.OURS:
            say(f"A server already runs at {local_url(settings)}; watching its store. Ctrl-C leaves.")
            if restart:
                say("It does not know the new settings yet: restart it.")
            arrived = _watch_store(settings)
        case Listener.NOBODY:
            require_startable(settings)
            arrived = _serve(settings)
    if arrived:
        say(f"It works. `{PROGRAM} serve` keeps it running.")
    else:
        say(f"Left. `{PROGRAM} serve` goes on from here, `{PROGRAM} doctor` tells what arrived.")
    return 0


def _watch_store(settings: Settings) -> bool:
    async def until_webhook() -> None:
        async with build(settings, workers=False) as running:
            await _watch(running.context, running.context.clock.now())

    try:
        asyncio.run(until_webhook())
    except KeyboardInterrupt:
        return False
    return True


def _serve(settings: Settings) -> bool:
    arrived: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def until_webhook() -> None:
        context: Context = app.state.context
        try:
            await _watch(context, context.clock.now())
            arrived.append(context.clock.now())
        except StoreUnavailable as error:
            if not server.should_exit:
                say(f"error: {error.message}")
        finally:
            server.stop()

    def started() -> None:
        announce(settings, new_token, workers=True)
        say("Waiting for Koji's first webhook. Ctrl-C leaves.")
        tasks.append(asyncio.create_task(until_webhook(), name="wait for a webhook"))

    with listening(settings.host, settings.port) as sockets:
        asyncio.run(open_store(settings))
        new_token = obtain_token(settings)
        app, server = make_server(settings, workers=True, started=started)
        server.run(sockets)
    return bool(arrived)


async def _watch(ctx: Context, since: int) -> None:
    """Return once a webhook was accepted after `since` (ms); say on the way what was refused, and why."""
    shown: set[tuple[str, str]] = set()
    while True:
        for name in ctx.settings.connections:
            latest = await ctx.ledger.inbox.latest_webhook(name)
            if latest is not None and latest.received_at >= since:
                await _tell(ctx, latest)
                return
        for name in ("", *ctx.settings.connections):
            await _tell_notes(ctx, name, since, shown)
        await asyncio.sleep(_LOOK_EVERY)


async def _tell(ctx: Context, webhook: InboundWebhook) -> None:
    what = webhook.event or "A webhook without an event name"
    say(f"{what} came, signed in the header {webhook.header} ({webhook.scheme}), on {webhook.connection}.")
    if webhook.interview_id is None:
        output = await CHECK_CONNECTION.run(ctx, Input(connection=webhook.connection))
        say(next(check.message for check in output.checks if check.name == "unreadable_webhooks"))
        return
    outcome = await _outcome(ctx, webhook.connection, webhook.interview_id)
    say(f"Interview {webhook.interview_id}: {outcome}")


async def _outcome(ctx: Context, connection: str, interview_id: str) -> str:
    """Give the lanes a moment and return what became of the interview."""
    until = ctx.clock.now() + _SETTLE_SECONDS * 1000
    while ctx.clock.now() < until:
        sync = await ctx.ledger.syncs.find(connection, interview_id)
        if sync is not None and sync.status is not SyncStatus.PENDING:
            return f"{sync.status}" + (f" ({sync.reason})" if sync.reason else "")
        await asyncio.sleep(_LOOK_EVERY)
    return f"on its way; look with {PROGRAM} get-sync --interview-id {interview_id}"


async def _tell_notes(ctx: Context, connection: str, since: int, shown: set[tuple[str, str]]) -> None:
    if (_PING, connection) not in shown and await ctx.ledger.diagnostics.since(connection, _PING, since):
        shown.add((_PING, connection))
        say("Koji's test call came: the address is right. Waiting for the result of an interview.")
    for note in await ctx.ledger.diagnostics.since(connection, "refused", since):
        setting = str(note.detail.get("setting"))
        if (setting, connection) not in shown:
            shown.add((setting, connection))
            say(f"A webhook was refused. {setting}")
            say("  Change it in .env and start again; `doctor` shows what came.")
