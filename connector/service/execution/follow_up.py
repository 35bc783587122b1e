"""Bring an answer up to date: read again what it began, or follow it to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from connector.context import Context
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.execution.polling import poll


async def present(
    ctx: Context, op: AnyOperation, connection: str, output: Output, by_name: Mapping[str, AnyOperation]
) -> Output:
    """Return an unfinished answer of `op` in its present state; return a finished one unchanged."""
    question = output.follow_up()
    if question is None:
        return output
    name, arguments = question
    reader = by_name[name]
    payload = reader.input.model_validate({"connection": connection, **arguments})
    now: Output = await reader.run(ctx, payload)
    updated: Output = op.answer(output.brought_up_to_date(now))
    return updated


async def follow(
    ctx: Context,
    op: AnyOperation,
    connection: str,
    output: Output,
    by_name: Mapping[str, AnyOperation],
    *,
    seconds: float | None,
    tell: Callable[[Output], Awaitable[None]],
) -> Output:
    """Return an answer once it has ended, or its state after `seconds` (None: no limit).

    `tell` gets every state before that. An answer that continues only after a person acts counts as ended.
    Raises the error of a failed answer, and the errors of `tell`.
    """

    async def read(before: Output) -> Output:
        return await present(ctx, op, connection, before, by_name)

    async for state in poll(ctx, seconds, output, read, first=0.05, longest=1.0):
        if state.follow_up() is None or state.stands_still():
            break
        await tell(state)
    await state.raise_failure(ctx)
    return state


def status_url(operation: str, arguments: Mapping[str, Any], public_url: str) -> str:
    """Return the URL whose `GET` calls a READ operation with these arguments."""
    shown = {name: _text(value) for name, value in arguments.items() if value is not None}
    if shown.get("connection") == Input.model_fields["connection"].default:
        del shown["connection"]
    query = urlencode(shown, doseq=True)
    return f"{public_url.rstrip('/')}/actions/{operation}" + (f"?{query}" if query else "")


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
