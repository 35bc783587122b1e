"""Check this machine and every connection, show what was found, and name the one next step."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from enum import Enum
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.app import build
from connector.cli.announce import local_url
from connector.cli.terminal import PROGRAM, clean, stdout
from connector.context import Context
from connector.errors import SettingsError, StoreUnavailable
from connector.ledger.db.migrations import newest_revision
from connector.operations.check_connection import CHECK_CONNECTION, CheckOutput, RefusedWebhook
from connector.service.checks.credentials import Check, Status
from connector.service.execution.operation import Input
from connector.settings.files import CONFIG_VARIABLE, read_dotenv
from connector.settings.model import Connection, Settings

_NAMES = frozenset(name.upper() for model in (Settings, Connection) for name in model.model_fields) | {
    CONFIG_VARIABLE
}
_LITTLE_SPACE = 1_000_000_000
_NO_SPACE = 100_000_000
_PROBE_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_STYLES = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "yellow"}
_URGENCY = ("fail", "unknown", "warn")


class Listener(Enum):
    """Who listens at HOST:PORT."""

    NOBODY = "nobody"
    OURS = "ours"
    STRANGER = "stranger"


async def examine(settings: Settings, here: Sequence[Check], *, server: bool = True) -> int:
    """Show what is known of the settings, check the rest, and return the exit code."""
    console = stdout()
    checks = list(here)
    _show_checks(console, "Settings", here)
    try:
        async with build(settings, workers=False) as running:
            store = await _store_checks(running.context)
            store += [_server_check(settings)] if server else []
            connections = {
                name: await CHECK_CONNECTION.run(running.context, Input(connection=name))
                for name in settings.connections
            }
    except (SettingsError, StoreUnavailable) as error:
        store, connections = [Check(name="store", status="fail", message=str(error))], {}
    _show_checks(console, "Store and server" if server else "Store", store)
    checks += store
    checks += _show_connections(connections)
    step = _next_step(sorted(checks, key=lambda check: check.name == "server"))
    console.print(Text(f"Next: {clean(step)}", style="bold"))
    return 1 if any(check.status in ("fail", "unknown") for check in checks) else 0


def settings_checks(environ: Mapping[str, str], directory: Path, warnings: Sequence[str]) -> list[Check]:
    """Say where the settings come from, without their values, and what is odd about them."""
    dotenv = directory / ".env"
    written = read_dotenv(dotenv)
    named = environ.get(CONFIG_VARIABLE) or written.get(CONFIG_VARIABLE) or "connector.toml"
    document = directory / named
    sources = [
        *([document.name] if document.is_file() else []),
        *([f".env ({_names(written)})"] if dotenv.is_file() else []),
        *([f"environment ({_names(environ)})"] if _names(environ) else []),
    ]
    checks = [Check(name="sources", status="ok", message="; ".join(sources) or "Defaults alone.")]
    if dotenv.is_file() and os.name == "posix" and dotenv.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = "Others on this machine can read .env: chmod 600 .env"
        checks.append(Check(name=".env", status="warn", message=message))
    return checks + [Check(name="warning", status="warn", message=warning) for warning in warnings]


def who_listens(settings: Settings) -> Listener:
    """Ask HOST:PORT for its health."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    asked = HTTPConnection(host, settings.port, timeout=_PROBE_SECONDS)
    try:
        asked.request("GET", "/healthz")
        answer = asked.getresponse()
        healthy = answer.status == 200 and json.loads(answer.read(1_000)) == {"status": "ok"}
    except (ConnectionRefusedError, TimeoutError):
        return Listener.NOBODY
    except (OSError, HTTPException, ValueError):
        return Listener.STRANGER
    finally:
        asked.close()
    return Listener.OURS if healthy else Listener.STRANGER


async def _store_checks(ctx: Context) -> list[Check]:
    """Say whether the store can be used, and how much room it has. Raises StoreUnavailable when it cannot."""
    await ctx.ledger.ping()
    file = ctx.settings.database_file
    message = f"{file or 'PostgreSQL'}, schema {newest_revision()}."
    return [Check(name="store", status="ok", message=message), *([_room(file)] if file else [])]


def _server_check(settings: Settings) -> Check:
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
    status: Status = "ok" if free >= _LITTLE_SPACE else "warn" if free >= _NO_SPACE else "fail"
    advice = "" if status == "ok" else " Make room where the store is, or move it."
    message = f"{_megabytes(size)} used, {_megabytes(free)} free.{advice}"
    return Check(name="disk", status=status, message=message)


def _names(values: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name in values if name in _NAMES and values[name].strip()))


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _show_connections(outputs: dict[str, CheckOutput]) -> list[Check]:
    checks: list[Check] = []
    for name, output in outputs.items():
        _show_checks(stdout(), f"Connection {name}", output.checks)
        _show_refused(stdout(), output.refused_webhooks)
        prefix = f"{name}: " if len(outputs) > 1 else ""
        checks += [check.model_copy(update={"message": prefix + check.message}) for check in output.checks]
    return checks


def _show_checks(console: Console, title: str, checks: Sequence[Check]) -> None:
    """Print one table of checks under a title."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        status = Text(check.status, style=_STYLES[check.status])
        table.add_row(status, Text(clean(check.name)), Text(clean(check.message)))
    console.print(Text(clean(title), style="bold"))
    console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _show_refused(console: Console, refused: Sequence[RefusedWebhook]) -> None:
    """Print the webhooks that were refused: what came, and which setting to look at."""
    if not refused:
        return
    console.print(Text("Refused webhooks", style="bold"))
    for one in refused:
        headers = ", ".join(str(header.get("name")) for header in one.headers)
        tried = "; ".join(f"{a.get('header')} as {a.get('scheme')}: {a.get('why')}" for a in one.tried)
        for text in (f"{one.at}  {one.setting}", f"  headers: {headers}", f"  tried: {tried or 'nothing'}"):
            console.print(Padding(Text(clean(text), overflow="fold"), (0, 0, 0, 2), expand=False))
    console.print()


def _next_step(checks: Sequence[Check]) -> str:
    """Return the one thing to do next: what fails, else what is unknown, else what could be better."""
    ordered = (check.message for level in _URGENCY for check in checks if check.status == level)
    return next(ordered, "Nothing: everything is in order.")
