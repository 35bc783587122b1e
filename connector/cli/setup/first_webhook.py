"""The server beside and at the end of `init`: it answers Koji's test call, and takes the first webhook."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from connector.cli.announce import local_url
from connector.cli.serving import serve
from connector.cli.setup.checks import another_server, who_listens
from connector.cli.startup import run_in_context, settings_files
from connector.cli.terminal import PROGRAM, say
from connector.clock import SystemClock
from connector.context import Context
from connector.domain.results.interview import SyncStatus
from connector.domain.results.sync import InboundWebhook, Sync
from connector.errors import LedgerUnavailable, SettingsError
from connector.http.server.server import Server
from connector.operations.check_connection import CHECK_CONNECTION
from connector.service.execution.operation import Input
from connector.service.execution.polling import poll
from connector.settings.model import Settings, require_startable

_LOOK_EVERY = 0.5  # seconds
_START_SECONDS = 20.0
_SETTLE_SECONDS = 10.0


@contextmanager
def server_meanwhile(settings: Settings) -> Iterator[None]:
    """Run a server in a process of its own while questions are asked, unless one runs already.

    Koji calls a webhook's address when it is saved, and only then shows the secret that we ask for; so the
    server must answer before it knows its settings. Raises as `wait`.
    """
    if _runs(settings):
        yield
        return
    # -P: no folder named "connector" in the working directory may take the place of this program.
    command = [sys.executable, "-P", "-m", "connector", "serve"]
    quiet = subprocess.DEVNULL
    say("Starting the server, so that Koji's test call finds it ...")
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 - our own
    try:
        until = time.monotonic() + _START_SECONDS
        while process.poll() is None and who_listens(settings) == "none" and time.monotonic() < until:
            time.sleep(_LOOK_EVERY)
        if process.poll() is None:
            say(f"The server answers at {local_url(settings)}.")
        else:
            say(f"warning: the server did not start; {PROGRAM} serve says why.")
        yield
    finally:
        process.terminate()
        process.wait()


def _runs(settings: Settings) -> bool:
    """Tell whether our server runs. Raises SettingsError if another program does, or ours may not start."""
    match who_listens(settings):
        case "other":
            raise SettingsError(
                f"PORT: another program listens at {local_url(settings)}; for example PORT=8081"
            )
        case "another":
            raise SettingsError(f"PORT: {another_server(local_url(settings))}; for example PORT=8081")
        case "none":
            require_startable(settings)
            return False
    return True


def wait(settings: Settings) -> int:
    """Wait for an accepted webhook or Ctrl-C.

    Raises SettingsError when another program holds the port, or the server may not start.
    """
    since = SystemClock().now()  # before a person reads that it may come
    if _runs(settings):
        say(f"A server already runs at {local_url(settings)}; watching its ledger. Ctrl-C leaves.")
        say("It has read its settings when it started: restart it if you changed any.")
        has_arrived = _watch_ledger(settings, since)
    else:
        has_arrived = _serve(settings, since)
    if has_arrived:
        say(f"It works. `{PROGRAM} serve` keeps it running.")
    else:
        say(f"Left. `{PROGRAM} serve` continues from here; `{PROGRAM} doctor` shows what arrived.")
    return 0


def _watch_ledger(settings: Settings, since: int) -> bool:
    try:
        run_in_context(settings, lambda ctx: _watch(ctx, since))
    except KeyboardInterrupt:
        return False
    return True


def _serve(settings: Settings, since: int) -> bool:
    has_arrived = False
    tasks: list[asyncio.Task[None]] = []

    async def until_webhook(ctx: Context, server: Server) -> None:
        nonlocal has_arrived
        try:
            await _watch(ctx, since)
            has_arrived = True
        except LedgerUnavailable as error:
            if not server.should_exit:
                say(f"error: {error.message}")
        finally:
            server.stop()

    def started(ctx: Context, server: Server) -> None:
        say("Waiting for Koji's first webhook. Ctrl-C leaves.")
        tasks.append(asyncio.create_task(until_webhook(ctx, server), name="wait for a webhook"))

    serve(settings, workers=True, started=started)
    return has_arrived


async def _watch(ctx: Context, since: int) -> None:
    """Return once a webhook is accepted after `since` (ms); report refused webhooks on the way."""
    shown: set[tuple[str, str]] = set()
    while True:
        for name in ctx.settings.connections:
            latest = await ctx.ledger.inbox.latest_webhook(name)
            if latest is not None and latest.received_at >= since:
                await _report(ctx, latest)
                return
        for name in ("", *ctx.settings.connections):
            await _report_diagnostics(ctx, name, since, shown)
        await asyncio.sleep(_LOOK_EVERY)


async def _report(ctx: Context, webhook: InboundWebhook) -> None:
    """Write the first webhook's signature scheme, and the state of the interview after some seconds."""
    event = webhook.event or "A webhook without an event name"
    say(f"{event} came, signed in the header {webhook.header} ({webhook.scheme}), on {webhook.connection}.")
    if webhook.interview_id is None:
        output = await CHECK_CONNECTION.run(ctx, Input(connection=webhook.connection))
        say(next(check.message for check in output.checks if check.name == "unreadable_webhooks"))
        return
    connection, interview_id = webhook.connection, webhook.interview_id

    async def find(_: Sync | None) -> Sync | None:
        return await ctx.ledger.syncs.find(connection, interview_id)

    outcome = f"on its way; look with {PROGRAM} get-sync --interview-id {interview_id}"
    async for sync in poll(ctx, _SETTLE_SECONDS, None, find):
        if sync is not None and sync.status is not SyncStatus.PENDING:
            outcome = f"{sync.status} ({sync.reason})" if sync.reason else f"{sync.status}"
            break
    say(f"Interview {interview_id}: {outcome}")


async def _report_diagnostics(ctx: Context, connection: str, since: int, shown: set[tuple[str, str]]) -> None:
    if ("ping", connection) not in shown and await ctx.ledger.diagnostics.since(connection, "ping", since):
        shown.add(("ping", connection))
        say("Koji's test call came: the address is right. Waiting for the result of an interview.")
    for refusal in await ctx.ledger.diagnostics.since(connection, "refused", since):
        setting = str(refusal.detail.get("setting"))
        if (setting, connection) not in shown:
            shown.add((setting, connection))
            say(f"A webhook was refused. {setting}")
            say(f"  Correct it and restart the server, or leave and run {PROGRAM} init ({settings_files()}).")
