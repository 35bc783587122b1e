"""The caller of an operation, and what it may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SCOPES = ("read", "write", "send", "erase")  # one for each effect of an operation


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an operation; `name` is its credential's, `connections` None means all."""

    name: str
    surface: str
    scopes: frozenset[str] = frozenset(SCOPES)
    connections: frozenset[str] | None = None

    def may_use(self, connection: str) -> bool:
        """Tell whether the caller may ask about a connection, whether it exists or not."""
        return self.connections is None or connection in self.connections

    def visible(self, connections: Iterable[str]) -> list[str]:
        """Return those of some connections that the caller may know of, by name."""
        return sorted(name for name in connections if self.may_use(name))


OURSELVES = Caller("connector", "internal")
COMMAND_LINE = Caller("cli", "cli")
LOCAL_ASSISTANT = Caller("mcp", "mcp")
RESERVED_NAMES = frozenset({"token", OURSELVES.name, COMMAND_LINE.name, LOCAL_ASSISTANT.name})
