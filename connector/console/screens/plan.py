"""Plan a launch: choose the cohort, mode and limit; the plan is a launch that waits for a person's yes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from starlette.responses import Response

from connector.console.visit import Visit
from connector.errors import ConnectorError, NotFound
from connector.service.views.launch import LaunchOutput

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


async def again(visit: Visit, connection: str, launches: Iterable[LaunchOutput]) -> dict[str, str]:
    """Return, by the id of each launch that invites no more people, the URL of the form as it was for it."""
    forms = {}
    for plan in launches:
        is_empty = plan.status == "planned" and not plan.to_invite
        if visit.is_expired(plan) or is_empty or (plan.status == "cancelled" and plan.cohort_id):
            stored = await visit.ctx.ledger.launches.find(plan.launch_id)
            options = stored and stored.options
            quota: Any = (options and options.quota) or {}
            values = ", ".join(f"{value}: {n}" for value, n in quota.get("values", {}).items())
            asked = {name: getattr(options, name, None) or None for name in _FIELDS}
            asked |= {"cohort_id": plan.cohort_id, "connection": connection}
            asked |= {
                "quota_property": quota.get("property"),
                "quota_people": quota.get("per_value") or values,
            }
            forms[plan.launch_id] = visit.url("/console/launches/new", **asked)
    return forms


def _quota(by: str, people: str) -> dict[str, Any]:
    """Return a quota as the operation takes it, of `20` or of `free: 20, paid: 30`."""
    if ":" not in people:
        return {"property": by, "per_value": people or None}
    pairs = (part.rpartition(":") for part in people.split(",") if part.strip())
    return {"property": by, "values": {value.strip(): number for value, _, number in pairs}}
