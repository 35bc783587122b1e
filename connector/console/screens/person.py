"""Person: what the connector knows of one person."""

from __future__ import annotations

from starlette.responses import Response

from connector.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the person whose e-mail or user id is searched."""
    sought = visit.query.get("person", "")
    by = "email" if "@" in sought else "user_id"
    answer = await visit.run("get_person", **{by: sought}) if sought else None
    return visit.page(
        "person.html", "Person", sought=sought, answer=answer and answer.model_dump(mode="json")
    )
