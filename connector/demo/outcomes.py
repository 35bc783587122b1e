"""The demo's first answer: what became of the interviews, and the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from connector.demo.proof import Evidence
from connector.demo.style import (
    columns,
    glyphs,
    heading,
    indented,
    put,
)
from connector.settings.model import Connection

_STYLES: Final = {"synced": "green", "skipped": "yellow", "failed": "red"}


def show_outcomes(console: Console, evidence: Evidence) -> None:
    """Print how many interviews were synced, skipped and failed, and why."""
    heading(console, "What became of the interviews", "koji-amplitude list-syncs")
    receipts = list(evidence.receipts.values())
    groups = Counter((one["status"], one["reason"]) for one in receipts)
    table = columns(count=4, right=(0,))
    for (status, reason), count in sorted(groups.items(), key=lambda group: -group[1]):
        example = next(one for one in receipts if (one["status"], one["reason"]) == (status, reason))
        why = Text(_why(example), "dim")
        table.add_row("", str(count), Text(status, _STYLES.get(status, "")), reason or "", why)
    put(console, table)


def show_proof(console: Console, evidence: Evidence, mismatches: Sequence[str]) -> None:
    """Print what was counted on both sides, and whatever does not agree."""
    signs = glyphs(console)
    put(console, "")
    for words in mismatches:
        put(console, indented(f"{signs.bad} {words}", "bold red"))
    if mismatches:
        return
    repeated = (
        f"{len(evidence.acknowledged)} webhooks acknowledged (incl. {evidence.repeats} duplicates), 0 lost"
    )
    once = f"{len(evidence.events)} interviews in Amplitude, each counted exactly once"
    if evidence.resent:
        once += f" ({evidence.resent} events were sent twice)"
    people = len(evidence.interviews)
    asked = f"{people} people started, nobody twice; a second launch of the cohort invites nobody"
    for words in (asked, repeated, once):
        put(console, indented(Text.assemble((f"{signs.good} ", "bold green"), words)))


def _why(receipt: Mapping[str, Any]) -> str:
    match receipt["reason"]:
        case None:
            return "their user properties and one event are in Amplitude"
        case "anonymous":
            return "Koji names nobody, so nothing is written"
        case "below_quality_gate":
            return f"quality below {Connection().connector_min_quality:g}"
        case _:
            said = [attempt["words"] for attempt in receipt["attempts"] if attempt["words"]]
            return f'Amplitude: "{said[-1]}"' if said else ""
