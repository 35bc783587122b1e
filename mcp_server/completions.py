"""What a person may mean while typing: cohorts, launches, interviews and connections that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.types import CompleteRequestParams, Completion

from connector.errors import ConnectorError
from mcp_server.answers.untrusted import clean
from mcp_server.host import Request
from mcp_server.resources import Read
from mcp_server.tools.catalogue import LARGEST_PAGE

_LISTS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "cohort_id": ("list_cohorts", "id", ("id", "name")),
    "launch_id": ("list_launches", "launch_id", ("launch_id", "cohort_name", "cohort_id")),
    "interview_id": ("list_syncs", "interview_id", ("interview_id",)),
    "connection": ("list_connections", "id", ("id",)),
}
"""For each argument: the list, the field that is the value, and the fields that may hold what was typed."""

_PAGES: Final = 10
_MOST: Final = 100


async def completion(params: CompleteRequestParams, request: Request, read: Read) -> Completion:
    """Return values whose id or name holds what was typed; none when they cannot be listed."""
    found = _LISTS.get(params.argument.name)
    if found is None:
        return Completion(values=[])
    name, field, fields = found
    arguments: dict[str, Any] = {"limit": LARGEST_PAGE}
    told = (params.context.arguments if params.context else None) or {}
    if told.get("connection") and params.argument.name != "connection":
        arguments["connection"] = told["connection"]
    typed = params.argument.value.strip().casefold()
    values: list[str] = []
    try:
        for _ in range(_PAGES):
            page = (await read(request, name, arguments)).model_dump(mode="json")
            values += [
                clean(str(one[field]))
                for one in page["items"]
                if one[field] and any(typed in str(one[key] or "").casefold() for key in fields)
            ]
            if not page["has_more"] or len(values) > _MOST:
                break
            arguments["cursor"] = page["next_cursor"]
    except ConnectorError:
        return Completion(values=[])
    values = list(dict.fromkeys(values))
    return Completion(values=values[:_MOST], has_more=len(values) > _MOST)
