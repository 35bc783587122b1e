"""Complete arguments of prompts and resources: cohorts, launches, interviews and connections that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp.types import CompleteRequestParams, Completion

from connector.errors import ConnectorError
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request
from mcp_server.tools.call import Calling

_LISTS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "cohort_id": ("list_cohorts", "id", ("id", "name")),
    "launch_id": ("list_launches", "launch_id", ("launch_id", "cohort_name", "cohort_id")),
    "interview_id": ("list_syncs", "interview_id", ("interview_id",)),
    "connection": ("list_connections", "id", ("id",)),
}
"""For each argument: the list, the field that is the value, and the fields that are searched."""

_MOST: Final = 100


async def completion(params: CompleteRequestParams, request: Request, calling: Calling) -> Completion:
    """Return values whose id or name contains the typed text; none when they cannot be listed."""
    if params.argument.name not in _LISTS:
        return Completion(values=[])
    name, field, fields = _LISTS[params.argument.name]
    arguments: dict[str, object] = {}
    known = (params.context.arguments if params.context else None) or {}
    if known.get("connection") and params.argument.name != "connection":
        arguments["connection"] = known["connection"]
    typed = params.argument.value.strip().casefold()
    values: list[str] = []
    try:
        async for row in calling.rows(request, name, arguments):
            if row[field] and any(typed in str(row[key] or "").casefold() for key in fields):
                values.append(clean(str(row[field])))
            if len(values) > _MOST:
                break
    except ConnectorError:
        return Completion(values=[])
    values = list(dict.fromkeys(values))
    return Completion(values=values[:_MOST], has_more=len(values) > _MOST)
