"""Print answers. A table shows a page of items as rows, and any other answer as names and values."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.cli.operations.csv_rows import ROW_FORMATS, as_text
from connector.cli.terminal import console
from connector.service.execution.operation import Output
from connector.text.cells import clean

NOTHING = "-"
_PREFERRED = (
    ("interview_id", "status", "reason", "user_id", "quality_score", "sentiment", "themes_text"),
    ("launch_id", "status", "cohort_name", "to_invite", "invited", "waiting", "failed"),
)
"""The most informative columns of a list, where it has all of them."""
_REDUNDANT = "themes"
"""`themes_text` holds the same themes."""
_LAST = "status_url"
"""Left out of lists: a person uses the id in the next command; only programs need the URL."""
_NARROWEST, _WIDEST = 6, 36
_GAP = 2
_GREEN, _YELLOW, _RED = "ok synced finished", "warn pending running unknown", "fail failed unreadable"
STYLES = {
    status: style
    for style, statuses in (("green", _GREEN), ("yellow", _YELLOW), ("red", _RED))
    for status in statuses.split()
}
"""Colour of each status."""


def print_answer(answer: Output | Mapping[str, Any], form: str) -> None:
    """Print an answer on standard output as a table, as the exact JSON of the model, or only its rows."""
    values = answer.model_dump(mode="json") if isinstance(answer, Output) else answer
    if form == "table":
        show(console(sys.stdout), values)
    elif form in ROW_FORMATS:
        sys.stdout.write(as_text(values, form))
    else:
        sys.stdout.write(to_json(answer, indent=2 if sys.stdout.isatty() else None).decode() + "\n")
    sys.stdout.flush()


def show(screen: Console, answer: Mapping[str, Any]) -> None:
    """Print an answer (JSON values) as a table, wider than the screen only where a link or token is."""
    items = answer.get("items")
    if not isinstance(items, list):
        _show_record(screen, answer)
    elif not items:
        screen.print("Nothing found.")
    else:
        _show_rows(screen, items)
        if answer.get("has_more"):
            screen.print(Text(f"More: --cursor {answer.get('next_cursor')}"), soft_wrap=True)


def _show_rows(screen: Console, items: Sequence[Mapping[str, Any]], indent: int = 0) -> None:
    """Print objects as a table of the columns that fit, most informative first; then links, never cut."""
    columns = _columns(items, screen.width - indent)
    links = [name for name in items[0] if _is_whole(name) and any(item.get(name) for item in items)]
    links = [name for name in links if name != _LAST]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(Text(clean(name)), overflow="fold", min_width=min(_NARROWEST, len(name)))
    for name in links:
        table.add_column(Text(clean(name)), no_wrap=True)
    for item in items:
        table.add_row(*(_cell(name, item.get(name)) for name in (*columns, *links)))
    width = screen.width
    # The terminal itself wraps a long line, and a link copied from there stays whole.
    longest = (max(len(_text(item.get(name))) + _GAP for item in items) for name in links)
    screen.width = width + sum(longest) + sum(map(len, links))
    screen.print(Padding(table, (0, 0, 0, indent), expand=False))
    screen.width = width


def _show_record(screen: Console, answer: Mapping[str, Any]) -> None:
    flat = Table.grid(padding=(0, _GAP, 0, 0))
    flat.add_column(no_wrap=True, style="bold")
    flat.add_column(overflow="fold")
    whole = {name: value for name, value in answer.items() if _is_whole(name) and value}
    parts = {
        name: value
        for name, value in answer.items()
        if (isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value))
        or (isinstance(value, Mapping) and _is_deep(value))
    }
    for name, value in answer.items():
        if name not in {*whole, *parts} and (name != _REDUNDANT or "themes_text" not in answer):
            flat.add_row(Text(clean(name)), _cell(name, value))
    screen.print(flat)
    for name, value in parts.items():
        screen.print(Text(""), Text(clean(name), style="bold"), sep="\n")
        if isinstance(value, list):
            _show_rows(screen, value, _GAP)
        else:
            text = Text(clean(json.dumps(value, indent=2, ensure_ascii=False)), overflow="fold")
            screen.print(Padding(text, (0, 0, 0, _GAP), expand=False))
    for name, value in whole.items():
        screen.print(Text.assemble((clean(name), "bold"), "  ", _text(value)), soft_wrap=True)


def _is_whole(name: str) -> bool:
    """Tell whether a field holds a link or a token, which is useless when it is cut or wrapped."""
    return name.endswith(("_link", "_url", "_token"))


def _columns(items: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return the names of the columns that fit, without those that are empty in every row."""
    names = list(dict.fromkeys(name for item in items for name in item))
    longest = {name: max(len(_text(item.get(name))) for item in items) for name in names}
    filled = [
        name
        for name in names
        if (name != _REDUNDANT or "themes_text" not in names)
        and not _is_whole(name)
        and any(_text(item.get(name)) != NOTHING for item in items)
    ]
    for first in _PREFERRED:
        if set(first) <= set(names):
            filled.sort(key=lambda name: first.index(name) if name in first else len(first))
    chosen: list[str] = []
    left = width
    for name in filled:
        needed = min(max(len(name), longest[name]), max(_WIDEST, len(name))) + _GAP
        if needed <= left or not chosen:
            chosen.append(name)
            left -= needed
    return chosen


def _cell(name: str, value: Any) -> Text:
    text = _text(value)
    style = STYLES.get(text, "") if name == "status" else ""
    return Text(text, style="dim" if text == NOTHING else style)


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping) and not _is_deep(value):
        return ", ".join(f"{clean(str(name))} {_text(item)}" for name, item in value.items())
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(clean(str(item)) for item in value)
    if isinstance(value, list) and all(isinstance(item, Mapping) and not _is_deep(item) for item in value):
        return ", ".join(" ".join(map(_text, item.values())) for item in value)
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_deep(value: Mapping[str, Any]) -> bool:
    return any(isinstance(item, list | dict) and item for item in value.values())
