"""Serve the console: its screens and the way into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connector.console.entry import ENTRY, HOME, Entry
from connector.console.frame import Frame, Screen
from connector.console.page import HEADERS, STATIC
from connector.console.screens import access, launches, person, plan, receipts, runs, setup, themes, today
from connector.console.visit import Visit
from connector.context import Context
from connector.errors import NotFound
from connector.http.auth import Gate
from connector.service.execution.operation import AnyOperation
from connector.settings.model import Settings

SCREENS: Mapping[str, tuple[Screen, Screen | None]] = {
    HOME: (today.show, today.act),
    "/console/receipts": (receipts.show_all, receipts.replay),
    "/console/receipts/{interview_id:path}": (receipts.show, receipts.act),
    "/console/runs/{run_id}": (runs.show, None),
    "/console/runs/{run_id}/events": (runs.events, None),
    "/console/launches": (launches.show_all, None),
    "/console/launches/new": (plan.show, plan.act),
    "/console/launches/{launch_id}": (launches.show, launches.act),
    "/console/launches/{launch_id}/events": (launches.events, None),
    "/console/launches/{launch_id}/people.csv": (launches.people, None),
    "/console/person": (person.show, person.forget),
    "/console/themes": (themes.show, None),
    "/console/setup": (setup.show, None),
    "/console/access": (access.show, access.act),
}
"""Each screen's path: what a GET shows, and what a POST does. A POST to a path goes back to it."""


def console_routes(
    settings: Settings, operations: Sequence[AnyOperation], context: Callable[[], Context], gate: Gate
) -> list[BaseRoute]:
    """Return the routes of the console, and `/`, which leads to it."""
    frame = Frame(settings, operations, context, gate)
    entry = Entry(frame.sessions, context)

    return [
        Route("/", _home),
        Route(ENTRY, frame.guarded(entry.sign_in), methods=["GET", "POST"]),
        Route("/console/sign-out", frame.guarded(entry.sign_out), methods=["POST"]),
        Mount("/console/static", StaticFiles(directory=STATIC)),
        *(frame.route(path, show, act) for path, (show, act) in SCREENS.items()),
        frame.route("/console/{path:path}", _nothing),
    ]


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, 303, HEADERS)


async def _nothing(visit: Visit) -> Response:
    if not visit.request.path_params["path"]:  # /console/
        return await _home(visit.request)
    raise NotFound("There is no such page.")
