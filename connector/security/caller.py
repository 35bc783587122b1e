"""Describe the caller of an operation, and what it may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TOKEN_PREFIX = "kat_"  # noqa: S105 - every named token begins with it, so that scanners find leaked tokens
SCOPES = ("read", "write", "send", "erase")  # one for each effect of an operation


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an operation; `name` is that of its credential.

    None means all `connections`, and all `operations` of its scopes. `more` says how to get a missing scope.
    """

    name: str
    surface: str
    scopes: frozenset[str] = frozenset(SCOPES)
    connections: frozenset[str] | None = None
    operations: frozenset[str] | None = None
    more: str = "A person can make a token with that scope: koji-amplitude token create."

    def may_call(self, operation: str) -> bool:
        """Tell whether an operation is among those that its address offers."""
        return self.operations is None or operation in self.operations

    def may_use(self, connection: str) -> bool:
        """Tell whether the caller may ask about a connection, which need not exist."""
        return self.connections is None or connection in self.connections

    def visible(self, connections: Iterable[str]) -> list[str]:
        """Return the names among `connections` that the caller may know, sorted."""
        return sorted(name for name in connections if self.may_use(name))


OURSELVES = Caller("connector", "internal")
COMMAND_LINE = Caller("cli", "cli")
LOCAL_ASSISTANT = Caller("mcp", "mcp")
RESERVED_NAMES = frozenset({"token", OURSELVES.name, COMMAND_LINE.name, LOCAL_ASSISTANT.name})
