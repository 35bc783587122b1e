"""`koji-amplitude doctor`: check this machine and every connection."""

from __future__ import annotations

import asyncio

import click

from connector.cli.arguments import Command
from connector.cli.startup import load_here


@click.command(cls=Command)
def command() -> int:
    """Check settings, ledger and every connection; end with the one next step.

    The exit code is 1 when something is wrong.
    """
    loaded = load_here(quiet=True)
    from connector.cli.setup.checks import examine

    return asyncio.run(examine(loaded))
