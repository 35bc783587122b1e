"""Receipts: the list with its filters, the replay of what is filtered, and one interview's receipt."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from connector.console.visit import Visit
from connector.text.redaction import cut

_FILTERS: Final = ("search", "status", "reason", "since", "until")
_REPLAYABLE: Final = ("failed", "skipped", "pending", "unreadable")
_ITS_SIDE: Final = "Sending it again helps only once something has changed at Amplitude."
_SAID: Final = 600
_PAGE: Final = 500
_MOST: Final = 5_000
"""So many are replayed at a time: the question names a number that was counted."""


async def show_all(visit: Visit) -> Response:
    """Show one page of receipts; with `ask` in the URL, also ask whether to replay all that are filtered."""
    where = _filters(visit)
    page = await visit.run("list_syncs", **where, cursor=visit.query.get("cursor"))
    can_replay = visit.may("send") and where["status"] in _REPLAYABLE
    asked = len(await _matching(visit, where)) if can_replay and "ask" in visit.query else None
    shown = {"where": where, "can_replay": can_replay, "asked": asked, "most": _MOST}
    return visit.page("receipts.html", "Interviews", page=page, **shown)


async def replay(visit: Visit) -> Response:
    """Replay what is filtered."""
    where = _filters(visit)
    key = visit.form.get("idempotency_key")
    if where["status"] == "unreadable":
        which: dict[str, Any] = {"status": "unreadable", "since": where["since"]}
    else:
        found = await _matching(visit, where)
        if not found:
            return visit.done(visit.url(**where), "None of these interviews are left to replay.")
        which = {"interview_ids": found}
    run = await visit.run("replay_syncs", **which, wait_seconds=0, idempotency_key=key)
    return visit.done(visit.url(f"/console/runs/{run.run_id}"))


async def show(visit: Visit) -> Response:
    """Show one interview's receipt; with `preview` in the URL, also what a sync would do now."""
    interview_id = visit.request.path_params["interview_id"]
    connection, receipt = await visit.find("get_sync", interview_id=interview_id)
    preview = None
    if "preview" in visit.query:
        preview = await visit.run("preview_interview_sync", connection=connection, interview_id=interview_id)
    return visit.page("receipt.html", "Receipt", receipt=receipt, preview=preview, connection=connection)


async def act(visit: Visit) -> Response:
    """Send one interview again; `force` also what Amplitude may have."""
    interview_id, force = visit.request.path_params["interview_id"], visit.form.get("do") == "force"
    key = visit.form.get("idempotency_key")
    asked = {"interview_ids": [interview_id], "force": force, "idempotency_key": key}
    run = await visit.run("replay_syncs", **asked, wait_seconds=5)
    ended = {"synced": run.synced, "waiting": run.pending, **run.skipped, **run.failed}
    told = ", ".join(name.replace("_", " ") for name, number in ended.items() if number)
    said = f"Sent again: {told or 'nothing to do'}."
    if "rejected_by_amplitude" in run.failed:
        _, again = await visit.find("get_sync", interview_id=interview_id)
        said = f"Amplitude refused it again: {again.refusal}. {_ITS_SIDE}"
    return visit.done(visit.url(), cut(said, _SAID), kind="error" if run.failed else "done")


def _filters(visit: Visit) -> dict[str, str | None]:
    return {name: visit.query.get(name) for name in _FILTERS}


async def _matching(visit: Visit, where: dict[str, str | None]) -> list[str | None]:
    """Return the ids of what is filtered, newest first, at most `_MOST`; None for a webhook without one."""
    found: list[str | None] = []
    cursor = None
    while len(found) < _MOST:
        page = await visit.run("list_syncs", **where, limit=_PAGE, cursor=cursor)
        found += [item.interview_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found[:_MOST]
