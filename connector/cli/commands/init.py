"""`koji-amplitude init`: from keys to the first webhook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.cli.arguments import USAGE, Parser
from connector.cli.commands.doctor import examine
from connector.cli.setup.announce import WEBHOOK_EVENT, local_url, webhook_url
from connector.cli.setup.checks import settings_checks
from connector.cli.setup.env_file import write
from connector.cli.setup.first_webhook import wait
from connector.cli.setup.questions import ask, from_environment
from connector.cli.startup import begin_log
from connector.cli.terminal import can_ask, say
from connector.errors import SettingsError
from connector.settings.model import Settings
from connector.settings.sources import Loaded, load


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
    return wait(loaded.settings, restart=bool(answers))


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
