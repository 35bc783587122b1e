"""The checks of this machine: settings, store and server. Those of a connection are `check_connection`."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.cli.setup.announce import local_url
from connector.cli.setup.probe import Listener, who_listens
from connector.cli.terminal import PROGRAM
from connector.context import Context
from connector.ledger.db.migrations import newest_revision
from connector.service.checks.credentials import Check, Status
from connector.settings.files import CONFIG_VARIABLE, read_dotenv
from connector.settings.model import Connection, Settings

_NAMES = frozenset(name.upper() for model in (Settings, Connection) for name in model.model_fields) | {
    CONFIG_VARIABLE
}
_LITTLE_SPACE = 1_000_000_000
_NO_SPACE = 100_000_000


def settings_checks(environ: Mapping[str, str], directory: Path, warnings: Sequence[str]) -> list[Check]:
    """Say where the settings come from, without their values, and what is odd about them."""
    dotenv = directory / ".env"
    written = read_dotenv(dotenv)
    document = directory / Path(
        environ.get(CONFIG_VARIABLE) or written.get(CONFIG_VARIABLE) or "connector.toml"
    )
    sources = [
        *([f"{document.name}"] if document.is_file() else []),
        *([f".env ({_names(written)})"] if dotenv.is_file() else []),
        *([f"environment ({_names(environ)})"] if _names(environ) else []),
    ]
    found = [Check(name="sources", status="ok", message="; ".join(sources) or "Defaults alone.")]
    if dotenv.is_file() and os.name == "posix" and dotenv.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(
            Check(name=".env", status="warn", message="Others on this machine can read .env: chmod 600 .env")
        )
    return found + [Check(name="warning", status="warn", message=warning) for warning in warnings]


async def store_checks(ctx: Context) -> list[Check]:
    """Say whether the store can be used, and how much room it has. Raises StoreUnavailable when it cannot."""
    await ctx.ledger.ping()
    file = ctx.settings.database_file
    where = str(file) if file else "PostgreSQL"
    found = [Check(name="store", status="ok", message=f"{where}, schema {newest_revision()}.")]
    return found if file is None else [*found, _room(file)]


def server_check(settings: Settings) -> Check:
    """Say whether a server answers."""
    url = local_url(settings)
    match who_listens(settings):
        case Listener.OURS:
            return Check(name="server", status="ok", message=f"Answers at {url}.")
        case Listener.STRANGER:
            message = f"Another program listens at {url}: stop it or set PORT."
            return Check(name="server", status="fail", message=message)
        case Listener.NOBODY:
            return Check(name="server", status="warn", message=f"Nothing answers at {url}: {PROGRAM} serve")


def _room(file: Path) -> Check:
    size = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
    free = shutil.disk_usage(file.parent).free
    told = f"{_megabytes(size)} used, {_megabytes(free)} free."
    if free < _LITTLE_SPACE:
        level: Status = "fail" if free < _NO_SPACE else "warn"
        return Check(name="disk", status=level, message=f"{told} Make room where the store is, or move it.")
    return Check(name="disk", status="ok", message=told)


def _names(values: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name in values if name in _NAMES and values[name].strip()))


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
