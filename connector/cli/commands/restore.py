"""`koji-amplitude restore`: put the ledger of a backup where there is none."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from connector.cli.arguments import Command
from connector.cli.commands.backup import DATABASE, KEY, TOKEN
from connector.cli.startup import read_settings
from connector.errors import Conflict, SettingsError
from connector.ledger.db.copies import make_ready
from connector.text.values import counted


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def command(file: Path) -> int:
    """Restore the ledger and the key files of FILE, where no ledger is (SQLite).

    Launches that ran then are paused: look in Koji which people they started since, then resume or
    cancel them.
    """
    database = read_settings(quiet=True).database_file
    if database is None:
        raise SettingsError(
            "DATABASE_URL: on PostgreSQL use its own tool, before a server starts: "
            'pg_restore --dbname="$DATABASE_URL" ledger.dump'
        )
    targets = {DATABASE: database, KEY: database.with_name(KEY), TOKEN: database.with_name(TOKEN)}
    for path in (*targets.values(), Path(f"{database}-wal")):
        if path.exists():
            raise Conflict(
                f"{path}: exists; restore replaces no file, move it away first", code="file_exists"
            )
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        paused = _restore(file, targets)
    except (tarfile.TarError, KeyError, EOFError, zlib.error):
        raise SettingsError(f"{file}: is not a backup of koji-amplitude") from None
    except (OSError, SQLAlchemyError) as error:
        raise SettingsError(f"{file}: cannot be restored: {error}") from None
    click.echo(f"{database}: restored. It knows nothing of what happened after the backup.")
    click.echo("The settings are not in it: copy .env and connector.toml here, or run koji-amplitude init.")
    if paused:
        launches = counted(paused, "launch is", "launches are")
        click.echo(
            f"{launches} paused: people started since the backup would be started again. "
            "Look in Koji which people they started since, then resume or cancel them."
        )
        click.echo("Next: koji-amplitude list-launches --status paused")
    else:
        click.echo("Next: koji-amplitude serve")
    return 0


def _restore(file: Path, targets: dict[str, Path]) -> int:
    with tarfile.open(file) as archive, tempfile.TemporaryDirectory(dir=targets[DATABASE].parent) as folder:
        extracted = {}
        for name in targets.keys() & set(archive.getnames()) | {DATABASE}:
            member = archive.extractfile(name)
            if member is None:
                raise tarfile.TarError(f"{name} is no file")
            path = extracted[name] = Path(folder) / name
            path.touch(mode=0o600)
            with path.open("wb") as copy:
                shutil.copyfileobj(member, copy)
        paused = make_ready(extracted[DATABASE])
        for name in sorted(
            extracted, key=lambda name: name == DATABASE
        ):  # the database last: it needs its key
            os.link(extracted[name], targets[name])  # unlike a rename, it replaces nothing
        return paused
