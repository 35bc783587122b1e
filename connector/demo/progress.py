"""The demo while it runs: a moving picture on a terminal, lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from connector.demo.scenario import PEOPLE, Snapshot, Weather
from connector.demo.style import bar, columns, glyphs, put

_BAR: Final = 26
_LINE_EVERY: Final = 2.5


def follow(console: Console, moments: Iterable[Snapshot]) -> None:
    """Show every moment as it comes."""
    if console.is_terminal:
        _move(console, moments)
    else:
        _tell(console, moments)


def _move(console: Console, moments: Iterable[Snapshot]) -> None:
    with Live(console=console, refresh_per_second=8) as live:
        for moment in moments:
            live.update(_picture(console, moment))


def _picture(console: Console, now: Snapshot) -> Table:
    signs = glyphs(console)
    picture = columns(count=3)
    picture.add_row(
        "",
        Text("Koji", "bold"),
        bar(signs, _BAR, PEOPLE, now.completed, now.started - now.completed),
        f"{now.started} started, {now.completed} completed",
    )
    answered = bar(signs, _BAR, PEOPLE, now.arrived + now.skipped + now.failed, now.kept)
    picture.add_row("", Text("Connector", "bold"), answered, _connector(now))
    picture.add_row("", Text("Amplitude", "bold"), bar(signs, _BAR, PEOPLE, now.arrived), _amplitude(now))
    picture.add_row("", "", "", Text(_weather(now), "yellow" if now.kept else "dim"))
    return picture


def _tell(console: Console, moments: Iterable[Snapshot]) -> None:
    last: Snapshot | None = None
    told = math.inf
    for moment in moments:
        patience = 1.0 if moment.weather is Weather.DOWN else _LINE_EVERY
        changed = last is None or last.weather is not moment.weather
        if changed or moment.elapsed - told >= patience:
            _line(console, moment)
            told = moment.elapsed
        last = moment
    if last is not None and last.elapsed > told:
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
    put(console, row)


def _connector(now: Snapshot) -> str:
    return f"{now.webhooks_acknowledged} webhooks acknowledged, {now.webhooks_repeated} repeats"


def _amplitude(now: Snapshot) -> str:
    return f"{now.arrived} arrived; {now.skipped} skipped, {now.failed} failed"


def _weather(now: Snapshot) -> str:
    if now.weather is Weather.DOWN:
        return f"DOWN, back in {math.ceil(now.back_in)} s; {now.kept} kept"
    if now.weather is Weather.BACK:
        return f"back; {now.kept} kept for a while" if now.kept else "back; all delivered"
    return ""
