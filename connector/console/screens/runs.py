"""A run over many interviews: how far it is."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from connector.console.live import changes
from connector.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show a run."""
    connection, run = await visit.find("get_run", run_id=visit.request.path_params["run_id"])
    return visit.page("run.html", "Run", run=run, connection=connection)


async def events(visit: Visit) -> Response:
    """Tell when the run has come further."""
    run_id = visit.request.path_params["run_id"]

    async def look() -> tuple[Any, bool]:
        _, run = await visit.find("get_run", run_id=run_id)
        return run.pending, run.status == "finished"

    return changes(visit, look)
