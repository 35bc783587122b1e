"""`koji-amplitude mcp`: the MCP server over standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from connector.cli.arguments import Command
from connector.cli.terminal import PROGRAM, say
from mcp_server.transports.greeting import Greeting

if TYPE_CHECKING:
    from connector.settings.model import Settings


@click.command(cls=Command)
def command() -> int:
    """Serve MCP over standard input and output, with workers of its own.

    An assistant's settings name this as the command to start. The log goes to standard error.
    """
    greeting = Greeting(sys.stdin.fileno(), sys.stdout.fileno())
    greeting.start()  # before the imports, which take longer than some clients wait
    import asyncio

    from connector.cli.startup import read_settings
    from connector.settings.key_files import encryption_keys

    settings = read_settings(quiet=True)
    keys = encryption_keys(settings)
    if sys.stdin.isatty():
        say(f"{PROGRAM} mcp speaks JSON with an assistant; `{PROGRAM} --help` is for people. Ctrl-C ends it.")
    asyncio.run(_serve(settings, keys, greeting))
    return 0


async def _serve(settings: Settings, keys: Sequence[bytes], greeting: Greeting) -> None:
    import asyncio

    from connector.cli.startup import on_signals
    from mcp_server.transports.stdio import serve

    stopped = asyncio.Event()
    on_signals(stopped.set)
    await serve(settings, keys, greeting, stopped)
    if stopped.is_set():
        os._exit(0)  # a thread still waits for input, and would never end
