"""`koji-amplitude rotate-key`: seal everything with the first key, or with a fresh one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import click

from connector.cli.arguments import Command
from connector.cli.startup import read_settings
from connector.errors import Conflict, SettingsError
from connector.ledger.access.reseal import Tally, reseal
from connector.ledger.db.dialect import empty_log
from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from connector.settings.key_files import KeyFile, key_file, open_sealer
from connector.settings.model import Settings

_SQLITE = b"SQLite format 3\x00"


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only count.")
def command(*, dry_run: bool) -> int:
    """Seal everything anew with the first key of CONNECTOR_ENCRYPTION_KEY, or with a fresh key file.

    It also ends the sessions of the console and the grants of assistants. After an interruption, run the
    command again. The exit code is 1 if no key opens a value.
    """
    settings = read_settings(quiet=True)
    file = None if settings.connector_encryption_key else key_file(settings)
    database = settings.database_file
    if database is not None and not database.exists():
        click.echo("Nothing is stored yet, so nothing is sealed.")
        return 0
    if file is not None and database is not None:
        _require_alone(file, database)
    return asyncio.run(_run(settings, file, dry_run=dry_run))


async def _run(settings: Settings, file: KeyFile | None, *, dry_run: bool) -> int:
    sealer = open_sealer(settings)
    ledger = await open_ledger(settings.database_url, sealer)
    try:
        if dry_run:
            tally = await reseal(ledger, sealer, change=False)
            click.echo(
                f"Of {_values(tally.values)} stored, {tally.old} would be sealed anew with the first key."
                if file is None
                else f"{_values(tally.values - tally.lost)} would be sealed anew with a new key."
            )
        elif file is None:
            tally = await reseal(ledger, sealer)
            click.echo(f"{_sealed(tally)} with the first key of CONNECTOR_ENCRYPTION_KEY.")
            click.echo(
                "Once every process runs with this value of CONNECTOR_ENCRYPTION_KEY, and this command finds "
                "nothing more to seal anew, the other keys may be removed from it."
                if len(settings.connector_encryption_key) > 1
                else "To change the key, put a new one and a comma before it, restart, and run this again."
            )
        else:
            tally = await _rotate_file(ledger, sealer, file)
        if not dry_run:
            await ledger.console_sessions.end()
            await ledger.grants.end()
    finally:
        await ledger.close()
    if not dry_run:
        await asyncio.to_thread(empty_log, settings.database_url)
    if tally.lost:
        click.echo(f"{_values(tally.lost)} opened with no key, before or after: left unchanged.")
    return 1 if tally.lost else 0


async def _rotate_file(ledger: Ledger, sealer: Sealer, file: KeyFile) -> Tally:
    """Put a fresh key first, reseal every value, keep only the fresh key; a server may run meanwhile.

    Both changes of the file, and every sealing, hold the database's write lock. So `reseal` finds every value
    that the old key sealed, and the new key seals every later value.
    """
    first, is_fresh = await ledger.db.write(lambda _: file.begin_rotation())
    if not is_fresh:
        click.echo("The key file held several keys, as an unfinished rotation leaves it. Finishing that one.")
    tally = await reseal(ledger, sealer)
    if await ledger.db.write(lambda _: file.end_rotation(first)):
        click.echo(
            f"{_sealed(tally)} with the {'new' if is_fresh else 'first'} key, now alone in {file.path}."
        )
        click.echo("Copies of the database made before open only with a copy of the key file from then.")
    else:
        click.echo("Another rotation began meanwhile; it finishes the work.")
    return tally


def _require_alone(file: KeyFile, database: Path) -> None:
    """Raise if the key file is missing, or if another database in the folder may need the old key."""
    if not file.path.exists():
        raise SettingsError(f"{file.path}: is not there; put the file back that this database was used with")
    for other in sorted(database.parent.iterdir()):
        is_own = other.name == database.name or other.name.startswith(f"{database.name}.before-version-")
        if is_own or not other.is_file():
            continue
        with suppress(OSError), other.open("rb") as opened:
            if opened.read(len(_SQLITE)) == _SQLITE:
                raise Conflict(
                    f"{other.name} lies in the same folder and may be sealed with the same key file. "
                    "Move it, with a copy of the key file, into a folder of its own, and run this again.",
                    code="key_file_shared",
                )


def _sealed(tally: Tally) -> str:
    return f"{_values(tally.old)} sealed anew, of {tally.values} stored: all that opens is sealed"


def _values(number: int) -> str:
    return "1 value" if number == 1 else f"{number} values"
