"""Run the server: HTTP and workers in one process, or one of them alone."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from starlette.applications import Starlette

from connector.app import build, create_app
from connector.cli.announce import announce, obtain_token
from connector.cli.terminal import INTERRUPTED, PROGRAM, say
from connector.context import Context
from connector.http.server.server import Server, config, listening
from connector.settings.model import Settings
from mcp_server.transports.http import mcp_mount


def serve(settings: Settings, *, workers: bool) -> int:
    """Answer HTTP until a signal."""
    with listening(settings.host, settings.port) as sockets:
        # A store that cannot be opened is one line here; inside the server it would be a stack trace.
        asyncio.run(open_store(settings))
        new_token = obtain_token(settings)
        _, server = make_server(
            settings, workers=workers, started=lambda: announce(settings, new_token, workers=workers)
        )
        spare_the_collector()
        server.run(sockets)
    return 0 if server.started else 1


def spare_the_collector() -> None:
    """Let the garbage collector leave alone what start-up made, and look less often at what requests make."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def make_server(
    settings: Settings, *, workers: bool, started: Callable[[], None]
) -> tuple[Starlette, Server]:
    """Return the application and its server, not yet running; `started` is called once it answers."""
    app = create_app(settings, workers=workers, mounts=[mcp_mount])
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        """Refuse new work and end the lanes now: requests that wait answer early, and both end together."""
        context: Context = app.state.context
        context.stopping.set()
        stopping.append(asyncio.create_task(app.state.runner.stop(), name="stop lanes"))

    config_ = config(app, settings.host, settings.port)
    return app, Server(config_, say=say, started_hook=started, stop_hook=stop)


async def open_store(settings: Settings) -> None:
    """Create or upgrade the store. Raises SettingsError and StoreUnavailable."""
    async with build(settings, workers=False):
        pass


async def work(settings: Settings) -> int:
    """Work the lanes until a signal; a second Ctrl-C ends at once."""
    stop = asyncio.Event()

    def end() -> None:
        if stop.is_set():
            say("Stopped at once.")
            os._exit(INTERRUPTED)
        stop.set()

    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(one, end)
    async with build(settings, workers=True):
        spare_the_collector()
        say(f"{PROGRAM} works; another process must answer HTTP. Ctrl-C ends it.")
        await stop.wait()
    return 0
