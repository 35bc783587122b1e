"""Today: what came in and what became of it, what waits for a person, credits, and the next step."""

from __future__ import annotations

from starlette.responses import Response

from connector.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the UTC day."""
    return visit.page("today.html", "Today", day=await visit.run("get_overview"))


async def act(visit: Visit) -> Response:
    """Try again what a pause holds: accepted credentials end it."""
    checked = await visit.run("check_connection")
    return visit.done(visit.url(), checked.next_step, kind="done" if checked.ok else "error")
