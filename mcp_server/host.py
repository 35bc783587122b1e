"""What a transport lends the server: the context and the caller."""

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
    """What the server needs. `context` may wait until the ledger is open, and raises `ConnectorError`."""

    context: Callable[[], Awaitable[Context]]
    caller: Callable[[Request], Caller]
