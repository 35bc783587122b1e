"""`koji-amplitude doctor`: everything that can be checked, and the one next step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from connector.app import build
from connector.cli.arguments import Parser
from connector.cli.setup.checks import server_check, settings_checks, store_checks
from connector.cli.setup.findings import (
    is_wrong,
    next_step,
    show_checks,
    show_refused,
)
from connector.cli.startup import begin_log
from connector.cli.terminal import clean, stdout
from connector.errors import SettingsError, StoreUnavailable
from connector.operations.check_connection import CHECK_CONNECTION, CheckOutput
from connector.service.checks.credentials import Check
from connector.service.execution.operation import Input
from connector.settings.model import Settings
from connector.settings.sources import load


def main(words: Sequence[str]) -> int:
    """Check everything; return 1 when something is wrong. Raises SettingsError."""
    Parser("doctor", "Check settings, store and every connection; end with the one next step.").read(words)
    loaded = load(os.environ, Path.cwd())
    begin_log(loaded.settings, quiet=True)
    here = settings_checks(os.environ, Path.cwd(), loaded.warnings)
    return asyncio.run(examine(loaded.settings, here))


async def examine(settings: Settings, here: Sequence[Check], *, server: bool = True) -> int:
    """Show what is known of the settings, check the rest, and return the exit code."""
    console = stdout()
    checks = list(here)
    show_checks(console, "Settings", here)
    try:
        async with build(settings, workers=False) as running:
            store = await store_checks(running.context)
            store += [server_check(settings)] if server else []
            connections = {
                name: await CHECK_CONNECTION.run(running.context, Input(connection=name))
                for name in settings.connections
            }
    except (SettingsError, StoreUnavailable) as error:
        store, connections = [Check(name="store", status="fail", message=str(error))], {}
    show_checks(console, "Store and server" if server else "Store", store)
    checks += store
    checks += _show_connections(connections)
    step = next_step(sorted(checks, key=lambda check: check.name == "server"))
    console.print(Text(f"Next: {clean(step)}", style="bold"))
    return 1 if is_wrong(checks) else 0


def _show_connections(found: dict[str, CheckOutput]) -> list[Check]:
    checks: list[Check] = []
    for name, output in found.items():
        show_checks(stdout(), f"Connection {name}", output.checks)
        show_refused(stdout(), output.refused_webhooks)
        prefix = f"{name}: " if len(found) > 1 else ""
        checks += [check.model_copy(update={"message": prefix + check.message}) for check in output.checks]
    return checks
