"""`koji-amplitude init`: from keys to the first webhook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.app import build
from connector.commands.announce import WEBHOOK_EVENT, announce, local_url, obtain_token, webhook_url
from connector.commands.checks import settings_checks
from connector.commands.doctor import examine
from connector.commands.env_file import write
from connector.commands.http_server import listen
from connector.commands.probe import Listener, who_listens
from connector.commands.questions import ask, from_environment
from connector.commands.serve import make_server, open_store
from connector.commands.webhook_watch import watch
from connector.errors import SettingsError, StoreUnavailable
from connector.ports import Context
from connector.settings import Settings, require_startable
from connector.settings_sources import Loaded, load
from connector.surfaces.cli.arguments import USAGE, Parser
from connector.surfaces.cli.startup import begin_log
from connector.surfaces.cli.terminal import PROGRAM, can_ask, say


def main(words: Sequence[str]) -> int:
    """Set up, check, and wait for the first webhook; return 1 when a check failed.

    Raises SettingsError for a setting that is malformed, or a port that another program holds.
    """
    parser = Parser("init", "Ask for keys, write .env, run the checks, and wait for Koji's first webhook.")
    parser.add_argument(
        "--non-interactive", action="store_true", help="Take the values from the environment."
    )
    parser.add_argument("--no-wait", action="store_true", help="End after the checks.")
    given = parser.read(words)
    directory = Path.cwd()
    before = load(os.environ, directory)
    begin_log(before.settings, quiet=True)
    if not given.non_interactive and not can_ask():
        say(
            "error: init asks on a terminal; without one, --non-interactive takes values from the environment"
        )
        return USAGE
    answers = from_environment(os.environ) if given.non_interactive else ask(os.environ, directory)
    loaded = _keep(answers, directory)
    code = asyncio.run(
        examine(loaded.settings, settings_checks(os.environ, directory, loaded.warnings), server=False)
    )
    _tell_where(loaded.settings)
    if given.no_wait:
        return code
    try:
        return _wait(loaded.settings, restart=bool(answers))
    except KeyboardInterrupt:
        return _left()


def _keep(answers: Mapping[str, str], directory: Path) -> Loaded:
    """Write the answers, so that they hold from now on, and return the settings that follow."""
    for name in answers:
        if name in os.environ and os.environ[name].strip() != answers[name]:
            say(f"warning: {name} is also set in the environment, which wins over .env; unset it there")
    if answers:
        try:
            write(directory / ".env", answers)
        except OSError as error:
            raise SettingsError(f".env: cannot be written in {directory}: {error.strerror}") from None
        say(f"Wrote {', '.join(answers)} to {directory / '.env'} (mode 0600).")
    loaded = load({**os.environ, **answers}, directory)
    begin_log(loaded.settings, quiet=True)
    return loaded


def _tell_where(settings: Settings) -> None:
    say()
    say("In Koji: Settings > Integrations > Webhooks > Add Webhook Endpoint")
    say(f"  URL    {webhook_url(settings)}")
    say(f"  Event  {WEBHOOK_EVENT}")
    if not any(one.koji_webhook_secret for one in settings.connections.values()):
        say("  Koji then shows a secret: run init again and give it as KOJI_WEBHOOK_SECRET.")
    say("In Amplitude: nothing; the connector calls it.")
    if not settings.public_url.startswith("https://"):
        say()
        say(
            f"Koji needs an https address, and PUBLIC_URL is {settings.public_url}. A tunnel to this machine:"
        )
        say(f"  cloudflared tunnel --url {local_url(settings)}")
        say("  Then run init again and give the address that it prints as PUBLIC_URL.")
    say()


def _wait(settings: Settings, *, restart: bool) -> int:
    match who_listens(settings):
        case Listener.STRANGER:
            raise SettingsError(
                f"PORT: another program listens at {local_url(settings)}; for example PORT=8081"
            )
        case Listener.OURS:
            say(f"A server already runs at {local_url(settings)}; watching its store. Ctrl-C leaves.")
            if restart:
                say("It does not know the new settings yet: restart it.")
            return asyncio.run(_watch_store(settings))
        case Listener.NOBODY:
            require_startable(settings)
            return _serve_until_webhook(settings)


async def _watch_store(settings: Settings) -> int:
    async with build(settings, workers=False) as running:
        await watch(running.context, running.context.clock.now())
    say("It works.")
    return 0


def _serve_until_webhook(settings: Settings) -> int:
    sockets = listen(settings.host, settings.port)
    asyncio.run(open_store(settings))
    new_token = obtain_token(settings)
    arrived: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def until_webhook() -> None:
        context: Context = app.state.context
        try:
            await watch(context, context.clock.now())
            arrived.append("webhook")
        except StoreUnavailable as error:
            if not server.should_exit:
                say(f"error: {error.message}")
        finally:
            server.stop()

    def started() -> None:
        announce(settings, new_token, workers=True)
        say("Waiting for Koji's first webhook. Ctrl-C leaves.")
        tasks.append(asyncio.create_task(until_webhook(), name="wait for a webhook"))

    app, server = make_server(settings, workers=True, started=started)
    server.run(sockets)
    return _done() if arrived else _left()


def _done() -> int:
    say(f"It works. `{PROGRAM} serve` keeps it running.")
    return 0


def _left() -> int:
    say(f"Left. `{PROGRAM} serve` goes on from here, `{PROGRAM} doctor` tells what arrived.")
    return 0
