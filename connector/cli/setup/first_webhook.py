"""Where `init` ends: serve, or watch the store of a server that runs, until Koji's first webhook."""

from __future__ import annotations

import asyncio

from connector.app import build
from connector.cli.commands.serve import make_server, open_store
from connector.cli.setup.announce import announce, local_url, obtain_token
from connector.cli.setup.probe import Listener, who_listens
from connector.cli.setup.webhook_watch import watch
from connector.cli.terminal import PROGRAM, say
from connector.context import Context
from connector.errors import SettingsError, StoreUnavailable
from connector.http.server.server import listening
from connector.settings.model import Settings, require_startable


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
            await watch(running.context, running.context.clock.now())

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
            await watch(context, context.clock.now())
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
