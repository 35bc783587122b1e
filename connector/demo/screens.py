"""Print the demo around the launch: the plan, the outcomes and their proof, a receipt, the payoff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from connector.demo.proof import Evidence
from connector.demo.scenario import MIN_QUALITY
from connector.demo.servers import CALLS_A_MINUTE
from connector.demo.style import bar, columns, glyphs, heading, indented, print_to

Answer = Mapping[str, Any]
_STYLES: Final = {"synced": "green", "skipped": "yellow", "failed": "red"}
_MEANINGS: Final = {
    "unknown": "taken or not? goes again with the same insert_id",
    "unavailable": "surely not taken; tried again later",
    "accepted": "in Amplitude",
}
_BAR: Final = 40
_ENOUGH: Final = 10  # people; a share of fewer says little


def show_plan(console: Console, plan: Answer) -> None:
    """Print how many people a launch would invite, how many not, and what it costs."""
    heading(console, "The plan", "koji-amplitude plan-cohort-launch; nothing is sent yet")
    _rows(
        console,
        {
            "cohort": [f"{plan['cohort_name']} ({plan['members_total']} people in Amplitude)"],
            "to invite": [f"{plan['to_invite']} people, one interview and one link each"],
            "skipped": [", ".join(f"{n} {reason}" for reason, n in plan["skipped"].items()) or "0 people"],
            "credits": [f"at most {plan['credits_estimate']}"],
        },
    )
    heading(console, "The launch", "koji-amplitude launch-cohort-interviews")
    text = f"Koji takes {CALLS_A_MINUTE} calls a minute here; at its usual 60 the launch takes a minute."
    print_to(console, indented(text, "dim"))


def _rows(console: Console, groups: Mapping[str, Sequence[RenderableType]]) -> None:
    """Print a table with a label at the first row of each group."""
    table = columns(count=2)
    for label, rows in groups.items():
        for index, row in enumerate(rows):
            table.add_row("", Text("" if index else label, "cyan"), row)
    print_to(console, table)


def show_outcomes(console: Console, evidence: Evidence) -> None:
    """Print how many interviews were synced, skipped and failed, and why."""
    heading(console, "What became of the interviews", "koji-amplitude list-syncs")
    receipts = evidence.receipts.values()
    examples = {(receipt["status"], receipt["reason"]): receipt for receipt in receipts}
    groups = Counter((receipt["status"], receipt["reason"]) for receipt in receipts)
    table = columns(count=4, right=(0,))
    for (status, reason), count in groups.most_common():
        why = Text(_why(examples[status, reason]), "dim")
        table.add_row("", str(count), Text(status, _STYLES.get(status, "")), reason or "", why)
    print_to(console, table)


def show_proof(console: Console, evidence: Evidence, mismatches: Sequence[str]) -> None:
    """Print the counts that both sides agree on, or else all mismatches."""
    signs = glyphs(console)
    print_to(console, "", *(indented(f"{signs.bad} {mismatch}", "bold red") for mismatch in mismatches))
    if mismatches:
        return
    acknowledged, repeats = len(evidence.acknowledged), evidence.repeats
    resent = f" ({evidence.repeats_dropped} events were sent twice)" if evidence.repeats_dropped else ""
    people = len(evidence.interviews)
    for text in (
        f"{people} people started, each once; a second launch of the cohort invites none",
        f"{acknowledged} webhooks acknowledged (incl. {repeats} duplicates), 0 lost",
        f"{len(evidence.events)} interviews in Amplitude, each counted exactly once{resent}",
    ):
        print_to(console, indented(Text.assemble((f"{signs.good} ", "bold green"), text)))


def _why(receipt: Answer) -> str:
    match receipt["reason"]:
        case None:
            return "their user properties and one event are in Amplitude"
        case "anonymous":
            return "Koji names no person; nothing is written"
        case "below_quality_gate":
            return f"quality below {MIN_QUALITY:g}"
        case _:
            messages = [attempt["words"] for attempt in receipt["attempts"] if attempt["words"]]
            return f'Amplitude: "{messages[-1]}"' if messages else ""


def show_receipt(console: Console, evidence: Evidence) -> None:
    """Print the most eventful receipt that is synced: an unknown outcome first, then the most attempts."""
    synced = [receipt for receipt in evidence.receipts.values() if receipt["status"] == "synced"]
    receipt = max(synced, key=_eventfulness, default=None)
    if receipt is None:
        return
    heading(console, "One receipt in full", "koji-amplitude get-sync; times in UTC")
    decision = (
        f"sync: the respondent is known ({receipt['user_id']}), "
        f"quality {receipt['quality_score']:g} reaches {MIN_QUALITY:g}"
    )
    _rows(
        console,
        {
            "came in": [_received(webhook) for webhook in receipt["received"]],
            "decision": [decision],
            "request": [row for event in receipt["request"]["events"] for row in _event(event)],
            "attempts": [_attempt(attempt) for attempt in receipt["attempts"]],
        },
    )


def _eventfulness(receipt: Answer) -> tuple[bool, int]:
    attempts = receipt["attempts"]
    return any(attempt["outcome"] == "unknown" for attempt in attempts), len(attempts)


def _received(webhook: Answer) -> Text:
    return Text.assemble(
        (f"{_clock(webhook['received_at'])}  ", "dim"),
        webhook["event"],
        (f"  signature in {webhook['signature_header']}, {webhook['signature_scheme']}", "dim"),
    )


def _event(event: Answer) -> tuple[RenderableType, RenderableType]:
    title = Text.assemble((event["event_type"], "bold"), (f"  insert_id {event['insert_id']}", "dim"))
    properties = {**event.get("user_properties", {}), **event.get("event_properties", {})}
    text = Text()
    for name, value in {**properties.pop("$set", {}), **properties}.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        text.append("; " if text else "").append(f"{name} ", "dim").append(shown)
    return title, Padding(text, (0, 0, 0, 2))


def _attempt(attempt: Answer) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0))
    outcome = attempt["outcome"]
    row.add_row(
        Text(_clock(attempt["at"]), "dim"),
        Text(f"{attempt['status'] or '---'} {outcome:<11}", "green" if outcome == "accepted" else "yellow"),
        Text(_MEANINGS.get(outcome, attempt["words"] or ""), "dim"),
    )
    return row


def _clock(timestamp: str) -> str:
    return timestamp[11:19]


def show_payoff(console: Console, payoff: Answer) -> None:
    """Print the share of people who reached the step, by theme and by sentiment, and a conclusion."""
    heading(console, f"What Amplitude can tell now: who reached {payoff['step']} after the interview")
    signs = glyphs(console)
    table = columns(count=4, right=(2, 3))
    for title, rows in (("theme", payoff["by_theme"]), ("sentiment", payoff["by_sentiment"])):
        table.add_row("", Text(f"by {title}", "cyan"))
        for row in rows:
            people, reached = row["people"], row["reached_step"]
            share = Text(f"{row['share']:.0%}", "bold")
            table.add_row("", row[title], bar(signs, _BAR, people, reached), share, f"{reached} of {people}")
    print_to(console, table, indented(_conclusion(payoff), "bold"))


def _conclusion(payoff: Answer) -> str:
    """Return the table in one sentence: the share of all, and the themes at both ends."""
    sentence = f"Of {payoff['people']} people {payoff['share']:.0%} went on"
    enough = [row for row in payoff["by_theme"] if row["people"] >= _ENOUGH]
    rows = sorted(enough, key=lambda row: row["share"])
    if not rows or rows[0]["share"] == rows[-1]["share"]:
        return f"{sentence}."
    low, high = rows[0], rows[-1]
    return (
        f"{sentence}; {low['share']:.0%} where {low['theme']} came up, "
        f"{high['share']:.0%} where {high['theme']} did."
    )
