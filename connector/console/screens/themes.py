"""Themes: what people said, in numbers."""

from __future__ import annotations

from starlette.responses import Response

from connector.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the themes of a period."""
    period = {name: visit.query.get(name) for name in ("since", "until")}
    answer = await visit.run("get_theme_report", **period)
    return visit.page("themes.html", "Themes", period=period, answer=answer.model_dump(mode="json"))
