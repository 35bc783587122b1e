"""Ask the person before an operation sends, spends or removes."""

from __future__ import annotations

from typing import Any

from connector.cli.terminal import can_ask, clean, say
from connector.service.execution.operation import AnyOperation, Effect, Input
from connector.text.redaction import cut
from connector.text.values import people_of

_NOT_SHOWN = frozenset({"idempotency_key", "wait_seconds"})
_LONGEST = 60
_WARNING = {
    Effect.SEND: "This changes something at Koji or Amplitude.",
    Effect.ERASE: "This removes data for good.",
}


def is_confirmed(op: AnyOperation, payload: Input, *, yes: bool) -> bool:
    """Tell whether to continue; on a terminal, ask the person before an operation sends or erases."""
    warning = _WARNING.get(op.effect)
    if warning is None or yes or getattr(payload, "dry_run", False) or not can_ask():
        return True
    say(f"{op.title}: {op.summary.partition('. ')[0].rstrip('.')}.")
    for name, value in payload:
        if name not in _NOT_SHOWN and (name == "connection" or value not in (None, [], {}, False)):
            say(f"  {name}: {_short(name, value)}")
    try:
        answer = input(clean(f"{warning} Go on? [y/N] "))
    except EOFError:
        answer = ""
    return answer.strip().lower() in {"y", "yes"}


def _short(name: str, value: Any) -> str:
    if name == "csv":
        return f"{max(0, len(value.strip().splitlines()) - 1)} rows"
    if name == "members":
        return people_of(len(value))
    if isinstance(value, list):
        few = ", ".join(map(str, value[:3]))
        return f"{few} and {len(value) - 3} more" if len(value) > 3 else few
    if isinstance(value, dict):
        return ", ".join(value)
    return cut(" ".join(str(value).split()), _LONGEST)
