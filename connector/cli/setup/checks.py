"""Check this machine and every connection, show the findings, and name the next step."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.app import build
from connector.cli.announce import local_url
from connector.cli.operations.tables import STYLES
from connector.cli.startup import directories, exposed
from connector.cli.terminal import PROGRAM, console
from connector.context import Context
from connector.errors import LedgerUnavailable, SettingsError
from connector.ledger.db.migrations import newest_revision
from connector.operations.check_connection import CHECK_CONNECTION, RefusedWebhook
from connector.service.checks.credentials import Check, Finding, Status
from connector.service.execution.operation import Input
from connector.settings.files import CONFIG_VARIABLE, MISSPELT, read_dotenv
from connector.settings.key_files import api_token, others_may_read
from connector.settings.model import Connection, Settings
from connector.settings.sources import Loaded
from connector.text.cells import clean

_NAMES = {name.upper() for model in (Settings, Connection) for name in model.model_fields} | {CONFIG_VARIABLE}
_LITTLE_SPACE = 1_000_000_000
_NO_SPACE = 100_000_000
_PROBE_SECONDS = 2.0
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_URGENCY = ("fail", "unknown", "warn")
_RECENT = timedelta(minutes=10)


Listener = Literal["none", "ours", "another", "other"]
"""What listens at HOST:PORT: our server, another koji-amplitude with its own ledger, or another program."""


async def examine(loaded: Loaded, *, server: bool = True) -> int:
    """Check settings, ledger, server and connections; show the findings and return the exit code."""
    settings, screen = loaded.settings, console(sys.stdout)
    here = _settings_checks(os.environ, loaded)
    _show_checks(screen, "Settings", here)
    try:
        async with build(settings, workers=False) as running:
            ledger = await _ledger_checks(running.context)
            ledger += [_server_check(settings)] if server else []
            connections = {
                name: await CHECK_CONNECTION.run(running.context, Input(connection=name))
                for name in settings.connections
            }
    except (SettingsError, LedgerUnavailable) as error:
        ledger, connections = [Check.of("ledger", ("fail", str(error)))], {}
    ledger += _files_check(settings)
    _show_checks(screen, "Ledger and server" if server else "Ledger", ledger)
    checks = [*here, *ledger]
    for name, output in connections.items():
        _show_checks(screen, f"Connection {name}", output.checks)
        _show_refused(screen, output.refused_webhooks)
        prefix = f"{name}: " if len(connections) > 1 else ""
        checks += [check.model_copy(update={"message": prefix + check.message}) for check in output.checks]
    latest = [webhook for output in connections.values() for webhook in output.refused_webhooks[:1]]
    old = tuple(webhook.setting for webhook in latest if _is_old(webhook.at))
    screen.print(Text(f"Next: {clean(_next_step(checks, old))}", style="bold"), soft_wrap=True)
    return 1 if any(check.status in ("fail", "unknown") for check in checks) else 0


def _settings_checks(environ: Mapping[str, str], loaded: Loaded) -> list[Check]:
    """Name the sources of the settings, without values, and show the warnings about them."""
    dotenv = loaded.dotenv
    read = [str(loaded.document)] if loaded.document else []
    read += [f"{dotenv} ({_names(read_dotenv(dotenv))})"] if dotenv else []
    read += [f"environment ({names})"] if (names := _names(environ)) else []
    nothing = f"Defaults alone: no connector.toml or .env in {' or '.join(map(str, directories()))}."
    checks = [Check.of("sources", ("ok", "; ".join(read) or nothing))]
    warnings = [*exposed(loaded), *loaded.warnings]
    return checks + [Check.of("warning", ("warn", warning)) for warning in warnings]


def who_listens(settings: Settings) -> Listener:
    """Ask the program at HOST:PORT for its health, and our server whether it knows our API token."""
    host = _LOOPBACK_OF.get(settings.host, settings.host)
    url = local_url(settings.model_copy(update={"host": host}))
    try:
        with httpx.Client(trust_env=False, timeout=_PROBE_SECONDS) as client:
            if not is_healthy(client.get(f"{url}/healthz")):
                return "other"
            token = api_token(settings)[0].get_secret_value()
            reply = client.get(f"{url}/me", headers={"Authorization": f"Bearer {token}"})
            return "another" if reply.status_code == httpx.codes.UNAUTHORIZED else "ours"
    except (httpx.ConnectError, httpx.TimeoutException):
        return "none"
    except httpx.RequestError:
        return "other"


def another_server(url: str) -> str:
    """Say what holds the port, where the server there does not know our API token."""
    return f"Another koji-amplitude, with another ledger or API token, holds {url}: stop it, or set PORT"


def is_healthy(reply: httpx.Response) -> bool:
    """Tell whether our server answered a look at its health."""
    return reply.status_code == 200 and reply.text == '{"status":"ok"}'


def _files_check(settings: Settings) -> list[Check]:
    """Check who may read the files of a SQLite database, and the key and the token beside it."""
    if settings.database_file is None:
        return []
    folder, name = settings.database_file.parent, settings.database_file.name
    files = [*folder.glob(f"{name}*"), folder / "encryption-key", folder / "api-token"]
    readable = [str(file) for file in sorted(files) if file.is_file() and others_may_read(file)]
    advice = f"Others on this machine can read these files: chmod 600 {' '.join(readable)}"
    return [Check.of("files", ("warn", advice))] if readable else []


async def _ledger_checks(ctx: Context) -> list[Check]:
    """Check that the ledger can be used, and the space on its disk. Raises LedgerUnavailable."""
    await ctx.ledger.ping()
    file = ctx.settings.database_file
    check = Check.of("ledger", ("ok", f"{file or 'PostgreSQL'}, schema {newest_revision()}."))
    return [check, _disk_check(file)] if file else [check]


def _server_check(settings: Settings) -> Check:
    """Check that a server answers."""
    url = local_url(settings)
    findings: Mapping[Listener, Finding] = {
        "ours": ("ok", f"Answers at {url}."),
        "another": ("warn", f"{another_server(url)}."),
        "other": ("fail", f"Another program listens at {url}: stop it or set PORT."),
        "none": ("fail", f"Nothing answers at {url}. Start the server: {PROGRAM} serve"),
    }
    return Check.of("server", findings[who_listens(settings)])


def _disk_check(file: Path) -> Check:
    size = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
    free = shutil.disk_usage(file.parent).free
    status: Status = "ok" if free >= _LITTLE_SPACE else "warn" if free >= _NO_SPACE else "fail"
    advice = "" if status == "ok" else " Make room where the ledger is, or move it."
    return Check.of("disk", (status, f"{decimal(size)} used, {decimal(free)} free.{advice}"))


def _names(values: Mapping[str, str]) -> str:
    return ", ".join(sorted(name for name in values if name in _NAMES and values[name].strip()))


def _show_checks(screen: Console, title: str, checks: Sequence[Check]) -> None:
    """Print a table of checks under a title."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        status = Text(check.status, style=STYLES[check.status])
        table.add_row(status, Text(clean(check.name)), Text(clean(check.message)))
    _show_part(screen, title, table)


