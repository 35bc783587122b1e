"""Amplitude's routes: ingestion, user search, cohorts."""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import (
    CohortTooLargeError,
    Job,
    QuotaExceededError,
    UnknownCohortError,
)
from connector.sandbox.amplitude.ingestion import BATCH, HTTP_V2, AmplitudeProject, Answer, Endpoint
from connector.sandbox.faults import CutResponse, answer_with

Handler = Callable[[Request], Awaitable[Response]]

MAX_IDENTIFY_URL: Final = 8190
_WORDS: Final[Mapping[int, str]] = {
    403: "Forbidden",
    408: "Request Timeout",
    413: "Payload too large",
    429: "Too many requests for some devices and users",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def error_body(status: int) -> dict[str, Any]:
    """Return an error in Amplitude's shape."""
    body: dict[str, Any] = {"code": status, "error": _WORDS.get(status, "Error")}
    return {**body, "eps_threshold": 30} if status == 429 else body


class AmplitudeRoutes:
    """The HTTP side of one project."""

    def __init__(self, project: AmplitudeProject, latency_seconds: float) -> None:
        self._project = project
        self._latency = latency_seconds

    def routes(self) -> list[Route]:
        """List the routes, relative to the base URL of both hosts."""
        return [
            Route("/2/httpapi", partial(self._ingest, HTTP_V2), methods=["POST"]),
            Route("/batch", partial(self._ingest, BATCH), methods=["POST"]),
            Route("/identify", self._identify, methods=["GET", "POST"]),
            Route("/api/2/usersearch", self._reading("usersearch", self._search)),
            Route("/api/3/cohorts", self._reading("cohorts", self._cohorts)),
            Route("/api/5/cohorts/request/{cohort_id}", self._reading("cohorts", self._request_cohort)),
            Route(
                "/api/5/cohorts/request-status/{request_id}", self._reading("cohorts", self._cohort_status)
            ),
            Route("/api/5/cohorts/request/{request_id}/file", self._reading("cohorts", self._cohort_file)),
            Route("/presigned/{token}", self._presigned, name="presigned"),
            Route("/{path:path}", _unknown, methods=["POST"]),
        ]

    async def _ingest(self, endpoint: Endpoint, request: Request) -> Response:
        raw = await request.body()
        await self._wait()
        project = self._project
        fault = project.faults.next(endpoint.name, raw)
        done: list[tuple[Answer, int]] = []

        async def go_on() -> Response:
            encoding = request.headers.get("content-encoding", "").lower()
            answer, events = project.ingest(endpoint, raw, encoding=encoding)
            done.append((answer, events))
            return JSONResponse(answer.body, status_code=answer.status)

        response = await answer_with(fault, error_body, go_on)
        answer, events = done[0] if done else (None, 0)
        error = answer.body.get("error") if answer else None
        project.log(endpoint.name, len(raw), events, _status(response), error, fault)
        return response

    async def _identify(self, request: Request) -> Response:
        await self._wait()
        if len(str(request.url)) > MAX_IDENTIFY_URL:
            return PlainTextResponse("request_uri_too_long", status_code=414)
        raw = await request.body()
        fault = self._project.faults.next("identify", raw)
        fields: Mapping[str, Any] = request.query_params if request.method == "GET" else await request.form()

        async def go_on() -> Response:
            status, text = self._project.identify(
                *(_text(fields.get(name)) for name in ("api_key", "identification", "options"))
            )
            return PlainTextResponse(text, status_code=status)

        response = await answer_with(fault, error_body, go_on)
        self._project.log("identify", len(raw), 0, response.status_code, None, fault)
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
            raise UnknownCohortError(job.request_id)
        if self._project.options.cohort_redirect:
            return RedirectResponse(request.url_for("presigned", token=cohorts.presign(job)), status_code=302)
        return await self._file(job)

    async def _presigned(self, request: Request) -> Response:
        # S3 refuses a request with two ways of authentication, a signed address and a header.
        if "authorization" in request.headers:
            return PlainTextResponse("Only one auth mechanism allowed", status_code=400)
        try:
            return await self._file(self._project.cohorts.presigned(request.path_params["token"]))
        except UnknownCohortError:
            return PlainTextResponse("Request has expired", status_code=403)

    async def _file(self, job: Job) -> Response:
        data = await asyncio.to_thread(self._project.cohorts.file, job)
        return Response(data, media_type="text/csv", headers={"Content-Encoding": "gzip"})

    def _reading(self, route: str, handler: Handler) -> Handler:
        """Return a handler behind the key check of the REST API and the faults of `route`."""

        async def endpoint(request: Request) -> Response:
            await self._wait()
            if not self._may_read(request.headers.get("authorization", "")):
                return JSONResponse({"error": "Invalid API key or secret key"}, status_code=401)

            async def checked() -> Response:
                try:
                    return await handler(request)
                except UnknownCohortError:
                    return JSONResponse({"error": "Not found"}, status_code=404)
                except CohortTooLargeError:
                    return JSONResponse({"error": "Cohort is too large to download"}, status_code=400)
                except QuotaExceededError as error:
                    return JSONResponse({"error": str(error)}, status_code=429)

            return await answer_with(self._project.faults.next(route, b""), error_body, checked)

        return endpoint

    def _may_read(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        options = self._project.options
        expected = f"{options.amplitude_api_key}:{options.amplitude_secret_key}".encode()
        return scheme.lower() == "basic" and secrets.compare_digest(given, expected)

    async def _wait(self) -> None:
        if self._latency:
            await asyncio.sleep(self._latency)


async def _unknown(_request: Request) -> Response:
    return JSONResponse({"code": 400, "error": "Invalid request path"}, status_code=400)


def _status(response: Response) -> int | None:
    return None if isinstance(response, CutResponse) else response.status_code


def _text(value: Any) -> str | None:
    """Return a form field that is text; an uploaded file is none."""
    return value if isinstance(value, str) else None
