"""What a transport lends the server: the context, and who is calling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext

from connector.context import Context
from connector.security.caller import Caller

Request = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Host:
    """Where the server runs.

    `context` may wait until the ledger is open, and raises `ConnectorError` when it cannot be opened.
    """

    context: Callable[[], Awaitable[Context]]
    caller: Callable[[Request], Caller]
