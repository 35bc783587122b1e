"""`koji-amplitude init`: from keys to the first webhook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import click

from connector.cli.announce import WEBHOOK_EVENT, local_url, webhook_url
from connector.cli.arguments import Command
from connector.cli.setup.questions import ask, from_environment, write
from connector.cli.startup import load_here
from connector.cli.terminal import USAGE, can_ask, say
from connector.errors import SettingsError
from connector.settings.model import Settings
from connector.settings.sources import Loaded


@click.command(cls=Command)
@click.option("--non-interactive", is_flag=True, help="Take the values from the environment.")
@click.option("--no-wait", is_flag=True, help="End after the checks.")
def command(*, non_interactive: bool, no_wait: bool) -> int:
    """Ask for keys, write .env, run the checks, and wait for Koji's first webhook.

    With --no-wait the exit code is 1 when a check failed.
    """
    directory = Path.cwd()
    load_here(quiet=True)
    if not non_interactive and not can_ask():
        say(
            "error: init asks on a terminal; without one, --non-interactive takes values from the environment"
        )
        return USAGE
    answers = from_environment(os.environ) if non_interactive else ask(os.environ, directory)
    loaded = _save(answers, directory)
    from connector.cli.setup.checks import examine
    from connector.cli.setup.first_webhook import wait

    code = asyncio.run(examine(loaded, server=False))
    _say_next_steps(loaded.settings)
    return code if no_wait else wait(loaded.settings, restart=bool(answers))


def _save(answers: Mapping[str, str], directory: Path) -> Loaded:
    """Write the answers into `.env` and return the new settings."""
    for name in answers:
        if name in os.environ and os.environ[name].strip() != answers[name]:
            say(f"warning: {name} is also set in the environment, which wins over .env; unset it there")
    if answers:
        try:
            write(directory / ".env", answers)
        except OSError as error:
            raise SettingsError(f".env: cannot be written in {directory}: {error.strerror}") from None
        say(f"Wrote {', '.join(answers)} to {directory / '.env'} (mode 0600).")
    return load_here(answers, quiet=True)


def _say_next_steps(settings: Settings) -> None:
    say()
    say("In Koji: Settings > Integrations > Webhooks > Add Webhook Endpoint")
    say(f"  URL    {webhook_url(settings)}")
    say(f"  Event  {WEBHOOK_EVENT}")
    if not any(connection.koji_webhook_secret for connection in settings.connections.values()):
        say("  Koji then shows a secret: run init again and give it as KOJI_WEBHOOK_SECRET.")
    say("In Amplitude: nothing; the connector calls it.")
    if not settings.public_url.startswith("https://"):
        say(f"\nKoji needs an https address, and PUBLIC_URL is {settings.public_url}. A tunnel gives one:")
        say(f"  cloudflared tunnel --url {local_url(settings)}")
        say("  Then run init again and give the address that it prints as PUBLIC_URL.")
    say()
