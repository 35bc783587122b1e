"""What a call that waits tells meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from connector.context import Context
from connector.service.execution.follow_up import failure, present
from connector.service.execution.operation import AnyOperation, Input, Output
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput
from mcp_server.transports.host import Request

_FIRST, _LONGEST, _GROWTH = 0.05, 1.0, 1.5


async def until_ended(
    ctx: Context,
    op: AnyOperation,
    payload: Input,
    output: Output,
    *,
    seconds: float,
    by_name: Mapping[str, AnyOperation],
    request: Request,
) -> Output:
    """Return the answer as it ended, or as it stands after `seconds`; tell how far it is meanwhile.

    Raises what an operation says of its failure.
    """
    until, rest, steps = ctx.clock.now() + seconds * 1000, _FIRST, _Steps(request)
    while output.follow_up() is not None and not output.stands_still():
        await steps.tell(output)
        if ctx.clock.now() >= until or ctx.stopping.is_set():
            break
        await ctx.clock.sleep(rest)
        rest = min(rest * _GROWTH, _LONGEST)
        output = await present(ctx, op, payload.connection, output, by_name)
    if failed := await failure(ctx, output):
        raise failed
    return output


class _Steps:
    """Sends a notification whenever more is done; the protocol wants numbers that only grow."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._told = -1

    async def tell(self, output: Output) -> None:
        done, total, words = _far(output)
        if done > self._told:
            self._told = done
            await self._request.session.report_progress(done, total, words)


def _far(output: Output) -> tuple[int, int | None, str]:
    match output:
        case LaunchOutput(status="planning"):
            return 0, None, f"Planning: {output.members_total} people looked at."
        case LaunchOutput():
            done = output.to_invite - output.waiting
            return done, output.to_invite, f"{done} of {output.to_invite} people: {output.status}."
        case RunOutput():
            done = output.total - output.pending
            return done, output.total, f"{done} of {output.total} interviews."
        case _:
            return 0, None, "Waiting for the end."
