"""Tell what an answer says by now: read again what it began, or follow it to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter

from connector.context import Context
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.execution.polling import poll

_FIRST, _LONGEST = 0.05, 1.0


async def present(
    ctx: Context, op: AnyOperation, connection: str, output: Output, by_name: Mapping[str, AnyOperation]
) -> Output:
    """Return an unfinished answer of `op` as it stands now, in its own shape; a finished one as it is."""
    question = output.follow_up()
    if question is None:
        return output
    name, arguments = question
    reader = by_name[name]
    asked = reader.input.model_validate({"connection": connection, **arguments})
    now: Output = await reader.run(ctx, asked)
    shape: TypeAdapter[Output] = TypeAdapter(op.output)
    return shape.validate_python(output.brought_up_to_date(now))


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
    """Return an answer as it ended, or as it stands after `seconds` (without them: at its end).

    `tell` is shown every state on the way. What goes on only when a person does something counts as ended.
    Raises the error in which it ended, and what `tell` raises.
    """

    async def read(before: Output) -> Output:
        return await present(ctx, op, connection, before, by_name)

    async for state in poll(ctx, seconds, output, read, first=_FIRST, longest=_LONGEST):
        output = state
        if output.follow_up() is None or output.stands_still():
            break
        await tell(output)
    await output.raise_failure(ctx)
    return output


def status_url(operation: str, arguments: Mapping[str, Any], public_url: str) -> str:
    """Return the address whose `GET` calls a READ operation with these arguments."""
    given = dict(arguments)
    if given.get("connection") == Input.model_fields["connection"].default:
        del given["connection"]
    query = urlencode({key: _text(value) for key, value in given.items() if value is not None}, doseq=True)
    return f"{public_url.rstrip('/')}/actions/{operation}" + (f"?{query}" if query else "")


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
