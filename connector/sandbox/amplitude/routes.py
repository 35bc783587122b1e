"""Amplitude's routes: ingestion, user search, cohorts."""

from __future__ import annotations

import asyncio
import base64
import http.client
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import NOT_FOUND, CohortRefusedError, Job
from connector.sandbox.amplitude.ingestion import AmplitudeProject
from connector.sandbox.faults import CutResponse, answer_with

Handler = Callable[[Request], Awaitable[Response]]

_MESSAGES: Final[Mapping[int, str]] = {
    **http.client.responses,
    413: "Payload too large",
    429: "Too many requests for some devices and users",
}


def error_body(status: int) -> dict[str, Any]:
    """Return an error in Amplitude's shape."""
    body: dict[str, Any] = {"code": status, "error": _MESSAGES.get(status, "Error")}
    return {**body, "eps_threshold": 30} if status == 429 else body


class AmplitudeRoutes:
    """The HTTP side of one project."""

    def __init__(self, project: AmplitudeProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """List the routes, relative to the base URL of both hosts."""
        download = "/api/5/cohorts/request"
        return [
            Route("/2/httpapi", self._ingest, methods=["POST"]),
            Route("/api/2/usersearch", self._reading("usersearch", self._search)),
            Route("/api/3/cohorts", self._reading("cohorts", self._cohorts)),
            Route(f"{download}/{{cohort_id}}", self._reading("cohorts", self._request_cohort)),
            Route(f"{download}-status/{{request_id}}", self._reading("cohorts", self._cohort_status)),
            Route(f"{download}/{{request_id}}/file", self._reading("cohorts", self._cohort_file)),
            Route("/presigned/{token}", self._presigned, name="presigned"),
            Route("/{path:path}", _unknown, methods=["POST"]),
        ]

    async def _ingest(self, request: Request) -> Response:
        raw = await request.body()
        project = self._project
        fault = project.faults.next("httpapi", raw)
        body: dict[str, Any] = {}
        events = 0

        async def go_on() -> Response:
            nonlocal body, events
            body, events = project.ingest(raw)
            return JSONResponse(body, status_code=body["code"])

        response = await answer_with(project.faults, fault, error_body, go_on)
        status = None if isinstance(response, CutResponse) else response.status_code
        project.log(len(raw), events, status, body.get("error"), fault)
        return response

    async def _search(self, request: Request) -> Response:
        if not self._project.searches.take():
            return JSONResponse({"error": "Exceeded 360 queries per hour"}, status_code=429)
        return JSONResponse(self._project.search(request.query_params.get("user", "")))

    async def _cohorts(self, request: Request) -> Response:
        sync_info = request.query_params.get("includeSyncInfo", "").lower() == "true"
        return JSONResponse({"cohorts": self._project.cohorts.listed(sync_info=sync_info)})

    async def _request_cohort(self, request: Request) -> Response:
        query = request.query_params
        job = self._project.cohorts.request(
            request.path_params["cohort_id"],
            props=query.get("props") == "1",
            prop_keys=query.getlist("propKeys"),
        )
        return JSONResponse({"request_id": job.request_id, "cohort_id": job.cohort.id}, status_code=202)

    async def _cohort_status(self, request: Request) -> Response:
        job = self._project.cohorts.job(request.path_params["request_id"])
        ready = self._project.cohorts.is_ready(job)
        body = {
            "request_id": job.request_id,
            "cohort_id": job.cohort.id,
            "async_status": "JOB COMPLETED" if ready else "JOB INPROGRESS",
        }
        return JSONResponse(body, status_code=200 if ready else 202)

    async def _cohort_file(self, request: Request) -> Response:
        cohorts = self._project.cohorts
        job = cohorts.job(request.path_params["request_id"])
        if not cohorts.is_ready(job):
            raise CohortRefusedError(404, NOT_FOUND)
        if self._project.options.cohort_redirect:
            return RedirectResponse(request.url_for("presigned", token=cohorts.presign(job)), status_code=302)
        return await self._file(job)

    async def _presigned(self, request: Request) -> Response:
        # S3 refuses a request with two ways of authentication, a signed address and a header.
        if "authorization" in request.headers:
            return PlainTextResponse("Only one auth mechanism allowed", status_code=400)
        job = self._project.cohorts.presigned(request.path_params["token"])
        return await self._file(job) if job else PlainTextResponse("Request has expired", status_code=403)

    async def _file(self, job: Job) -> Response:
        data = await asyncio.to_thread(self._project.cohorts.file, job)
        return Response(data, media_type="text/csv", headers={"Content-Encoding": "gzip"})

    def _reading(self, route: str, handler: Handler) -> Handler:
        """Return a handler behind the key check of the REST API and the faults of `route`."""

        async def endpoint(request: Request) -> Response:
            if not self._may_read(request.headers.get("authorization", "")):
                return JSONResponse({"error": "Invalid API key or secret key"}, status_code=401)

            async def go_on() -> Response:
                try:
                    return await handler(request)
                except CohortRefusedError as refused:
                    return JSONResponse({"error": str(refused)}, status_code=refused.status)

            faults = self._project.faults
            return await answer_with(faults, faults.next(route, b""), error_body, go_on)

        return endpoint

    def _may_read(self, header: str) -> bool:
        scheme, _, credentials = header.partition(" ")
        options = self._project.options
        expected = base64.b64encode(f"{options.amplitude_api_key}:{options.amplitude_secret_key}".encode())
        return scheme.lower() == "basic" and secrets.compare_digest(credentials.encode(), expected)


async def _unknown(_request: Request) -> Response:
    return JSONResponse({"code": 400, "error": "Invalid request path"}, status_code=400)