def _show_refused(screen: Console, refused: Sequence[RefusedWebhook]) -> None:
    """Print the refused webhooks: their headers, and the setting to check."""
    lines = []
    for webhook in refused:
        headers = ", ".join(str(header.get("name")) for header in webhook.headers)
        tried = "; ".join(f"{a.get('header')} as {a.get('scheme')}: {a.get('why')}" for a in webhook.tried)
        lines += [
            f"{webhook.at}  {webhook.setting}",
            f"  headers: {headers}",
            f"  tried: {tried or 'nothing'}",
        ]
    if lines:
        _show_part(screen, "Refused webhooks", Text(clean("\n".join(lines)), overflow="fold"))


def _show_part(screen: Console, title: str, content: RenderableType) -> None:
    screen.print(Text(clean(title), style="bold"))
    screen.print(Padding(content, (0, 0, 1, 2), expand=False))


def _is_old(at: str) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(at) > _RECENT


def _next_step(checks: Sequence[Check], old: tuple[str, ...]) -> str:
    """Return the most urgent message.

    Settings that do not apply come first, because other findings may follow from them; of equally urgent
    checks, the server's. The `old` refusals of webhooks come last: their cause may be gone.
    """

    def urgency(check: Check) -> tuple[bool, bool, int, bool]:
        ignored = check.name == "settings" or MISSPELT in check.message
        is_old = check.message.endswith(old)
        return is_old, not ignored, _URGENCY.index(check.status), check.name != "server"

    wrong = [check for check in checks if check.status != "ok"]
    return min(wrong, key=urgency).message if wrong else "Nothing: everything is in order."
