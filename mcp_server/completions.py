"""Complete arguments of prompts and resources: cohorts, launches, interviews and connections that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.types import CompleteRequestParams, Completion

from connector.errors import ConnectorError
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request
from mcp_server.tools.call import Calling
from mcp_server.tools.catalogue import LARGEST_PAGE

_LISTS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "cohort_id": ("list_cohorts", "id", ("id", "name")),
    "launch_id": ("list_launches", "launch_id", ("launch_id", "cohort_name", "cohort_id")),
    "interview_id": ("list_syncs", "interview_id", ("interview_id",)),
    "connection": ("list_connections", "id", ("id",)),
}
"""For each argument: the list, the field that is the value, and the fields that are searched."""

_PAGES: Final = 10
_MOST: Final = 100


async def completion(params: CompleteRequestParams, request: Request, calling: Calling) -> Completion:
    """Return values whose id or name contains the typed text; none when they cannot be listed."""
    if params.argument.name not in _LISTS:
        return Completion(values=[])
    name, field, fields = _LISTS[params.argument.name]
    arguments: dict[str, Any] = {"limit": LARGEST_PAGE}
    known = (params.context.arguments if params.context else None) or {}
    if known.get("connection") and params.argument.name != "connection":
        arguments["connection"] = known["connection"]
    typed = params.argument.value.strip().casefold()
    values: list[str] = []
    try:
        for _ in range(_PAGES):
            page = (await calling.read(request, name, arguments)).model_dump(mode="json")
            values += [
                clean(str(row[field]))
                for row in page["items"]
                if row[field] and any(typed in str(row[key] or "").casefold() for key in fields)
            ]
            if not page["has_more"] or len(values) > _MOST:
                break
            arguments["cursor"] = page["next_cursor"]
    except ConnectorError:
        return Completion(values=[])
    values = list(dict.fromkeys(values))
    return Completion(values=values[:_MOST], has_more=len(values) > _MOST)
