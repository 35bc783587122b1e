"""What an answer says by now: read again what it began."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from connector.operations.base import AnyOperation, Output
from connector.ports import Context


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
