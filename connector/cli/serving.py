"""Run the server: HTTP and workers in one process, or only one of the two."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable

import structlog

from connector.app import build, create_app
from connector.cli.announce import announce
from connector.cli.settings_watch import watch
from connector.cli.startup import on_signals
from connector.cli.terminal import INTERRUPTED, NAME, say
from connector.context import Context
from connector.http.server.server import Server, config, listening
from connector.settings.key_files import api_token
from connector.settings.model import Settings
from mcp_server.transports.http import mcp_mount


def serve(
    settings: Settings, *, workers: bool, started: Callable[[Context, Server], None] | None = None
) -> int:
    """Answer HTTP until a signal and return the exit code; call `started` once the server answers."""
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        announce(settings, token if is_new else None, workers=workers)
        watching = watch(app.state.context)
        tasks.append(asyncio.create_task(watching, name="watch settings"))
        if started:
            started(app.state.context, server)

    def stop() -> None:
        """Refuse new work and end the workers now, so that waiting requests are answered early."""
        app.state.context.stopping.set()
        for task in tasks:
            task.cancel()
        tasks.append(asyncio.create_task(app.state.runner.stop(), name="stop workers"))

    with listening(settings.host, settings.port) as sockets:
        # An unusable ledger is reported in one line here; inside the server it would be a stack trace.
        asyncio.run(_open_ledger(settings))
        token, is_new = api_token(settings)
        app = create_app(settings, workers=workers, mounts=[mcp_mount])
        server = Server(
            config(app, settings.host, settings.port), say=say, started_hook=start, stop_hook=stop
        )
        reduce_garbage_collection()
        server.run(sockets)
    return 0 if server.started else 1


def reduce_garbage_collection() -> None:
    """Exempt the objects of the start-up from garbage collection, and collect later garbage less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _open_ledger(settings: Settings) -> None:
    """Create or upgrade the ledger. Raises SettingsError and LedgerUnavailable."""
    async with build(settings, workers=False):
        pass


async def work(settings: Settings) -> int:
    """Run the workers until a signal; a second Ctrl-C ends the process at once."""
    stop = asyncio.Event()

    def end() -> None:
        if stop.is_set():
            say("Stopped at once.")
            os._exit(INTERRUPTED)
        stop.set()

    on_signals(end)
    async with build(settings, workers=True) as running:
        reduce_garbage_collection()
        if sys.stderr.isatty():
            say(f"{NAME} works; another process must answer HTTP. Ctrl-C ends it.")
        else:
            structlog.get_logger(__name__).info("started", serves_http=False, works=True)
        watching = asyncio.create_task(watch(running.context), name="watch settings")
        await stop.wait()
        watching.cancel()
        await asyncio.wait([watching])
    return 0
