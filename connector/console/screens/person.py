"""Person: what the connector knows of one person, what a launch would decide now, and to forget them."""

from __future__ import annotations

from starlette.responses import Response

from connector.console.visit import Visit
from connector.domain.people.email import is_email
from connector.errors import InvalidInput, NotFound


async def show(visit: Visit) -> Response:
    """Show the person whose e-mail or user id is searched, over the connections of the session."""
    sought = _sought(visit)
    person, unknown = None, False
    if sought:
        try:
            person = await visit.run("get_person", **_named(sought))
        except NotFound:
            unknown = True
    return visit.page("person.html", "Person", sought=sought, person=person, unknown=unknown)


async def forget(visit: Visit) -> Response:
    """Erase the person on one connection, if their e-mail or user id is typed as it was searched."""
    sought, connection = _sought(visit), visit.form.get("on")
    if not sought or visit.form.get("typed", "").strip() != sought:
        why = "Nothing was erased: type the e-mail or user id exactly as it is shown."
        raise InvalidInput(why, code="not_confirmed")
    key = visit.form.get("idempotency_key")
    run = await visit.run(
        "forget_respondent", **_named(sought), connection=connection, wait_seconds=5, idempotency_key=key
    )
    return visit.done(visit.url(f"/console/runs/{run.run_id}", connection=connection))


def _sought(visit: Visit) -> str:
    return visit.query.get("person", "").strip()


def _named(sought: str) -> dict[str, str]:
    return {"email" if is_email(sought) else "user_id": sought}
