"""Write the demo's output: 100 columns at most; colour and movement only on a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of the output, in one of two encodings."""

    full: str
    partial: str
    empty: str
    good: str
    bad: str


_DRAWN: Final = Glyphs("█", "▒", "·", "✓", "✗")
_TYPED: Final = Glyphs("#", "+", ".", "ok", "NO")


def open_console() -> Console:
    """Return a console for the standard output: plain lines unless it is a terminal that a person watches."""
    if not sys.stdout.isatty() or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return Console(force_terminal=False, color_system=None, width=WIDTH, highlight=False)
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    return console


def glyphs(console: Console) -> Glyphs:
    """Return the signs that the console's encoding has."""
    return _TYPED if console.options.ascii_only else _DRAWN


def print_to(console: Console, *renderables: RenderableType) -> None:
    """Print; without a terminal, remove the blanks that fill a table's lines."""
    if console.is_terminal:
        console.print(*renderables, sep="\n")
        return
    with console.capture() as capture:
        console.print(*renderables, sep="\n")
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    console.file.flush()


def heading(console: Console, title: str, aside: str = "") -> None:
    """Begin a section."""
    print_to(console, "", Text.assemble((title, "bold"), (f"  {aside}" if aside else "", "dim")))


def indented(text: str | Text, style: str = "") -> Padding:
    """Return a paragraph as far from the margin as the tables."""
    return Padding(Text(text, style) if isinstance(text, str) else text, (0, 0, 0, 2))


def columns(*, right: tuple[int, ...] = (), count: int) -> Table:
    """Return a table without lines; `right` are indexes of right-aligned columns, not counting the indent."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=0)  # the indent column: rows begin with "", and its padding is the indent
    for index in range(count):
        last = index == count - 1
        table.add_column(
            justify="right" if index in right else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    return table


def bar(signs: Glyphs, width: int, whole: int, solid: int, partial: int = 0) -> Text:
    """Draw `solid` and then `partial` of `whole` over `width` cells; a part above zero gets at least one."""
    second = _cells(width, whole, partial)
    first = min(_cells(width, whole, solid), width - bool(second))
    second = min(second, width - first)
    return Text.assemble(
        (signs.full * first, "cyan"),
        (signs.partial * second, "yellow"),
        (signs.empty * (width - first - second), "dim"),
    )


def _cells(width: int, whole: int, part: int) -> int:
    if not (whole and part):
        return 0
    return min(width, max(1, round(width * part / whole)))
