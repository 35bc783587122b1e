"""Serve over standard input and output, with workers of its own on the same ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog
from mcp.server.context import CallNext, HandlerResult
from mcp.server.stdio import stdio_server

from connector.context import Context
from connector.errors import ConnectorError, NotConfigured, SettingsError
from connector.security.caller import LOCAL_ASSISTANT
from connector.settings.model import Settings
from mcp_server.host import Host, Request
from mcp_server.server import create_server

if TYPE_CHECKING:
    from connector.app import Running

log = structlog.get_logger(__name__)


class LateLedger:
    """The ledger and the workers, opened after the first answer, so that the handshake need not wait."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[Running] | None = None

    def begin(self) -> asyncio.Task[Running]:
        """Begin to open, unless that is done or under way; after a failure begin anew."""
        opening = self._opening
        if opening is None or (opening.done() and opening.exception() is not None):
            opening = self._opening = asyncio.create_task(self._open(), name="open the ledger")
        return opening

    async def context(self) -> Context:
        """Return the context once it is open. Raises `ConnectorError` when it cannot be opened."""
        try:
            return (await asyncio.shield(self.begin())).context
        except SettingsError as error:
            raise NotConfigured(str(error)) from None

    async def close(self) -> None:
        """Stop the workers in good order and close the ledger."""
        if self._opening is not None:
            opened = (await asyncio.gather(self._opening, return_exceptions=True))[0]
            if not isinstance(opened, BaseException):
                opened.context.stopping.set()
        await self._stack.aclose()

    async def _open(self) -> Running:
        # the imports of the ledger and the workers take longer than the handshake
        from connector.app import build  # noqa: PLC0415

        try:
            return await self._stack.enter_async_context(build(self._settings))
        except (ConnectorError, SettingsError) as error:
            log.error("ledger_not_opened", why=str(error))  # noqa: TRY400 - its message is enough
            raise


async def serve(settings: Settings, keys: Sequence[bytes], stopped: asyncio.Event) -> None:
    """Serve until standard input ends, or until `stopped` is set; then end in good order.

    In the second case a thread keeps reading standard input until the process ends.
    """
    ledger = LateLedger(settings)
    server, calling = create_server(Host(ledger.context, lambda _: LOCAL_ASSISTANT), keys)

    async def open_after_first(request: Request, call_next: CallNext) -> HandlerResult:
        answer = await call_next(request)
        ledger.begin()
        return answer

    middleware: Any = open_after_first
    server.middleware.append(middleware)

    async def speak() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    speaking, stopping = asyncio.create_task(speak()), asyncio.create_task(stopped.wait())
    await asyncio.wait({speaking, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await calling.close()
    await ledger.close()
    if speaking.done():
        speaking.result()
