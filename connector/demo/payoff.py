"""The demo's third answer, for which all this is done: a funnel step cut by what people said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from connector.demo.style import (
    bar,
    columns,
    glyphs,
    heading,
    indented,
    put,
)

_BAR: Final = 40
_ENOUGH: Final = 10  # people; a share of fewer says little


def show_payoff(console: Console, payoff: Mapping[str, Any]) -> None:
    """Print the share that reached the step, by theme and by sentiment, and one sentence that reads it."""
    heading(console, f"What Amplitude can tell now: who reached {payoff['step']} after the interview")
    signs = glyphs(console)
    table = columns(count=4, right=(2, 3))
    for title, rows in (("theme", payoff["by_theme"]), ("sentiment", payoff["by_sentiment"])):
        table.add_row("", Text(f"by {title}", "cyan"))
        for row in rows:
            people, reached = row["people"], row["reached_step"]
            share = Text(f"{row['share']:.0%}", "bold")
            table.add_row("", row[title], bar(signs, _BAR, people, reached), share, f"{reached} of {people}")
    put(console, table, indented(reading(payoff), "bold"))


def reading(payoff: Mapping[str, Any]) -> str:
    """Say in one sentence what the table shows: everybody, and the themes at both ends."""
    sentence = f"Of {payoff['people']} people {payoff['share']:.0%} went on"
    ends = _ends([row for row in payoff["by_theme"] if row["people"] >= _ENOUGH])
    if ends is None:
        return f"{sentence}."
    low, high = ends
    return (
        f"{sentence}; {low['share']:.0%} where {low['theme']} came up, "
        f"{high['share']:.0%} where {high['theme']} did."
    )


def _ends(rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    if not rows:
        return None
    by_share = sorted(rows, key=lambda row: row["share"])
    low, high = by_share[0], by_share[-1]
    return None if low["share"] == high["share"] else (low, high)
