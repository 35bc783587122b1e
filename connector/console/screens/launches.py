"""Launches: the list, one launch with its progress and people, and what a person decides over it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from connector.console.live import changes
from connector.console.page import HEADERS
from connector.console.visit import Visit
from connector.domain.launches.segments import Reached, segment
from connector.service.views.launch import InvitationItem
from connector.text.cells import cell

_OVER: Final = frozenset({"planned", "finished", "cancelled"})
_SHOWN: Final = (
    *("status", "pause_reason", "message", "next_wave_at"),
    *("waiting", "invited", "completed", "failed", "in_doubt", "cancelled"),
)
_COLUMNS: Final = tuple(InvitationItem.model_fields)
_NAMED: Final = 20
"""So many people of a plan are named above the button that invites them."""
_NOT_INVITED: Final = ("waiting", "in_doubt", "failed", "cancelled")
"""The states of which the first that has people is shown, where no person is invited yet."""
_DECISIONS: Final = {
    "launch": "launch_cohort_interviews",
    "resume": "resume_launch",
    "retry": "resume_launch",
    "give_up": "resume_launch",
    "cancel": "cancel_launch",
}


async def show_all(visit: Visit) -> Response:
    """Show one page of launches."""
    where = {name: visit.query.get(name) for name in ("status", "cursor")}
    page = await visit.run("list_launches", **where, limit=20)
    return visit.page("launches.html", "Launches", page=page, where=where)


async def show(visit: Visit) -> Response:
    """Show a launch or a plan."""
    state = _state(visit)
    connection, launch = await _find(visit, state, cursor=visit.query.get("cursor"))
    if launch.status == "planned" and not state:
        _, launch = await _find(visit, "planned", limit=_NAMED)
    elif not (state or launch.invited):
        state = next((name for name in _NOT_INVITED if getattr(launch, name)), None)
        _, launch = await _find(visit, state)
    whole = segment("All", launch.members_total, Reached(launch.invited, launch.completed))
    shown = {"launch": launch, "connection": connection, "state": state}
    shown["answered"] = [whole, *launch.segments]
    return visit.page("launch.html", launch.cohort_name or "Launch", **shown)


async def act(visit: Visit) -> Response:
    """Do what a person decided."""
    do = visit.form.get("do", "")
    launch_id = visit.request.path_params["launch_id"]
    given: dict[str, Any] = {"launch_id": launch_id, "idempotency_key": visit.form.get("idempotency_key")}
    if do == "launch":
        given = {"plan_token": visit.form.get("plan_token"), "wait_seconds": 0}
    elif do == "resume":
        given |= {"resume_token": visit.form.get("resume_token"), "wait_seconds": 1}
    elif do in ("retry", "give_up"):
        given |= {"in_doubt": do, "wait_seconds": 1}
    launch = await visit.run(_DECISIONS.get(do, "get_launch"), **given)
    return visit.done(visit.url(f"/console/launches/{launch.launch_id}"))


async def events(visit: Visit) -> Response:
    """Tell when the launch has come further."""

    async def look() -> tuple[Any, bool]:
        _, launch = await _find(visit, _state(visit), limit=1)
        return [getattr(launch, name) for name in _SHOWN], launch.status in _OVER

    return changes(visit, look)


async def people(visit: Visit) -> Response:
    """Download the people of a launch, as a spreadsheet reads them."""
    _, first = await _find(visit, _state(visit), limit=500)

    async def rows() -> AsyncIterator[str]:
        launch = first
        yield _line(_COLUMNS)
        while True:
            for person in launch.invitations:
                yield _line([cell(getattr(person, name)) for name in _COLUMNS])
            if not launch.has_more:
                return
            _, launch = await _find(visit, _state(visit), limit=500, cursor=launch.next_cursor)

    named = {"Content-Disposition": f'attachment; filename="{first.launch_id}.csv"'}
    return StreamingResponse(rows(), headers={**HEADERS, **named}, media_type="text/csv; charset=utf-8")


def _state(visit: Visit) -> str | None:
    return visit.query.get("state")


async def _find(visit: Visit, state: str | None, **page: Any) -> tuple[str, Any]:
    launch_id = visit.request.path_params["launch_id"]
    return await visit.find("get_launch", launch_id=launch_id, state=state, **page)


def _line(cells: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()
