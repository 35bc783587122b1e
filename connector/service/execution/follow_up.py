"""What an answer says by now: read again what it began."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from connector.context import Context
from connector.errors import ConnectorError
from connector.service.execution.operation import AnyOperation, Output
from connector.service.views.launch import LaunchOutput, failure_of


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


async def failure(ctx: Context, output: Output) -> ConnectorError | None:
    """Return the error in which what was begun ended, None when it did not end in one."""
    if isinstance(output, LaunchOutput) and output.status == "cancelled":
        launch = await ctx.ledger.launches.find(output.launch_id)
        return None if launch is None else failure_of(launch, output)
    return output.failure()
