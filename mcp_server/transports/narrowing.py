"""Narrow what a token allows to what the address of `/mcp` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connector.context import Context
from connector.errors import InvalidInput
from connector.operations import OPERATIONS
from connector.security.caller import Caller
from connector.service.execution.execute import check_connection
from connector.text.redaction import cut
from mcp_server.research import TOOLS


def narrowed(ctx: Context, caller: Caller, query: Mapping[str, str]) -> Caller:
    """Return a caller who may do no more than before: `readonly=1`, `tools=a,b` and `connection=x` take away.

    `search` and `fetch` are there only when `tools` names them; they read what the caller may read.

    Raises `InvalidInput`, and as `check_connection` for a connection that the caller may not use.
    """
    if (readonly := query.get("readonly", "0")) not in ("0", "1"):
        raise InvalidInput.of("readonly", "take 1, or leave it out")
    if readonly == "1":
        caller = replace(caller, scopes=caller.scopes & {"read"})
    if "tools" in query:
        names, known = frozenset(query["tools"].split(",")), {op.name for op in OPERATIONS}.union(TOOLS)
        if unknown := names.difference(known):
            raise InvalidInput.of("tools", f"there is no tool {cut(min(unknown), 40)!r}")
        caller = replace(caller, operations=names)
    if "connection" in query:
        check_connection(ctx, caller, query["connection"])
        caller = replace(caller, connections=frozenset({query["connection"]}))
    return caller
