"""The demo's beginning: the plan that is looked at before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from connector.demo.servers import CALLS_A_MINUTE
from connector.demo.style import (
    columns,
    heading,
    indented,
    put,
)


def show_plan(console: Console, plan: Mapping[str, Any]) -> None:
    """Print whom a launch would invite, whom not, and what it costs."""
    heading(console, "The plan", "koji-amplitude plan-cohort-launch; nothing is sent yet")
    table = columns(count=2)
    skipped = ", ".join(f"{n} {reason}" for reason, n in plan["skipped"].items()) or "nobody"
    for name, value in (
        ("cohort", f"{plan['cohort_name']} ({plan['members_total']} people in Amplitude)"),
        ("to invite", f"{plan['to_invite']} people, one interview and one link each"),
        ("skipped", skipped),
        ("credits", f"at most {plan['credits_estimate']}"),
    ):
        table.add_row("", Text(name, "cyan"), value)
    put(console, table)
    heading(console, "The launch", "koji-amplitude launch-cohort-interviews")
    words = f"Koji takes {CALLS_A_MINUTE} calls a minute here; at its usual 60 the launch takes a minute."
    put(console, indented(words, "dim"))
