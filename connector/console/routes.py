"""Serve the console: who may see a screen, and what a person sees instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connector.console.entry import AGAIN, ENTRY, HOME, Entry, here, read_form, to_entry
from connector.console.page import HEADERS, STATIC, page
from connector.console.screens import access, launches, person, plan, receipts, runs, setup, themes, today
from connector.console.sessions import Sessions, require_form_token, require_own_page
from connector.console.visit import Visit
from connector.context import Context
from connector.errors import ConnectorError, NotFound
from connector.http.auth import Gate
from connector.http.hosts import REFUSAL, is_answered
from connector.service.execution.operation import AnyOperation
from connector.settings.model import Settings

Screen = Callable[[Visit], Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]
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
    "/console/person": (person.show, None),
    "/console/themes": (themes.show, None),
    "/console/setup": (setup.show, None),
    "/console/access": (access.show, access.act),
}
"""Each screen's path: what a GET shows, and what a POST does. A POST to a path goes back to it."""


def console_routes(
    settings: Settings, operations: Sequence[AnyOperation], context: Callable[[], Context], gate: Gate
) -> list[BaseRoute]:
    """Return the routes of the console, and `/`, which leads to it."""
    sessions = Sessions(settings, context, gate)
    entry = Entry(sessions, context)
    by_name = {op.name: op for op in operations}

    def guarded(handler: Handler) -> Handler:
        """Answer requests for our own names alone, and errors with a page."""

        async def serve(request: Request) -> Response:
            if not is_answered(settings, request.headers.get("host", "")):
                return page("error.html", 421, title="Another name", message=REFUSAL)
            try:
                return await handler(request)
            except ConnectorError as error:
                return page("error.html", error.http_status, title="This did not work", message=error.message)

        return serve

    def screen(show: Screen, act: Screen | None) -> Handler:
        async def serve(request: Request) -> Response:
            posts = request.method == "POST"
            if posts:
                require_own_page(request)
            session = await sessions.of(request)
            if session is None:
                return to_entry(request)
            if AGAIN in request.query_params:
                return RedirectResponse(here(request), 303, HEADERS)
            ctx = replace(context(), caller=session.caller, since=context().clock.now())
            visit = Visit(request, ctx, session, sessions, by_name)
            if not posts or act is None:
                return await show(visit)
            form = await read_form(request)
            require_form_token(session, form.pop("form_token", ""))
            try:
                return await act(replace(visit, form=form))
            except ConnectorError as error:
                return visit.done(here(request), error.message, kind="error")

        return guarded(serve)

    screens = [
        Route(path, screen(show, act), methods=["GET", "POST"] if act else ["GET"])
        for path, (show, act) in {**SCREENS, "/console/{path:path}": (_nothing, None)}.items()
    ]
    return [
        Route("/", _home),
        Route(ENTRY, guarded(entry.sign_in), methods=["GET", "POST"]),
        Route("/console/sign-out", guarded(entry.sign_out), methods=["POST"]),
        Mount("/console/static", StaticFiles(directory=STATIC)),
        *screens,
    ]


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, 303, HEADERS)


async def _nothing(visit: Visit) -> Response:
    if not visit.request.path_params["path"]:  # /console/
        return await _home(visit.request)
    raise NotFound("There is no such page.")
