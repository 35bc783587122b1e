"""`koji-amplitude demo`: the closed loop on this machine, with no account."""

from __future__ import annotations

import click

from connector.cli.arguments import Command
from connector.cli.terminal import PROGRAM


@click.command(cls=Command)
@click.option("--keep", is_flag=True, help="Leave the servers and their data for a look around.")
def command(*, keep: bool) -> int:
    """Close the loop on this machine, with stand-ins for Koji and Amplitude and no account."""
    from connector.demo import demo

    return demo.main(keep=keep, program=PROGRAM)
