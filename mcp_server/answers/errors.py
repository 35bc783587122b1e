"""PURE: write errors for models: what failed, which argument, and which tool helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.types import CallToolResult, TextContent

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    Forbidden,
    InvalidInput,
    LedgerUnavailable,
    NotConfigured,
    OutcomeUnknown,
    UpstreamUnavailable,
)
from connector.text.redaction import safe
from mcp_server.answers.untrusted import one_line

_LONGEST = 600
_MOST = 10

_BY_CODE: Final[Mapping[str, str]] = {
    "unknown_connection": "list_connections shows the names.",
    "other_connection": "list_connections shows the names.",
    "cohort_not_found": "list_cohorts shows the ids.",
    "cohort_too_large": "Take a smaller cohort from list_cohorts, or give max_interviews.",
    "plan_gone": "plan_cohort_launch makes a new plan.",
    "plan_expired": "plan_cohort_launch makes a new plan.",
    "plan_invalid": "plan_cohort_launch makes a new plan.",
    "launch_cancelled": "plan_cohort_launch makes a new plan.",
    "not_found_in_koji": "list_syncs shows interviews that are known here.",
    "missing_scope": "",  # the message says it
    "idempotency_running": "Call again with the same idempotency_key in a few seconds.",
}
_BY_KIND: Final[Mapping[type[ConnectorError], str]] = {
    NotConfigured: "check_connection shows what is set; a person has to set it.",
    CredentialsRejected: "check_connection tells which key; a person has to replace it.",
    OutcomeUnknown: "Look first: get_sync or get_launch. Repeating it may do it twice.",
    UpstreamUnavailable: "Call again later.",
    LedgerUnavailable: "Call again later.",
    Forbidden: "list_connections shows what this token may use.",
    InvalidInput: "Correct the argument and call again; nothing was done.",
}
_IDS = ("interview_id", "launch_id", "run_id")
_LISTS: Final[Mapping[str, str]] = {
    "launch_id": "list_launches shows the ids.",
    "interview_id": "list_syncs shows interviews that are known here.",
}


def refusal(error: ConnectorError) -> CallToolResult:
    """Return an error of ours as a tool's result."""
    message = safe(one_line(error.message), limit=_LONGEST)
    values: dict[str, Any] = {"code": error.reason, "message": message}
    lines = [f"Error {error.reason}: {message}"]
    if error.errors:
        values["errors"] = [
            {"argument": wrong.pointer.strip("/").replace("/", "."), "detail": safe(one_line(wrong.detail))}
            for wrong in error.errors[:_MOST]
        ]
    ids = {name: error.result[name] for name in _IDS if error.result.get(name)} if error.result else {}
    lines += [f"{name}: {value}" for name, value in ids.items()]
    if error.retry_after is not None:
        values["retry_after"] = error.retry_after
        lines.append(f"Retry after {error.retry_after} seconds.")
    if next_step := _next(error):
        values["next"] = next_step
        lines.append(next_step)
    return _failed("\n".join(lines), values | ids)


def fault(reference: str) -> CallToolResult:
    """Return a fault of ours as a tool's result: it names the entry in the log, and nothing of the fault."""
    message = f"Something failed here; the log has it under {reference}."
    return _failed(f"Error internal_error: {message}", {"code": "internal_error", "message": message})


def _failed(text: str, values: dict[str, Any]) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], structured_content=values, is_error=True)


def _next(error: ConnectorError) -> str:
    if error.reason in _BY_CODE:
        return _BY_CODE[error.reason]
    if error.reason == "not_found":
        return _LISTS.get(error.message.partition(":")[0], "")
    return next((step for kind, step in _BY_KIND.items() if isinstance(error, kind)), "")
