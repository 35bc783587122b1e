"""The demo's second answer: one receipt in full, that of an interview which went through the outage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.demo.style import columns, heading, put
from connector.settings.model import Connection

_MEANINGS: Final = {
    "unknown": "taken or not? goes again with the same insert_id",
    "unavailable": "surely not taken; tried again later",
    "accepted": "in Amplitude",
}


def most_eventful(receipts: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the synced receipt with the most to tell: an unknown outcome first, then the most attempts."""
    synced = [one for one in receipts if one["status"] == "synced"]
    return max(synced, key=_eventfulness, default=None)


def show_receipt(console: Console, receipt: Mapping[str, Any]) -> None:
    """Print what came in, what was decided, what was sent and what Amplitude answered."""
    heading(console, "One receipt in full", "koji-amplitude get-sync; times in UTC")
    table = columns(count=2)
    for label, rows in (
        ("came in", _received(receipt)),
        ("decision", [Text(_decision(receipt))]),
        ("request", _request(receipt)),
        ("attempts", _attempts(receipt)),
    ):
        for index, row in enumerate(rows):
            table.add_row("", Text(label if index == 0 else "", "cyan"), row)
    put(console, table)


def _eventfulness(receipt: Mapping[str, Any]) -> tuple[bool, int]:
    attempts = receipt["attempts"]
    return any(one["outcome"] == "unknown" for one in attempts), len(attempts)


def _received(receipt: Mapping[str, Any]) -> list[Text]:
    return [
        Text.assemble(
            (f"{_clock(one['received_at'])}  ", "dim"),
            f"{one['event']}",
            (f"  signature in {one['signature_header']}, {one['signature_scheme']}", "dim"),
        )
        for one in receipt["received"]
    ]


def _decision(receipt: Mapping[str, Any]) -> str:
    gate = Connection().connector_min_quality
    return (
        f"sync: the respondent is known ({receipt['user_id']}), "
        f"quality {receipt['quality_score']:g} reaches {gate:g}"
    )


def _request(receipt: Mapping[str, Any]) -> list[RenderableType]:
    rows: list[RenderableType] = []
    for event in receipt["request"]["events"]:
        rows.append(
            Text.assemble((event["event_type"], "bold"), (f"  insert_id {event['insert_id']}", "dim"))
        )
        properties = {**event.get("user_properties", {}), **event.get("event_properties", {})}
        sent = {**properties.pop("$set", {}), **properties}
        rows.append(Padding(_pairs(sent), (0, 0, 0, 2)))
    return rows


def _pairs(values: Mapping[str, Any]) -> Text:
    text = Text("")
    for name, value in values.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        text.append(f"{name} ", "dim")
        text.append(f"{shown}; " if name != list(values)[-1] else shown)
    return text


def _attempts(receipt: Mapping[str, Any]) -> list[Table]:
    rows = []
    for one in receipt["attempts"]:
        row = Table.grid(padding=(0, 2, 0, 0))
        style = "green" if one["outcome"] == "accepted" else "yellow"
        row.add_row(
            Text(_clock(one["at"]), "dim"),
            Text(f"{one['status'] or '---'} {one['outcome']:<11}", style),
            Text(_MEANINGS.get(one["outcome"], one["words"] or ""), "dim"),
        )
        rows.append(row)
    return rows


def _clock(timestamp: str) -> str:
    return timestamp[11:19]
