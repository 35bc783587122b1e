"""`koji-amplitude serve`: HTTP and workers, or one of them."""

from __future__ import annotations

import asyncio

import click

from connector.cli.arguments import Command
from connector.cli.startup import read_settings
from connector.settings.model import require_startable


@click.command(cls=Command)
@click.option("--host", metavar="ADDRESS", help="Listen here instead of HOST.")
@click.option("--port", metavar="N", help="Listen here instead of PORT.")
@click.option("--no-workers", is_flag=True, help="Only answer HTTP; another process works.")
@click.option("--workers-only", is_flag=True, help="Only work; another process answers HTTP.")
def command(*, host: str | None, port: str | None, no_workers: bool, workers_only: bool) -> int:
    """Serve HTTP and work, in one process. SIGTERM and Ctrl-C end it in good order."""
    if no_workers and workers_only:
        raise click.UsageError("--no-workers and --workers-only leave nothing to do")
    settings = read_settings({name: value for name, value in (("HOST", host), ("PORT", port)) if value})
    from connector.cli import serving

    if workers_only:
        return asyncio.run(serving.work(settings))
    require_startable(settings)
    return serving.serve(settings, workers=not no_workers)
