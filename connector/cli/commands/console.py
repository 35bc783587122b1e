"""`koji-amplitude console`: open the console through a link that works once."""

from __future__ import annotations

import secrets
import sys
import webbrowser

import click

from connector.cli.arguments import Command
from connector.cli.startup import read_settings, run_in_context
from connector.cli.terminal import say


@click.command(cls=Command)
@click.option("--print", "only_print", is_flag=True, help="Print the link instead.")
def command(*, only_print: bool) -> int:
    """Open the console in the browser, with every scope. The link works once, within 60 seconds."""
    from connector.console.sessions import LINK_MS
    from connector.domain.access import ConsoleSession
    from connector.http.auth import token_digest
    from connector.settings.key_files import api_token

    settings, code = read_settings(quiet=True), secrets.token_urlsafe(32)
    token = token_digest(api_token(settings)[0].get_secret_value()).hex()

    def store(now: int) -> ConsoleSession:
        return ConsoleSession(token_digest(code).hex(), token, now + LINK_MS, is_link=True)

    run_in_context(
        settings, lambda ctx: ctx.ledger.console_sessions.begin(store(ctx.clock.now()), ctx.clock.now())
    )
    url = f"{settings.public_url}/console/session?link={code}"
    if only_print or not webbrowser.open(url):
        say("This link works once, within 60 seconds, while a server runs:")
        sys.stdout.write(url + "\n")
    return 0
