"""Show the demo while it runs: a moving picture on a terminal, lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from connector.demo.scenario import PEOPLE, Snapshot, Weather
from connector.demo.style import bar, columns, glyphs, print_to

_BAR: Final = 26
_LINE_EVERY: Final = 2.5  # seconds


def follow(console: Console, snapshots: Iterable[Snapshot]) -> None:
    """Show every snapshot as it comes."""
    if not console.is_terminal:
        _print(console, snapshots)
        return
    with Live(console=console, refresh_per_second=8) as live:
        for snapshot in snapshots:
            live.update(_picture(console, snapshot))


def _picture(console: Console, now: Snapshot) -> Table:
    signs, picture = glyphs(console), columns(count=3)

    def add(name: str, solid: int, partial: int, text: str) -> None:
        picture.add_row("", Text(name, "bold"), bar(signs, _BAR, PEOPLE, solid, partial), text)

    answering = now.started - now.completed
    add("Koji", now.completed, answering, f"{now.started} started, {now.completed} completed")
    acknowledged = f"{now.webhooks_acknowledged} webhooks acknowledged, {now.webhooks_repeated} repeats"
    add("Connector", now.arrived + now.skipped + now.failed, now.kept, acknowledged)
    add("Amplitude", now.arrived, 0, f"{now.arrived} arrived; {now.skipped} skipped, {now.failed} failed")
    picture.add_row("", "", "", Text(_weather(now), "yellow" if now.kept else "dim"))
    return picture


def _print(console: Console, snapshots: Iterable[Snapshot]) -> None:
    """Print a line at every change of the weather and after a while, and the last snapshot."""
    last: Snapshot | None = None
    printed_at = -math.inf
    for snapshot in snapshots:
        patience = 1.0 if snapshot.weather is Weather.DOWN else _LINE_EVERY
        changed = last is None or last.weather is not snapshot.weather
        if changed or snapshot.elapsed - printed_at >= patience:
            _line(console, snapshot)
            printed_at = snapshot.elapsed
        last = snapshot
    if last is not None and last.elapsed > printed_at:
        _line(console, last)


def _line(console: Console, now: Snapshot) -> None:
    row = columns(count=6)
    row.add_row(
        "",
        f"{now.elapsed:4.1f} s",
        f"{now.started:>2} started",
        f"{now.completed:>2} answered",
        f"{now.webhooks_acknowledged:>3} webhooks",
        f"{now.arrived:>2} in Amplitude",
        _weather(now),
    )
    print_to(console, row)


def _weather(now: Snapshot) -> str:
    if now.weather is Weather.DOWN:
        return f"DOWN, back in {math.ceil(now.back_in)} s; {now.kept} kept"
    if now.weather is Weather.BACK:
        return f"back; {now.kept} kept for a while" if now.kept else "back; all delivered"
    return ""
