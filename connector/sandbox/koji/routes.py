"""Koji's routes: start, message, complete, read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from connector.sandbox.fault_answers import answer_with
from connector.sandbox.koji.project import KojiProject, RefusedError


def error_body(status: int) -> dict[str, Any]:
    """Return an error in Koji's shape; only the code names are documented, not the body."""
    codes = {
        401: "unauthorized",
        402: "credits_exhausted",
        403: "forbidden",
        404: "not_found",
        429: "rate_limited",
    }
    return {"error": codes.get(status, "internal_error"), "message": "Scripted by the sandbox."}


Handle = Callable[[Request, bytes], Response]


class KojiRoutes:
    """The HTTP side of one project."""

    def __init__(self, project: KojiProject, latency_seconds: float) -> None:
        self._project = project
        self._latency = latency_seconds

    def routes(self) -> list[Route]:
        """List the routes, relative to Koji's base URL."""
        return [
            Route("/api/v1/interviews/start", self._start, methods=["POST"]),
            Route("/api/v1/interviews/{interview_id}/message", self._message, methods=["POST"]),
            Route("/api/interview/complete", self._complete, methods=["POST"]),
            Route("/api/v1/interviews/{interview_id}", self._read),
        ]

    async def _start(self, request: Request) -> Response:
        def handle(_request: Request, body: bytes) -> Response:
            return JSONResponse(self._project.start(_json(body)), status_code=201)

        return await self._call("start", "interview:start", request, handle)

    async def _message(self, request: Request) -> Response:
        def handle(request: Request, body: bytes) -> Response:
            text = self._project.message(
                request.path_params["interview_id"], _session_token(request), _json(body)
            )
            return StreamingResponse(_words(text), media_type="text/event-stream")

        return await self._call("message", "interview:chat", request, handle)

    async def _complete(self, request: Request) -> Response:
        def handle(request: Request, body: bytes) -> Response:
            return JSONResponse(self._project.complete(_session_token(request), _json(body)))

        return await self._call("complete", "interview:complete", request, handle)

    async def _read(self, request: Request) -> Response:
        def handle(request: Request, _body: bytes) -> Response:
            interview = self._project.interview(request.path_params["interview_id"])
            return JSONResponse(self._project.store.read_body(interview, self._project.switches.read_omits))

        return await self._call("read", "interview:read", request, handle)

    async def _call(self, route: str, permission: str, request: Request, handle: Handle) -> Response:
        project = self._project
        if self._latency:
            await asyncio.sleep(self._latency)
        if project.switches.redirect_to is not None:
            return RedirectResponse(_moved(request, project.switches.redirect_to), status_code=308)
        body = await request.body()
        counted = False
        try:
            key = project.key(request.headers.get("authorization", ""))
            project.take_call(key)
            counted = True
            project.check_permission(key, permission)
        except RefusedError as refused:
            response: Response = JSONResponse(refused.body, status_code=refused.status)
        else:

            async def go_on() -> Response:
                try:
                    return handle(request, body)
                except RefusedError as refused:
                    return JSONResponse(refused.body, status_code=refused.status)

            response = await answer_with(project.faults.next(route, body), error_body, go_on)
        project.record(route, response.status_code, counted=counted)
        return response


def _session_token(request: Request) -> str:
    return request.headers.get("x-session-token", "")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise RefusedError(400, "invalid_request", "The body is not JSON.") from None


def _moved(request: Request, base: str) -> str:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{base.rstrip('/')}{path}{query}"


async def _words(text: str) -> AsyncIterator[str]:
    """Stream a message as Server-Sent Events; Koji documents neither names nor shape of its events."""
    for word in text.split():
        yield f"event: token\ndata: {json.dumps({'content': word + ' '})}\n\n"
    yield "event: done\ndata: {}\n\n"
