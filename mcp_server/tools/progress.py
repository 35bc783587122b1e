"""Tell a client how far a call that waits has come."""

from __future__ import annotations

from connector.service.execution.operation import Output
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput
from mcp_server.host import Request


class Progress:
    """Sends a notification whenever more is done; the protocol wants numbers that only grow."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._told = -1

    async def tell(self, output: Output) -> None:
        """Notify the client when more of what is followed is done."""
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
