"""Koji's routes that the connector calls: start, complete, read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.faults import answer_with
from connector.sandbox.koji.project import Call, KojiProject, RefusedError

Handler = Callable[[Request, bytes], Response]

_CODES: Final[Mapping[int, str]] = {
    401: "unauthorized",
    402: "credits_exhausted",
    403: "forbidden",
    404: "not_found",
    429: "rate_limited",
}


def error_body(status: int) -> dict[str, Any]:
    """Return an error in the form that Koji uses; Koji documents only the codes, not the body."""
    return {"error": _CODES.get(status, "internal_error"), "message": "Scripted by the sandbox."}


class KojiRoutes:
    """The HTTP side of one project."""

    def __init__(self, project: KojiProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """List the routes, relative to Koji's base URL."""
        route = self._route
        return [
            route("POST", "/api/v1/interviews/start", "start", "interview:start", self._start),
            route("POST", "/api/interview/complete", "complete", "interview:complete", self._complete),
            route("GET", "/api/v1/interviews/{interview_id}", "read", "interview:read", self._read),
        ]

    def _start(self, _request: Request, body: bytes) -> Response:
        return JSONResponse(self._project.start(body), status_code=201)

    def _complete(self, request: Request, body: bytes) -> Response:
        session_token = request.headers.get("x-session-token", "")
        return JSONResponse(self._project.complete(session_token, body))

    def _read(self, request: Request, _body: bytes) -> Response:
        interview = self._project.interview(request.path_params["interview_id"])
        return JSONResponse(self._project.store.read_body(interview, self._project.switches.read_omits))

    def _route(self, method: str, path: str, name: str, permission: str, handler: Handler) -> Route:
        """Return a route behind Koji's key check, rate limit and permissions, and the faults of `name`."""
        project = self._project

        async def endpoint(request: Request) -> Response:
            if project.switches.redirect_to is not None:
                return RedirectResponse(_moved(request, project.switches.redirect_to), status_code=308)
            body = await request.body()
            counted = False

            async def go_on() -> Response:
                return handler(request, body)

            try:
                project.check_key(request.headers.get("authorization", ""))
                project.take_call()
                counted = True
                project.check_permission(permission)
                fault = project.faults.next(name, body)
                response = await answer_with(project.faults, fault, error_body, go_on)
            except RefusedError as refused:
                response = JSONResponse(refused.body, status_code=refused.status)
            project.calls.append(Call(project.now(), name, response.status_code, counted))
            return response

        return Route(path, endpoint, methods=[method])


def _moved(request: Request, base: str) -> str:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{base.rstrip('/')}{path}{query}"
