"""Ask the person before an operation sends, spends or removes."""

from __future__ import annotations

from typing import Any

from connector.cli.terminal import can_ask, say
from connector.errors import InvalidInput
from connector.service.execution.operation import AnyOperation, Effect, Input
from connector.text.cells import clean
from connector.text.redaction import cut
from connector.text.values import people_of

_NOT_SHOWN = frozenset({"idempotency_key", "wait_seconds"})
_LONGEST = 60
_WARNING = {
    Effect.SEND: "This changes something at Koji or Amplitude.",
    Effect.ERASE: "This removes data for good.",
}


def must_ask(op: AnyOperation, payload: Input, *, yes: bool) -> bool:
    """Tell whether a person must agree first. Raises `InvalidInput` when there is no terminal to ask on."""
    if op.effect not in _WARNING or yes or getattr(payload, "dry_run", False):
        return False
    if not can_ask():
        raise InvalidInput(
            f"{_WARNING[op.effect]} Without a terminal no person can be asked: add --yes to agree."
        )
    return True


def confirmed(op: AnyOperation, payload: Input) -> Input | None:
    """Show an operation's input and ask the person; return the input, or None without a yes."""
    say(f"{op.title}: {op.summary.partition('. ')[0].rstrip('.')}.")
    for name, value in payload:
        if name not in _NOT_SHOWN and (name == "connection" or value not in (None, [], {}, False)):
            say(f"  {name}: {_short(name, value)}")
    return payload if is_agreed(f"{_WARNING[op.effect]} Go on?") else None


def is_agreed(question: str) -> bool:
    """Ask; only a yes is one."""
    try:
        answer = input(clean(f"{question} [y/N] "))
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
