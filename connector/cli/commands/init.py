"""`koji-amplitude init`: from keys to the first webhook."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext

import click

from connector.cli.arguments import Command
from connector.cli.setup.answers import Answers
from connector.cli.terminal import INTERRUPTED, PROGRAM, USAGE, can_ask, say
from connector.settings.files import DOTENV
from connector.settings.model import DEFAULT_CONNECTION


@click.command(cls=Command)
@click.option(
    "--connection", default=DEFAULT_CONNECTION, metavar="NAME", help="Add or complete this project."
)
@click.option("--here", is_flag=True, help="Write new files into this directory, not into your own folder.")
@click.option(
    "--non-interactive", is_flag=True, help="Take the values from the environment, and do not wait."
)
@click.option("--no-wait", is_flag=True, help="End after the checks.")
def command(*, connection: str, here: bool, non_interactive: bool, no_wait: bool) -> int:
    """Ask for what is missing, write .env, run the checks, and wait for Koji's first webhook.

    The files are those that are read in this directory, else new ones in your configuration folder. Ctrl-C
    keeps what was answered. Without waiting, the exit code is 1 when a check failed.
    """
    answers = Answers.of(connection, here=here)
    answers.loaded()  # refuse wrong settings before the first question
    if not non_interactive and not can_ask():
        say(
            "error: init asks on a terminal; without one, --non-interactive takes values from the environment"
        )
        return USAGE
    from connector.cli.setup.questions import SETTINGS

    if path := answers.add_connection(tuple(name for name in SETTINGS if name != "PUBLIC_URL")):
        say(f"Added [connections.{connection}] to {path}; it takes its values from variables.")
    if non_interactive:
        values = {
            name: os.environ[answers.variable(name)] for name in SETTINGS if answers.in_environment(name)
        }
        if values:
            path = answers.keep({name: value.strip() for name, value in values.items()})
            say(f"Wrote {', '.join(map(answers.variable, values))} to {path} (mode 0600).")
        return _check(answers, asked=False)
    if not _ask_all(answers, wait=not no_wait):
        return INTERRUPTED
    code = _check(answers, asked=True)
    if no_wait:
        return code
    from connector.cli.setup.first_webhook import wait

    return wait(answers.loaded().settings)


def _ask_all(answers: Answers, *, wait: bool) -> bool:
    """Ask every question beside a running server; return False when a person left with Ctrl-C."""
    from connector.cli.setup.first_webhook import server_meanwhile
    from connector.cli.setup.questions import ADDRESS, KEYS, ask

    path = answers.loaded().dotenv or answers.folder / DOTENV
    say(f"Answers go to {path} at once. Enter skips a question; Ctrl-C leaves, and keeps them.")
    try:
        with server_meanwhile(answers.loaded().settings) if wait else nullcontext():
            for question in (*KEYS, *ADDRESS):
                ask(question, answers)
    except KeyboardInterrupt:
        say(f"\nLeft. What was answered is kept; {PROGRAM} init asks for the rest.")
        return False
    return True


def _check(answers: Answers, *, asked: bool) -> int:
    """Run the checks, say which URL goes where, and return the exit code.

    What a person was `asked` for and has set is done, and not said again.
    """
    from connector.cli.setup.checks import examine
    from connector.cli.setup.questions import ADDRESS, worded

    loaded = answers.loaded()
    code = asyncio.run(examine(loaded, server=False))
    has_https = loaded.settings.public_url.startswith("https://")
    for question in ADDRESS[1:] if has_https else ADDRESS:
        if not (asked and answers.is_set(question.setting)):
            say("\n" + worded(question, loaded.settings, answers.connection))
    say("In Amplitude: nothing; the connector calls it.")
    return code
