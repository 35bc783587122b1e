"""`koji-amplitude db copy`: move the ledger from SQLite to PostgreSQL."""

from __future__ import annotations

import time

import click
from sqlalchemy.engine import make_url

from connector.cli.arguments import Group
from connector.cli.commands.backup import TOKEN
from connector.cli.startup import load_here, read_settings
from connector.clock import SystemClock
from connector.errors import SettingsError
from connector.ledger.db.to_postgres import copy_to_postgres
from connector.settings.key_files import key_file


@click.group(cls=Group)
def command() -> None:
    """Move the ledger to another database."""


@command.command()
@click.argument("url")
def copy(url: str) -> int:
    """Copy the SQLite ledger into the empty PostgreSQL database URL, while no server runs.

    The SQLite file stays as it is. The password may stand in the environment as PGPASSWORD.
    """
    settings = read_settings(quiet=True)
    source = settings.database_file
    if source is None or not source.exists():
        raise SettingsError("DATABASE_URL: names no SQLite file; there is nothing to copy")
    if load_here({"DATABASE_URL": url}, quiet=True).settings.database_file is not None:
        raise SettingsError("URL: write postgresql://user@host/name")
    began = time.monotonic()
    counts = copy_to_postgres(settings.database_url, url, SystemClock().now())
    seconds = time.monotonic() - began
    for table, rows in counts.items():
        if rows:
            click.echo(f"{table:<20} {rows:>12,}")
    rows = sum(counts.values())
    click.echo(f"{rows:,} rows copied and counted in {seconds:.1f} s. {source} is as it was.")
    click.echo("Next, in the settings of every process:")
    click.echo(f"  DATABASE_URL={make_url(url).render_as_string()}")
    if not settings.connector_encryption_key:
        click.echo(f"  CONNECTOR_ENCRYPTION_KEY=…  the content of {key_file(settings).path}")
    if settings.connector_api_token is None:
        click.echo(f"  CONNECTOR_API_TOKEN=…  the content of {source.with_name(TOKEN)}")
    click.echo("Then start them, and move the SQLite file away: what starts on it again works twice.")
    return 0
