"""What surrounds every screen: our own names, a session, forms of our own pages, and errors as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from connector.console.entry import AGAIN, here, read_form, to_entry
from connector.console.page import HEADERS, page
from connector.console.sessions import Sessions, require_form_token, require_own_page
from connector.console.visit import Visit
from connector.context import Context
from connector.errors import ConnectorError
from connector.http.auth import Gate
from connector.http.hosts import REFUSAL, is_answered
from connector.http.middleware import FAULT_ANSWER
from connector.service.execution.operation import AnyOperation
from connector.settings.model import Settings

_FAULT = (
    "The connector failed as it did not foresee. Try again; if it fails again, its log says where, under "
)
Screen = Callable[[Visit], Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]


class Frame:
    """Makes routes of screens, for people who are signed in."""

    def __init__(
        self,
        settings: Settings,
        operations: Sequence[AnyOperation],
        context: Callable[[], Context],
        gate: Gate,
    ) -> None:
        self.sessions = Sessions(settings, context, gate)
        self._settings = settings
        self._context = context
        self._by_name = {op.name: op for op in operations}

    def guarded(self, handler: Handler) -> Handler:
        """Answer requests for our own names alone, and errors with a page."""

        async def serve(request: Request) -> Response:
            if not is_answered(self._settings, request.headers.get("host", "")):
                return _refused(request, 421, REFUSAL)
            request.scope["state"][FAULT_ANSWER] = lambda log_id: _refused(request, 500, _FAULT + log_id)
            try:
                return await handler(request)
            except ConnectorError as error:
                return _refused(request, error.http_status, error.message)

        return serve

    def route(self, path: str, show: Screen, act: Screen | None = None) -> Route:
        """Return the route of a screen: what a GET shows, and what a POST does."""

        async def serve(request: Request) -> Response:
            posts = request.method == "POST"
            if posts:
                require_own_page(request)
            session = await self.sessions.of(request)
            if session is None:
                return to_entry(request)
            if AGAIN in request.query_params:
                return RedirectResponse(here(request), 303, HEADERS)
            ctx = self._context()
            ctx = replace(ctx, caller=session.caller, since=ctx.clock.now())
            visit = Visit(request, ctx, session, self.sessions, self._by_name)
            if visit.connections:
                request.state.visit = visit
            if not posts:
                return await show(visit)
            if act is None:
                return visit.done(here(request))
            form = await read_form(request)
            require_form_token(session, form.pop("form_token", ""))
            try:
                return await act(replace(visit, form=form))
            except ConnectorError as error:
                return visit.done(here(request), error.message, kind="error")

        return Route(path, self.guarded(serve), methods=["GET", "POST"])


def _refused(request: Request, status: int, message: str) -> Response:
    """Return a page that says what went wrong, with the ways to the other screens for who is signed in."""
    shown = {"message": message, "again": here(request) if request.method == "GET" and status >= 500 else ""}
    visit: Visit | None = getattr(request.state, "visit", None)
    if visit is None:
        return page("error.html", status, title="This did not work", frame="plain.html", **shown)
    known = visit.connection if visit.connection in visit.connections else visit.connections[0]
    answer = visit.page("error.html", "This did not work", frame="layout.html", connection=known, **shown)
    answer.status_code = status
    return answer
