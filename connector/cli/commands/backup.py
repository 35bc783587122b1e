"""`koji-amplitude backup`: copy the ledger and its key into one file."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from pathlib import Path

import click

from connector.cli.arguments import Command
from connector.cli.startup import read_settings, settings_files
from connector.errors import Conflict, SettingsError
from connector.ledger.db.copies import copy_sqlite
from connector.settings.key_files import key_file
from connector.settings.model import Settings

DATABASE, KEY, TOKEN = "ledger.db", "encryption-key", "api-token"
"""The names of the files in a backup."""


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> int:
    """Copy the ledger and its key files into a new FILE, also while a server runs (SQLite).

    FILE opens everything: keep it as safe as the database.
    """
    settings = read_settings(quiet=True)
    database = settings.database_file
    if database is None:
        raise SettingsError(
            "DATABASE_URL: on PostgreSQL use its own tool, and keep CONNECTOR_ENCRYPTION_KEY with the dump: "
            'pg_dump --format=custom --file=ledger.dump "$DATABASE_URL"'
        )
    if not database.exists():
        raise SettingsError(f"DATABASE_URL: {database} does not exist; nothing is stored yet")
    try:
        _write(settings, database, file)
    except FileExistsError:
        raise Conflict(f"{file}: exists; a backup replaces no file", code="file_exists") from None
    except (OSError, sqlite3.Error) as error:
        file.unlink(missing_ok=True)
        raise SettingsError(f"{file}: cannot be written: {error}") from None
    click.echo(f"{file}: {file.stat().st_size:,} bytes. {_says_key(settings)}")
    click.echo(f"The settings are not in it: copy .env and connector.toml too ({settings_files()}).")
    click.echo(f"Next, on a machine without a ledger: koji-amplitude restore {file}")
    return 0


def _write(settings: Settings, database: Path, file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened, tempfile.TemporaryDirectory(dir=file.parent) as folder:
        before = _keys(settings)
        copy = Path(folder) / DATABASE
        copy_sqlite(database, copy)
        # a rotation that ended meanwhile removed the key that sealed what was copied
        keys = list(dict.fromkeys([*_keys(settings), *before]))
        with tarfile.open(fileobj=opened, mode="w:gz") as archive:
            archive.add(copy, DATABASE)
            if keys:
                _add(archive, folder, KEY, ",".join(keys))
            token = database.with_name(TOKEN)
            if settings.connector_api_token is None and token.exists():
                _add(archive, folder, TOKEN, token.read_text(encoding="ascii").strip())
        opened.flush()
        os.fsync(descriptor)


def _add(archive: tarfile.TarFile, folder: str, name: str, text: str) -> None:
    path = Path(folder) / name
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="ascii")
    archive.add(path, name)


def _keys(settings: Settings) -> list[str]:
    if settings.connector_encryption_key:
        return []
    path = key_file(settings).path
    return path.read_text(encoding="ascii").strip().split(",") if path.exists() else []


def _says_key(settings: Settings) -> str:
    if settings.connector_encryption_key:
        return "The key is not in it: keep CONNECTOR_ENCRYPTION_KEY too."
    return "The key is in it: keep it as safe as the database."
