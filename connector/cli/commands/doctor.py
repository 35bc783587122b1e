"""`koji-amplitude doctor`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from connector.cli.arguments import Command
from connector.cli.startup import begin_log
from connector.settings.sources import load


@click.command(cls=Command)
def command() -> int:
    """Check settings, store and every connection; end with the one next step.

    The exit code is 1 when something is wrong.
    """
    loaded = load(os.environ, Path.cwd())
    begin_log(loaded.settings, quiet=True)
    from connector.cli.setup.checks import examine, settings_checks

    here = settings_checks(os.environ, Path.cwd(), loaded.warnings)
    return asyncio.run(examine(loaded.settings, here))
