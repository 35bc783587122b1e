"""What checks found, as tables, and the one next step."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.cli.terminal import clean
from connector.operations.check_connection import RefusedWebhook
from connector.service.checks.credentials import Check

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "yellow"}
_URGENCY = ("fail", "unknown", "warn")
IN_ORDER = "Nothing: everything is in order."


def show_checks(console: Console, title: str, checks: Sequence[Check]) -> None:
    """Print one table of checks under a title."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(
            Text(check.status, style=_STYLES[check.status]),
            Text(clean(check.name)),
            Text(clean(check.message)),
        )
    console.print(Text(clean(title), style="bold"))
    console.print(Padding(table, (0, 0, 1, 2), expand=False))


def show_refused(console: Console, refused: Sequence[RefusedWebhook]) -> None:
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


def next_step(checks: Sequence[Check]) -> str:
    """Return the one thing to do next: what fails, else what is unknown, else what could be better."""
    for level in _URGENCY:
        for check in checks:
            if check.status == level:
                return check.message
    return IN_ORDER


def is_wrong(checks: Sequence[Check]) -> bool:
    """Tell whether something does not work, or could not be found to work."""
    return any(check.status in ("fail", "unknown") for check in checks)
