"""Download cohorts from Amplitude (Behavioral Cohorts API): list, request, wait, and stream the file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx

from connector.amplitude.cohort_file import CohortFile
from connector.errors import (
    InvalidInput,
    UpstreamUnavailable,
)
from connector.http_client import Reply, call, stream
from connector.inviting import Cohort

_LIST: Final = "/api/3/cohorts"
_REQUEST: Final = "/api/5/cohorts/request"
_STATUS: Final = "/api/5/cohorts/request-status"
_DEFAULT_WAIT: Final = 60
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_FILE_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "gzip"}
# Amplitude does not publish the words of these refusals.
_TOO_LARGE: Final = re.compile(rb"too (?:large|big)|\bsize\b|million|2,?000,?000", re.IGNORECASE)
_UNKNOWN: Final = re.compile(
    rb"not (?:be )?f(?:ou|i)nd|unknown|no such|not exist|invalid cohort", re.IGNORECASE
)
_KEY = (
    "Amplitude refused the cohorts: check AMPLITUDE_API_KEY and AMPLITUDE_SECRET_KEY (both of one project) "
    "and AMPLITUDE_REGION."
)


class AmplitudeCohorts:
    """One project's cohorts. `url` is the region's REST base URL (`regions.REGIONS`).

    Every method also raises `CredentialsRejected` (`amplitude_key`), `UpstreamRejected` (`amplitude_redirect`,
    …) or `UpstreamUnavailable` with `retry_after`.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, api_key: str, secret_key: str) -> None:
        self._client = client
        self._base = url.rstrip("/")
        self._auth = httpx.BasicAuth(api_key, secret_key)

    async def listed(self) -> list[Cohort]:
        """Return the discoverable cohorts in Amplitude's order, without archived and hidden ones."""
        reply = await self._get(_LIST)
        if not _is_good(reply):
            raise _refusal(reply, self._base, _LIST)
        found = _json(reply).get("cohorts")
        if not isinstance(found, list):
            raise _foreign()
        rows = [row for row in found if isinstance(row, dict) and row.get("id")]
        return [_cohort(row) for row in rows if not (row.get("archived") or row.get("hidden"))]

    async def request(self, cohort_id: str, properties: Sequence[str]) -> str:
        """Ask for a download with these user properties, and return its request id.

        Counts against 60 in 10 minutes and 500 a month of the project. Raises `NotFound` (`cohort_not_found`),
        `InvalidInput` (`cohort_too_large`), `UpstreamUnavailable` (`cohort_quota`).
        """
        segment = _segment(cohort_id)
        if segment is None:
            raise _unknown_cohort()
        path = f"{_REQUEST}/{segment}"
        query = [("props", "1"), *(("propKeys", name) for name in properties)] if properties else []
        reply = await self._get(path, params=query)
        if _is_good(reply):
            request_id = _json(reply).get("request_id")
            if not isinstance(request_id, str | int) or not request_id:
                raise _foreign()
            return str(request_id)
        words = reply.body[:4096] if reply.status == 400 and not _names_key(reply) else b""
        if _TOO_LARGE.search(words):
            detail = "Amplitude says that this cohort is too large to be downloaded (above 2,000,000 people)."
            raise InvalidInput.of("cohort_id", detail, code="cohort_too_large")
        if reply.status == 404 or _UNKNOWN.search(words):
            raise _unknown_cohort()
        if reply.status == 429:
            raise UpstreamUnavailable(
                "Amplitude allows no more cohort downloads now (60 in 10 minutes, 500 a month, for a project).",
                code="cohort_quota",
                retry_after=_wait(reply.headers),
            )
        raise _refusal(reply, self._base, path)

    async def is_ready(self, request_id: str) -> bool:
        """Tell whether the file of a download can be fetched.

        Raises `NotFound` (`cohort_request_gone`), `UpstreamUnavailable` (`cohort_job_failed`).
        """
        segment = _segment(request_id)
        if segment is None:
            raise _gone()
        path = f"{_STATUS}/{segment}"
        reply = await self._get(path)
        if reply.status == 404:
            raise _gone()
        if not _is_good(reply):
            raise _refusal(reply, self._base, path)
        told = _json(reply).get("async_status")
        status = told.upper().replace("_", " ").split() if isinstance(told, str) else []
        if any(word.startswith(("FAIL", "ERROR")) for word in status):
            raise UpstreamUnavailable(
                "Amplitude could not compute the cohort file; request the cohort again.",
                code="cohort_job_failed",
                retry_after=_DEFAULT_WAIT,
            )
        if reply.status != 202 and not status:
            raise _foreign()
        return reply.status != 202 and status == ["JOB", "COMPLETED"]

    async def rows(
        self, request_id: str, columns: Sequence[str]
    ) -> AsyncGenerator[list[dict[str, str]], None]:
        """Yield the cohort's rows in blocks, as `cohort_file.CohortFile` reads them; close it to stop early.

        Raises `NotFound` (`cohort_request_gone`: unknown, not ready, or older than 7 days),
        `UpstreamUnavailable` (`cohort_file_cut`), `UpstreamRejected` (`cohort_file_unreadable`).
        """
        file = CohortFile(columns)
        async with AsyncExitStack() as stack:
            response = await self._open_file(stack, request_id)
            try:
                async for chunk in response.aiter_raw():
                    for rows in file.feed(chunk):
                        yield rows
                        await asyncio.sleep(0)  # a small chunk may expand to many blocks; others run between
            except httpx.RequestError as error:
                raise UpstreamUnavailable(
                    f"Amplitude's cohort file was cut ({type(error).__name__}); fetch it again.",
                    code="cohort_file_cut",
                    retry_after=_DEFAULT_WAIT,
                ) from None
            # With either header httpx itself tells an answer that was cut from one that ended.
            whole = "content-length" in response.headers or "transfer-encoding" in response.headers
            if rows := file.finish(whole=whole):
                yield rows

    async def _open_file(self, stack: AsyncExitStack, request_id: str) -> httpx.Response:
        segment = _segment(request_id)
        if segment is None:
            raise _gone()
        path = f"{_REQUEST}/{segment}/file"
        response = await self._open(stack, self._base + path, self._auth)
        status = response.status_code
        if status == 404:
            raise _gone()
        if status in _MOVED:
            target = _target(self._base + path, response.headers.get("location", ""))
            await stack.aclose()
            # An `Auth` that does nothing, where None would let the address name a user: S3 takes no header
            # beside the signature in its address.
            response = await self._open(stack, target, httpx.Auth())
            if 300 <= response.status_code < 400:
                raise _redirected()
            if response.status_code != 200:
                raise UpstreamUnavailable(
                    f"The storage of Amplitude's cohort file answered {response.status_code}; fetch it again.",
                    retry_after=_wait(response.headers),
                )
        elif status != 200:
            reply = Reply(status, response.headers, b"", whole=True)
            raise _refusal(reply, self._base, path)
        return response

    async def _open(self, stack: AsyncExitStack, url: str, auth: httpx.Auth) -> httpx.Response:
        try:
            return await stack.enter_async_context(
                stream(self._client, "GET", url, auth=auth, headers=_FILE_HEADERS)
            )
        except httpx.RequestError as error:
            raise _unreached(error) from None

    async def _get(self, path: str, **request: Any) -> Reply:
        try:
            return await call(self._client, "GET", self._base + path, auth=self._auth, **request)
        except httpx.RequestError as error:
            raise _unreached(error) from None
