"""PURE: render an operation's answer for a model, as short Markdown and as structured content."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urljoin

from mcp.types import CallToolResult, TextContent

from connector.operations.get_interview_analysis import AnalysisInput, cursor_after
from connector.service.execution.operation import AnyOperation, Input, ListInput, Output
from connector.service.views.launch import LaunchOutput
from connector.text.values import counted, people_of
from mcp_server.answers.quotes import quote
from mcp_server.answers.views import analysed, shown

CONCISE: Final = 7_500
"""Characters of a page whose length the model did not choose: under 2,000 tokens, at four characters each."""
LARGEST: Final = 76_000
"""Characters of any answer: under 20,000 tokens."""

_DEFAULT_CONNECTION = Input.model_fields["connection"].default
_REPLAYED: Final = "This is the answer of an earlier call with this key; nothing was done again."
_LINKS: Final = (
    "Started is not contacted: you send these links, unless Koji's own delivery is on. They are in "
    "get_launch, at {}, and as CSV: koji-amplitude get-launch --launch-id {} --output csv."
)
_MORE: Final = "What the respondent said: response_format detailed, and include_transcript for all of it."


def result(op: AnyOperation, payload: Input, output: Output, *, replayed: bool = False) -> CallToolResult:
    """Return what a model is shown."""
    text, values = rendered(op, payload, output, replayed=replayed)
    return CallToolResult(content=[TextContent(text=text)], structured_content=values)


def rendered(
    op: AnyOperation, payload: Input, output: Output, *, replayed: bool = False
) -> tuple[str, dict[str, Any]]:
    """Return the Markdown and the structured content; quotes of an interview stand fenced in both."""
    whole = output.model_dump(mode="json")
    values = shown(op.name, whole, paged=is_list(op))
    quotes: list[str] = []
    if isinstance(output, LaunchOutput) and output.invited and "warnings" in values:
        page = urljoin(output.status_url, f"/console/launches/{output.launch_id}")
        values["warnings"] = [_LINKS.format(page, output.launch_id), *values["warnings"]]
    if isinstance(payload, AnalysisInput):
        values = analysed(values, detailed=payload.response_format == "detailed")
        quotes = _add_quotes(payload, whole, values)
    text = [f"{op.title}:"]
    if replayed:
        text.append(_REPLAYED)
    text += lines({name: value for name, value in values.items() if name != "words"})
    text += quotes
    if step := _next_step(op.name, values):
        where = "" if payload.connection == _DEFAULT_CONNECTION else f" (connection {payload.connection})"
        values["next"] = f"{step}{where}"
        text.append(f"Next: {values['next']}")
    if replayed:
        values["replayed"] = True
    return "\n".join(text), values


def size(answer: CallToolResult) -> int:
    """Return how many characters an answer has: its text, and its structured content as compact JSON."""
    texts = sum(len(part.text) for part in answer.content if isinstance(part, TextContent))
    compact = json.dumps(answer.structured_content, separators=(",", ":"), ensure_ascii=False)
    return texts + len(compact)


def is_list(op: AnyOperation) -> bool:
    """Tell whether an operation answers in pages."""
    return issubclass(op.input, ListInput)


def lines(values: Mapping[str, Any]) -> list[str]:
    """Return a line for each value that is not empty, and one for each row of a list.

    Line breaks inside a text become spaces, so that text from outside never begins a line.
    """
    written: list[str] = []
    for name, value in values.items():
        if _is_empty(value):
            continue
        if isinstance(value, list) and any(isinstance(row, Mapping) for row in value):
            written += [f"- {name}:", *(f"  - {_inline(row)}" for row in value)]
        else:
            written.append(f"- {name}: {_inline(value)}")
    return written


def _add_quotes(payload: AnalysisInput, whole: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Add an interview's quotes to the values; return them as parts of the text."""
    detailed = payload.response_format == "detailed"
    values["words"], messages = quote(whole, detailed=detailed, boundary=secrets.token_hex(8))
    parts = [values["words"]] if values["words"] else []
    if not detailed:
        return [*parts, _MORE]
    if messages < len(whole["transcript"]):
        values["next_cursor"] = cursor_after(payload, messages)
    if cursor := values["next_cursor"]:
        parts.append(f"Next page of the transcript: cursor {cursor}")
    return parts


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return "; ".join(f"{name}: {_inline(one)}" for name, one in value.items() if not _is_empty(one))
        case str():
            return " ".join(value.split())
        case Sequence():
            return ", ".join(_inline(one) for one in value)
        case _:
            return str(value)


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value in ([], {})


def _next_step(tool: str, values: Mapping[str, Any]) -> str | None:  # noqa: PLR0911 - one a case
    """Name the call that usually follows an answer, so that a model need not guess, or None without one."""
    match values:
        case {"plan_token": str(), "to_invite": 0}:
            return (
                "no one would be invited; skipped says why. Plan another cohort, or give reinvite_after_days."
            )
        case {"plan_token": str(token), "to_invite": people, "credits_estimate": credits_}:
            return (
                f"launch_cohort_interviews with plan_token {token} invites {people_of(people)} and can "
                f"spend {counted(credits_, 'credit', 'credits')}. Nothing is spent before."
            )
        case {"status": "paused", "pause_reason": "daily_credits" | "koji_unreachable"}:
            return "it goes on by itself; get_launch shows it."
        case {"status": "paused", "launch_id": str(launch_id)}:
            agreed = values.get("resume_token") or ""
            agreed = agreed and f", and with resume_token {agreed} after the person's yes"
            return f"resume_launch with launch_id {launch_id} once the cause is mended{agreed}."
        case {"status": "planning" | "running" | "pending", "launch_id": str(launch_id)}:
            return f"get_launch with launch_id {launch_id} shows how far it is."
        case {"status": "running", "run_id": str(run_id)}:
            return f"get_run with run_id {run_id} shows how far it is."
        case {"status": "pending", "interview_id": str(interview_id)}:
            return f"get_sync with interview_id {interview_id} shows how it ended."
        case {"analysis_status": "completed", "interview_id": str(interview_id)}:
            return f"sync_interview_to_amplitude with interview_id {interview_id} brings it to Amplitude."
        case {"analysis_status": str() | None, "interview_id": str(interview_id)}:
            return "the analysis is not ready; call again later, or with wait_seconds up to 25."
        case {"status": "synced", "interview_id": str(interview_id)} if tool != "get_sync":
            return f"get_sync with interview_id {interview_id} shows the receipt."
        case {"has_more": True, "next_cursor": str(cursor)}:
            return f"the next page with cursor {cursor}"
        case {"invitations": [{"state": "completed", "interview_id": str(interview_id)}, *_]}:
            return f"get_interview_analysis with interview_id {interview_id} tells what was learnt."
    return None
