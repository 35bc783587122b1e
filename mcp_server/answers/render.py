"""PURE: an operation's answer for a model: short Markdown, and the same values as structured content."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from mcp.types import CallToolResult, TextContent

from connector.operations.get_interview_analysis import AnalysisInput, cursor_after
from connector.service.execution.operation import AnyOperation, Input, ListInput, Output
from mcp_server.answers.markdown import lines
from mcp_server.answers.next_steps import next_step
from mcp_server.answers.quotes import words
from mcp_server.answers.views import analysed, shown

CONCISE: Final = 7_500
"""Characters of a page whose length the model did not choose: under 2,000 tokens, at four characters each."""
LARGEST: Final = 76_000
"""Characters of any answer: under 20,000 tokens."""

_MORE: Final = "What the respondent said: response_format detailed, and include_transcript for all of it."


def result(op: AnyOperation, payload: Input, output: Output, *, replayed: bool = False) -> CallToolResult:
    """Return what a model is shown."""
    text, values = rendered(op, payload, output, replayed=replayed)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=values)


def rendered(
    op: AnyOperation, payload: Input, output: Output, *, replayed: bool = False
) -> tuple[str, dict[str, Any]]:
    """Return the Markdown and the structured content; the words of an interview stand fenced in both."""
    whole = output.model_dump(mode="json")
    values = shown(op.name, whole, paged=is_list(op))
    said: list[str] = []
    if isinstance(payload, AnalysisInput):
        values = analysed(values, detailed=payload.response_format == "detailed")
        said = _spoken(payload, whole, values)
    told = [
        f"{op.title}:",
        *(
            ["This is the answer of an earlier call with this key; nothing was done again."]
            if replayed
            else []
        ),
        *lines({name: value for name, value in values.items() if name != "words"}),
        *said,
        *([f"Next: {step}"] if (step := next_step(op.name, payload, values)) else []),
    ]
    return "\n".join(told), values


def _spoken(given: AnalysisInput, whole: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Add an interview's words to the values; return them as parts of the text."""
    detailed = given.response_format == "detailed"
    found = words(whole, detailed=detailed, boundary=secrets.token_hex(8))
    values["words"] = found.text
    if not detailed:
        return [*([found.text] if found.text else []), _MORE]
    if found.messages < len(whole["transcript"]):
        values["next_cursor"] = cursor_after(given, found.messages)
    return [
        *([found.text] if found.text else []),
        *([f"Next page of the transcript: cursor {values['next_cursor']}"] if values["next_cursor"] else []),
    ]


def size(answer: CallToolResult) -> int:
    """Return how many characters an answer has: its text, and its structured content as compact JSON."""
    texts = sum(len(one.text) for one in answer.content if isinstance(one, TextContent))
    compact = json.dumps(answer.structured_content, separators=(",", ":"), ensure_ascii=False)
    return texts + len(compact)


def is_list(op: AnyOperation) -> bool:
    """Tell whether an operation answers in pages."""
    return issubclass(op.input, ListInput)
