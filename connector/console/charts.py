"""Draw numbers as SVG, by attributes and classes alone: the content policy allows no inline style.

A chart has no numbers in it that do not also stand beside it as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

_HEIGHT: Final = 100
_FEW: Final = 3
"""The height of a column whose number is hidden."""


def bar(n: int | None, most: int) -> Markup:
    """Return a horizontal bar for a row of a table: `n` of the length of `most`; None is empty."""
    width = 100 * (n or 0) / max(most, 1)
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{:.1f}" height="10"/></svg>'
    ).format(width)


def columns(name: str, cells: Sequence[tuple[str, int | None]], least: int) -> Markup:
    """Return columns side by side, each with its label and number as its title.

    A number of None is one below `least`: a low column of its own class. `name` says what the chart shows.
    """
    most = max((n or 0 for _, n in cells), default=0)
    drawn = Markup().join(_column(at, label, n, most, least) for at, (label, n) in enumerate(cells))
    told = f"{len(cells)} columns; the highest is {most:,}. The table has the same numbers."
    return Markup(
        '<svg class="columns" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(max(len(cells), 1), _HEIGHT, name, told, drawn)


def _column(at: int, label: str, n: int | None, most: int, least: int) -> Markup:
    height = _FEW if n is None else _HEIGHT * n / max(most, 1)
    return Markup(
        '<rect class="{}" x="{:.2f}" y="{:.1f}" width="0.8" height="{:.1f}"><title>{}: {}</title></rect>'
    ).format(
        "few" if n is None else "many",
        at + 0.1,
        _HEIGHT - height,
        height,
        label,
        f"fewer than {least}" if n is None else f"{n:,}",
    )
