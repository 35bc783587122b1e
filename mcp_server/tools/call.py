"""One call of a tool: check the arguments, execute the operation once, render the answer for a model."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar

import structlog
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolRequestParams, CallToolResult, InputRequiredResult

from connector.apart import apart
from connector.context import Context
from connector.errors import ConnectorError, LedgerUnavailable, NotFound
from connector.log import fault
from connector.security.caller import Caller
from connector.service.execution.execute import Executed, admit, execute
from connector.service.execution.follow_up import follow
from connector.service.execution.operation import AnyOperation, Effect, Input, ListInput, Output, WaitInput
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput
from connector.text.values import counted, people_of
from mcp_server.answers import errors, render
from mcp_server.host import Host, Request
from mcp_server.tools import catalogue
from mcp_server.tools.consent import Consent, ConsentPending, guarded, keyed

log = structlog.get_logger(__name__)
T = TypeVar("T")
PAGES = 10
"""Pages of a list that are looked through."""


class Calling:
    """Calls operations for models."""

    def __init__(self, host: Host, operations: Sequence[AnyOperation]) -> None:
        self.by_name: Mapping[str, AnyOperation] = {op.name: op for op in operations}
        self._host = host
        self._undisturbed = _Undisturbed()

    async def call(
        self, request: Request, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """Answer a call of an operation."""
        return await answered(params.name, self._answer(request, params))

    async def read(
        self, request: Request, name: str, arguments: Mapping[str, object], caller: Caller | None = None
    ) -> Output:
        """Return what a READ operation answers to a caller, else that of the request.

        Raises `ConnectorError`.
        """
        op = self.by_name[name]
        caller = caller or self._host.caller(request)
        return await self._read(await self._context(), op, catalogue.payload(op, arguments), caller)

    async def rows(
        self, request: Request, name: str, arguments: Mapping[str, object], caller: Caller | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the rows of the first pages of a list, as `read`."""
        arguments = {"limit": catalogue.LARGEST_PAGE, **arguments}
        for _ in range(PAGES):
            page = (await self.read(request, name, arguments, caller)).model_dump(mode="json")
            for row in page["items"]:
                yield row
            if not page["has_more"]:
                return
            arguments["cursor"] = page["next_cursor"]

    async def close(self) -> None:
        """Wait for calls whose client has hung up."""
        await self._undisturbed.close()

    async def _answer(self, request: Request, params: CallToolRequestParams) -> CallToolResult:
        caller = self._host.caller(request)
        op = self._find(params.name, caller)
        ctx = replace(await self._context(), caller=caller)
        await admit(ctx, op)
        arguments = params.arguments or {}
        size = getattr(getattr(request.request, "state", None), "size", 0)
        connections = ctx.settings.connections
        payload = await apart(caller.name, size, catalogue.condensed, op, arguments, connections)
        if op.effect is Effect.READ:
            room = render.LARGEST if "limit" in arguments else render.CONCISE
            return await self._read_in_room(ctx, op, payload, caller, room)
        seconds = 0.0
        immediate = payload
        if isinstance(payload, WaitInput):
            # called without waiting; `follow` waits, tells the progress, and can be cut short
            seconds = float(payload.wait_seconds)
            immediate = payload.model_copy(update={"wait_seconds": 0})

        async def work(hung_up: asyncio.Event) -> Executed:
            consent = Consent(request, params, hung_up)
            approved, once = guarded(op, consent), keyed(op, immediate, consent)
            return await execute(ctx, approved, once, caller=caller, by_name=self.by_name)

        done = await self._undisturbed.run(work)
        output = await follow(
            ctx,
            op,
            payload.connection,
            done.output,
            self.by_name,
            seconds=seconds,
            tell=_progress(request),
        )
        return render.result(op, payload, output, replayed=done.replayed)

    async def _read(self, ctx: Context, op: AnyOperation, payload: Input, caller: Caller) -> Output:
        return (await execute(ctx, op, payload, caller=caller, by_name=self.by_name)).output

    async def _read_in_room(
        self, ctx: Context, op: AnyOperation, payload: Input, caller: Caller, room: int
    ) -> CallToolResult:
        """Return the answer; a page too long for a model is read again, shorter, so that no row is lost."""
        while True:
            answer = render.result(op, payload, await self._read(ctx, op, payload, caller))
            if not isinstance(payload, ListInput) or payload.limit == 1 or render.size(answer) <= room:
                return answer
            payload = payload.model_copy(update={"limit": payload.limit // 2})

    async def _context(self) -> Context:
        ctx = await self._host.context()
        if ctx.stopping.is_set():
            raise LedgerUnavailable("The server is stopping; call again.", code="stopping")
        return ctx

    def _find(self, name: str, caller: Caller) -> AnyOperation:
        if name in self.by_name:
            return self.by_name[name]
        visible = [op.name for op in catalogue.visible(self.by_name.values(), caller)]
        close = get_close_matches(name.replace("-", "_"), visible, n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else f"There are: {', '.join(visible)}."
        raise NotFound(f"There is no tool of that name. {hint}", code="unknown_tool")


async def answered(name: str, work: Awaitable[T]) -> T | CallToolResult | InputRequiredResult:
    """Return a tool's answer; an error is an answer too, because a model can act on it."""
    try:
        return await work
    except ConsentPending as pending:
        return pending.answer
    except ConnectorError as error:
        return errors.refusal(error)
    except MCPError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where a fault can become an answer
        reference = secrets.token_hex(8)
        # not its message: that may quote a respondent
        log.error("tool_failed", tool=name, reference=reference, **fault(error))  # noqa: TRY400
        return errors.fault(reference)


class _Undisturbed:
    """Work that continues after its client hangs up, so that nothing durable is left half done."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], asyncio.Event] = {}

    async def run(self, work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
        """Return the work's result. If the caller is cancelled, the work continues and the event is set."""
        hung_up = asyncio.Event()
        task = asyncio.create_task(work(hung_up))
        self._tasks[task] = hung_up
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            hung_up.set()
            raise

    async def close(self) -> None:
        """Wait for all work; a person who is being asked cannot answer any more."""
        for hung_up in self._tasks.values():
            hung_up.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it


def _progress(request: Request) -> Callable[[Output], Awaitable[None]]:
    """Return a function that notifies the client when more is done; the protocol wants growing numbers."""
    reported = -1

    async def tell(output: Output) -> None:
        nonlocal reported
        done, total, message = _how_far(output)
        if done > reported:
            reported = done
            await request.session.report_progress(done, total, message)

    return tell


def _how_far(output: Output) -> tuple[int, int | None, str]:
    match output:
        case LaunchOutput(status="planning"):
            return 0, None, f"Planning: {people_of(output.members_total)} looked at."
        case LaunchOutput():
            done = output.to_invite - output.waiting
            return done, output.to_invite, f"{done} of {people_of(output.to_invite)}: {output.status}."
        case RunOutput():
            done = output.total - output.pending
            return done, output.total, f"{done} of {counted(output.total, 'interview', 'interviews')}."
        case _:
            return 0, None, "Waiting for the end."
