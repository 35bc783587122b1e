"""Serve over standard input and output, with workers of its own on the same ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import structlog
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from connector.context import Context
from connector.errors import ConnectorError, NotConfigured, SettingsError
from connector.security.caller import LOCAL_ASSISTANT
from connector.settings.model import Settings
from mcp_server.host import Host
from mcp_server.server import create_server
from mcp_server.transports.greeting import Greeting

if TYPE_CHECKING:
    from connector.app import Running

_LAST_ANSWERS = 2.0  # seconds
log = structlog.get_logger(__name__)


class LateLedger:
    """The ledger and the workers, opened beside the first answers, so that the handshake need not wait."""

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


async def serve(
    settings: Settings, keys: Sequence[bytes], greeting: Greeting, stopped: asyncio.Event
) -> None:
    """Serve until standard input ends, or until `stopped` is set; then end in good order.

    In the first case requests that were read before are answered, as far as that takes no longer than
    `_LAST_ANSWERS`. In the second case a thread keeps reading standard input until
    the process ends. `greeting` has read the first lines.
    """
    ledger = LateLedger(settings)
    server, calling = create_server(Host(ledger.context, lambda _: LOCAL_ASSISTANT), keys)

    asked = _Asked()

    async def lines() -> AsyncIterator[str]:
        line = greeting.line
        while line:
            asked.read(line)
            yield line.decode(errors="replace")
            line = await asyncio.to_thread(greeting.incoming.readline)
        await asked.all_answered(_LAST_ANSWERS)

    async def speak() -> None:
        await asyncio.to_thread(greeting.join)
        ledger.begin()
        stdin: Any = lines()
        async with stdio_server(stdin) as (incoming, outgoing):
            unheard = _Unheard(outgoing, greeting.answered, asked)
            await server.run(incoming, unheard, server.create_initialization_options())

    speaking, stopping = asyncio.create_task(speak()), asyncio.create_task(stopped.wait())
    await asyncio.wait({speaking, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await calling.close()
    await ledger.close()
    if speaking.done():
        try:
            speaking.result()
        except* BrokenPipeError:
            log.info("client_gone")  # it closed the pipe of the answers


class _Asked:
    """The requests that were read and have no answer yet."""

    def __init__(self) -> None:
        self._open: set[int | str] = set()
        self._changed = asyncio.Event()

    def read(self, line: bytes) -> None:
        with suppress(ValueError, RecursionError, TypeError, KeyError):
            request = json.loads(line)
            if request["method"]:
                self._open.add(request["id"])

    def answer(self, message: Any) -> None:
        if not hasattr(message, "method"):
            self._open.discard(getattr(message, "id", ""))
            self._changed.set()

    async def all_answered(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._changed.clear()
                    await self._changed.wait()


class _Unheard:
    """The way out, without the server's answer to a request that was answered already."""

    def __init__(self, outgoing: Any, answered: int | str | None, asked: _Asked) -> None:
        self._outgoing, self._answered, self._asked = outgoing, answered, asked

    async def send(self, item: SessionMessage, /) -> None:
        if self._answered is not None and getattr(item.message, "id", None) == self._answered:
            self._answered = None
        else:
            await self._outgoing.send(item)
        self._asked.answer(item.message)

    async def aclose(self) -> None:
        await self._outgoing.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
