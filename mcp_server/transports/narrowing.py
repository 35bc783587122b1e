"""Narrow what a token allows to what the address of `/mcp` asks for."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from starlette.datastructures import QueryParams

from connector.context import Context
from connector.errors import InvalidInput
from connector.operations import OPERATIONS
from connector.security.caller import Caller
from connector.service.execution.execute import check_connection
from connector.text.redaction import cut
from mcp_server.research import TOOLS

_NAMES: Final = ("readonly", "tools", "connection")
_AS_CLOSE: Final = 0.75  # tools[], read_only, Connections


def narrowed(ctx: Context, caller: Caller, query: QueryParams) -> Caller:
    """Return a caller who may do no more than before: `readonly=1`, `tools=a,b` and `connection=x` take away.

    `search` and `fetch` are there only when `tools` names them; they read what the caller may read.

    Raises `InvalidInput`, also for one of these names that is repeated or misspelt, and as `check_connection`
    for a connection that the caller may not use.
    """
    for given in query:
        for name in get_close_matches(given.casefold(), _NAMES, 1, _AS_CLOSE):
            if given != name:
                raise InvalidInput.of(cut(given, 40), f"is not read; write {name}")
            if len(query.getlist(name)) > 1:
                raise InvalidInput.of(name, "is there twice; give it once")
    if (readonly := query.get("readonly", "0")) not in ("0", "1"):
        raise InvalidInput.of("readonly", "take 1, or leave it out")
    if readonly == "1":
        more = "This address only reads (?readonly=1)."
        caller = replace(caller, scopes=caller.scopes & {"read"}, more=more)
    if "tools" in query:
        names, known = frozenset(query["tools"].split(",")), {op.name for op in OPERATIONS}.union(TOOLS)
        if unknown := names.difference(known):
            raise InvalidInput.of("tools", f"there is no tool {cut(min(unknown), 40)!r}")
        caller = replace(caller, operations=names)
    if "connection" in query:
        check_connection(ctx, caller, query["connection"])
        caller = replace(caller, connections=frozenset({query["connection"]}))
    return caller
