"""Plan a launch: choose the cohort, mode and limit; the plan is a launch that waits for a person's yes."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from connector.console.visit import Visit
from connector.errors import ConnectorError, NotFound

_FIELDS: Final = (
    *("cohort_id", "mode", "max_interviews", "reinvite_after_days", "locale", "variant"),
    *("sample", "sample_seed", "stop_after_completed", "holdout_percent", "segment_by", "override_rest"),
)
_QUOTA: Final = ("quota_property", "quota_people")


async def show(visit: Visit) -> Response:
    """Show the form, with the cohorts that Amplitude lists."""
    if visit.connection not in visit.ctx.settings.connections:
        raise NotFound("There is no such connection.")
    cohorts: list[Any] = []
    trouble, cursor = "", None
    try:
        while True:
            page = await visit.run("list_cohorts", limit=500, cursor=cursor)
            cohorts += page.items
            if (cursor := page.next_cursor) is None:
                break
    except ConnectorError as error:
        trouble = error.message
    chosen = {name: visit.query.get(name, "") for name in (*_FIELDS, *_QUOTA)}
    most = visit.ctx.connection(visit.connection).connector_max_interviews_per_launch
    shown = {"cohorts": cohorts, "trouble": trouble, "chosen": chosen, "most": most}
    return visit.page("plan.html", "Plan a launch", **shown)


async def act(visit: Visit) -> Response:
    """Plan; an error leads back to the form as it was filled in."""
    asked = {name: visit.form.get(name) for name in _FIELDS}
    by, people = (visit.form.get(name, "").strip() for name in _QUOTA)
    try:
        quota = _quota(by, people) if by or people else None
        plan = await visit.run("plan_cohort_launch", **asked, quota=quota, wait_seconds=1)
    except ConnectorError as error:
        again = visit.url(**asked, quota_property=by, quota_people=people)
        return visit.done(again, error.message, kind="error")
    return visit.done(visit.url(f"/console/launches/{plan.launch_id}"))


def _quota(by: str, people: str) -> dict[str, Any]:
    """Return a quota as the operation takes it, of `20` or of `free: 20, paid: 30`."""
    if ":" not in people:
        return {"property": by, "per_value": people or None}
    pairs = (part.rpartition(":") for part in people.split(",") if part.strip())
    return {"property": by, "values": {value.strip(): number for value, _, number in pairs}}
