"""PURE: an operation's answer for a model: short Markdown, and the same values as structured content."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from mcp.types import CallToolResult, TextContent

from connector.operations.base import AnyOperation, Input, Output
from mcp_server.interviews import words
from mcp_server.markdown import lines
from mcp_server.next_steps import next_step
from mcp_server.tools import is_list
from mcp_server.views import shown

LARGEST: Final = 76_000
"""Characters of an answer: under 20,000 tokens, at four characters each."""


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
    if op.name == "get_interview_analysis":
        fenced = words(whole, detailed=_is_detailed(payload), boundary=secrets.token_hex(8))
        values["words"] = fenced
        said = [fenced] if fenced else []
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


def is_too_long(answer: CallToolResult) -> bool:
    """Tell whether an answer is more than a model should be given at once."""
    return size(answer) > LARGEST


def size(answer: CallToolResult) -> int:
    """Return how many characters an answer has: its text, and its structured content as compact JSON."""
    texts = sum(len(one.text) for one in answer.content if isinstance(one, TextContent))
    compact = json.dumps(answer.structured_content, separators=(",", ":"), ensure_ascii=False)
    return texts + len(compact)


def _is_detailed(payload: Input) -> bool:
    told: Mapping[str, Any] = payload.model_dump(include={"response_format"})
    return told.get("response_format") == "detailed"
