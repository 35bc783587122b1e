"""Answers as tables for people: a page of items as rows, anything else as names and values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.cli.terminal import clean

NOTHING = "-"
_PREFERRED = ("interview_id", "status", "reason", "user_id", "quality_score", "sentiment", "themes_text")
_REDUNDANT = frozenset({"themes"})
_LAST = "status_url"
"""For programs: a person has the id for the next command."""
_NARROWEST, _WIDEST = 6, 36
_GAP = 2
_STYLES = {
    "ok": "green",
    "synced": "green",
    "finished": "green",
    "warn": "yellow",
    "pending": "yellow",
    "running": "yellow",
    "unknown": "yellow",
    "fail": "red",
    "failed": "red",
    "unreadable": "red",
}


def show(console: Console, answer: Mapping[str, Any]) -> None:
    """Print an answer (JSON values), never wider than the console."""
    items = answer.get("items")
    if isinstance(items, list):
        console.print(_page(answer, items, console.width))
    else:
        console.print(_record(answer, console.width))


def rows(items: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    """Return objects as a table of as many columns as `width` characters hold, the telling ones first."""
    columns = _columns(items, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(Text(clean(name)), overflow="fold", min_width=min(_NARROWEST, len(name)))
    for item in items:
        table.add_row(*(_cell(name, item.get(name)) for name in columns))
    return table


def _page(answer: Mapping[str, Any], items: Sequence[Mapping[str, Any]], width: int) -> RenderableType:
    if not items:
        return Text("Nothing found.")
    more = f"More: --cursor {answer.get('next_cursor')}" if answer.get("has_more") else ""
    table = rows(items, width)
    return Group(table, Text(more, overflow="fold")) if more else table


def _record(answer: Mapping[str, Any], width: int) -> RenderableType:
    flat = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    flat.add_column(no_wrap=True, style="bold")
    flat.add_column(overflow="fold")
    parts: list[RenderableType] = []
    for name, value in answer.items():
        if _is_objects(value):
            parts += [
                Text(""),
                Text(clean(name), style="bold"),
                Padding(rows(value, width - 2), (0, 0, 0, 2)),
            ]
        elif isinstance(value, Mapping) and _is_deep(value):
            text = json.dumps(value, indent=2, ensure_ascii=False)
            parts += [
                Text(""),
                Text(clean(name), style="bold"),
                Padding(Text(clean(text), overflow="fold"), (0, 0, 0, 2)),
            ]
        elif name not in _REDUNDANT or "themes_text" not in answer:
            flat.add_row(Text(clean(name)), _cell(name, value))
    return Group(flat, *parts)


def _columns(items: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    names = list(dict.fromkeys(name for item in items for name in item))
    telling = [
        name for name in names if name not in _REDUNDANT and any(_is_told(item.get(name)) for item in items)
    ]
    telling.sort(key=lambda name: name == _LAST)
    if all(name in names for name in _PREFERRED):
        telling.sort(key=lambda name: _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED))
    chosen: list[str] = []
    left = width
    for name in telling:
        longest = max(len(name), *(len(_text(item.get(name))) for item in items))
        needed = min(longest, max(_WIDEST, len(name))) + _GAP
        if needed <= left or not chosen:
            chosen.append(name)
            left -= needed
    return chosen


def _cell(name: str, value: Any) -> Text:
    text = _text(value)
    style = _STYLES.get(text, "") if name == "status" else ""
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
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_told(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_deep(value: Mapping[str, Any]) -> bool:
    return any(isinstance(item, list | dict) and item for item in value.values())
