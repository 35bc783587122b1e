"""One call of a tool: the arguments checked, the operation executed once, the answer for a model."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar

import structlog
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolRequestParams, CallToolResult, InputRequiredResult

from connector.context import Context
from connector.errors import ConnectorError, NotFound, StoreUnavailable
from connector.log import fault
from connector.security.caller import Caller
from connector.service.execution.execute import Executed, check_scope, execute
from connector.service.execution.follow_up import follow
from connector.service.execution.operation import AnyOperation, Effect, Input, ListInput, Output, WaitInput
from mcp_server.answers import errors, render
from mcp_server.host import Host, Request
from mcp_server.tools import catalogue
from mcp_server.tools.consent import Consent, ConsentPending, guarded, keyed
from mcp_server.tools.progress import Progress

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Calling:
    """Calls operations for models."""

    def __init__(self, host: Host, operations: Sequence[AnyOperation]) -> None:
        self._host = host
        self._by_name: Mapping[str, AnyOperation] = {op.name: op for op in operations}
        self._undisturbed = _Undisturbed()

    async def call(
        self, request: Request, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """Answer a call; an error is an answer too, because a model can act on it."""
        try:
            return await self._answer(request, params)
        except ConsentPending as asked:
            return asked.answer
        except ConnectorError as error:
            return errors.refusal(error)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001 - the last place where a fault can become an answer
            reference = secrets.token_hex(8)
            # not its message: that may hold what people said
            log.error("tool_failed", tool=params.name, reference=reference, **fault(error))  # noqa: TRY400
            return errors.fault(reference)

    async def read(self, request: Request, name: str, arguments: Mapping[str, object]) -> Output:
        """Return what a READ operation answers to the caller of a request. Raises `ConnectorError`."""
        op = self._by_name[name]
        caller = self._host.caller(request)
        ctx = await self._context()
        done = await execute(ctx, op, catalogue.payload(op, arguments), caller=caller, by_name=self._by_name)
        return done.output

    async def close(self) -> None:
        """Wait for what goes on without its client."""
        await self._undisturbed.close()

    async def _answer(self, request: Request, params: CallToolRequestParams) -> CallToolResult:
        caller = self._host.caller(request)
        op = self._find(params.name, caller)
        check_scope(caller, op)
        payload = catalogue.payload(op, params.arguments or {})
        ctx = await self._context()
        if op.effect is Effect.READ:
            output = (await execute(ctx, op, payload, caller=caller, by_name=self._by_name)).output
            chosen = "limit" in (params.arguments or {})
            room = render.LARGEST if chosen else render.CONCISE
            return await self._in_room(ctx, op, payload, output, caller=caller, room=room)
        done, seconds = await self._execute(ctx, op, payload, caller, request, params)
        output = await follow(
            replace(ctx, caller=caller),
            op,
            payload.connection,
            done.output,
            self._by_name,
            seconds=seconds,
            tell=Progress(request).tell,
        )
        return render.result(op, payload, output, replayed=done.replayed)

    async def _execute(
        self,
        ctx: Context,
        op: AnyOperation,
        payload: Input,
        caller: Caller,
        request: Request,
        params: CallToolRequestParams,
    ) -> tuple[Executed, float]:
        """Begin without waiting, so that the waiting can tell how far it is and be cut short."""
        seconds = 0.0
        if isinstance(payload, WaitInput):
            seconds = float(payload.wait_seconds)
            payload = payload.model_copy(update={"wait_seconds": 0})

        async def work(gone: asyncio.Event) -> Executed:
            consent = Consent(request, params, gone)
            return await execute(
                ctx,
                guarded(op, consent),
                keyed(op, payload, consent),
                caller=caller,
                by_name=self._by_name,
            )

        return await self._undisturbed.run(work), seconds

    async def _in_room(
        self, ctx: Context, op: AnyOperation, payload: Input, output: Output, *, caller: Caller, room: int
    ) -> CallToolResult:
        """Return the answer; a page too long for a model is read again, shorter, so that no row is lost."""
        answer = render.result(op, payload, output)
        while isinstance(payload, ListInput) and payload.limit > 1 and render.size(answer) > room:
            payload = payload.model_copy(update={"limit": payload.limit // 2})
            output = (await execute(ctx, op, payload, caller=caller, by_name=self._by_name)).output
            answer = render.result(op, payload, output)
        return answer

    async def _context(self) -> Context:
        ctx = await self._host.context()
        if ctx.stopping.is_set():
            raise StoreUnavailable("The server is stopping; call again.", code="stopping")
        return ctx

    def _find(self, name: str, caller: Caller) -> AnyOperation:
        if name in self._by_name:
            return self._by_name[name]
        seen = [op.name for op in catalogue.visible(self._by_name.values(), caller)]
        close = get_close_matches(name.replace("-", "_"), seen, n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else f"There are: {', '.join(seen)}."
        raise NotFound(f"There is no tool of that name. {hint}", code="unknown_tool")


class _Undisturbed:
    """Work that goes on when the client hangs up: what is durable is never left half done."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], asyncio.Event] = {}

    async def run(self, work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
        """Return what the work returns; when its caller is cancelled, it goes on and the event is set."""
        gone = asyncio.Event()
        task = asyncio.create_task(work(gone))
        self._tasks[task] = gone
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            gone.set()
            raise

    async def close(self) -> None:
        """Wait for what goes on; a person who is being asked cannot answer any more."""
        for gone in self._tasks.values():
            gone.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it
