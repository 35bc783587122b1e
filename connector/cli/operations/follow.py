"""Follow what an operation began until it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.cli.operations.progress import Watcher
from connector.context import Context
from connector.domain.lease import Pause
from connector.domain.results.interview import Stage
from connector.errors import CredentialsRejected
from connector.service.execution.follow_up import follow
from connector.service.execution.operation import AnyOperation, Input, Output

_STANDSTILL = 3_000  # milliseconds without any change while a lane is paused


class Followed:
    """One call of an operation; `output` is its state as last seen."""

    def __init__(
        self,
        ctx: Context,
        op: AnyOperation,
        payload: Input,
        output: Output,
        by_name: Mapping[str, AnyOperation],
    ) -> None:
        self.output = output
        self._ctx = ctx
        self._payload = payload
        self._op = op
        self._by_name = by_name

    async def until_finished(self, watcher: Watcher, seconds: float | None) -> None:
        """Watch until the end, or for `seconds`.

        Raises what the operation says of its failure, and `CredentialsRejected` when nothing moves because a
        key was refused: watching longer cannot help.
        """
        clock = self._ctx.clock
        changed_at = clock.now()

        async def tell(state: Output) -> None:
            nonlocal changed_at
            if state != self.output:
                self.output, changed_at = state, clock.now()
            pause = await self._pause()
            for_key = pause is not None and pause.code != "koji_unreachable"
            if pause is not None and for_key and clock.now() - changed_at > _STANDSTILL:
                raise _standstill(pause, state)
            unread = await self._waiting(Stage.READ)
            why = pause.words if pause else await self._why(unread)
            watcher.show(state, unread, "" if hasattr(state, "message") else why)

        op, connection = self._op, self._payload.connection
        self.output = await follow(
            self._ctx, op, connection, self.output, self._by_name, seconds=seconds, tell=tell
        )

    async def _pause(self) -> Pause | None:
        connection = self._ctx.connection(self._payload.connection)
        lanes = (connection.koji_lane, connection.amplitude_lane)
        return next((pause for pause in await self._ctx.ledger.leases.pauses() if pause.lane in lanes), None)

    async def _waiting(self, stage: Stage) -> int:
        return await self._ctx.ledger.syncs.waiting(stage, [self._payload.connection])

    async def _why(self, unread: int) -> str:
        limit = self._ctx.connection(self._payload.connection).koji_rate_limit_per_minute
        unsent = await self._waiting(Stage.SEND)
        reading = [f"{unread} to read from Koji, at most {limit} a minute"] if unread else []
        return ", ".join([*reading, *([f"{unsent} to send"] if unsent else [])])


async def forget_pauses(ctx: Context, connection: str) -> None:
    """Let the lanes of a connection try again at once: somebody asks for it, perhaps with a mended key."""
    mine = ctx.connection(connection)
    for lane in (mine.koji_lane, mine.amplitude_lane):
        if lane is not None:
            await ctx.ledger.leases.resume(lane)


def _standstill(pause: Pause, output: Output) -> CredentialsRejected:
    return CredentialsRejected(
        f"{pause.words.rstrip('.')}. What is left goes on once check_connection finds the key good.",
        result=_json(output),
    )


def _json(output: Output) -> dict[str, Any]:
    return output.model_dump(mode="json")
