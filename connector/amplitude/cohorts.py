"""Download cohorts from Amplitude (Behavioral Cohorts API): list, request, wait, and stream the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

import httpx

from connector.amplitude import cohort_responses as responses
from connector.amplitude.cohort_file import CohortFile
from connector.amplitude.rest import AmplitudeRest
from connector.domain.launches.launch import Cohort
from connector.errors import UpstreamUnavailable
from connector.net.client import Reply, path_segment, stream
from connector.net.names import Names
from connector.net.target_client import PrivateTarget, checked

_LIST: Final = "/api/3/cohorts"
_REQUEST: Final = "/api/5/cohorts/request"
_STATUS: Final = "/api/5/cohorts/request-status"
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_FILE_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "gzip"}
_NAMES: Final = Names(most=8)


class AmplitudeCohortsClient(AmplitudeRest):
    """One project's cohorts.

    Every method also raises `CredentialsRejected` (`amplitude_key`), `UpstreamRejected` (`amplitude_redirect`
    and others) or `UpstreamUnavailable` with `retry_after`.
    """

    part = "cohorts"
    retry_unreached = 10

    async def listed(self) -> list[Cohort]:
        """Return the discoverable cohorts in Amplitude's order, without archived and hidden ones."""
        return responses.read_cohorts((await self._get(_LIST)).body)

    async def request(self, cohort_id: str, properties: Sequence[str]) -> str:
        """Ask for a download with these user properties, and return its request id.

        Counts against 60 in 10 minutes and 500 a month of the project. Raises `NotFound`
        (`cohort_not_found`), `InvalidInput` (`cohort_too_large`), `UpstreamUnavailable` (`cohort_quota`).
        """
        quoted = path_segment(cohort_id)
        if quoted is None:
            raise responses.unknown_cohort()
        query = [("props", "1"), *(("propKeys", name) for name in properties)] if properties else []
        reply = await self._get(f"{_REQUEST}/{quoted}", responses.request_refusal, params=query)
        request_id = responses.read_object(reply.body).get("request_id")
        if not isinstance(request_id, str | int) or not request_id:
            raise responses.foreign()
        return str(request_id)

    async def is_ready(self, request_id: str) -> bool:
        """Tell whether a requested file is made.

        Raises `NotFound` (`cohort_request_gone`), `UpstreamUnavailable` (`cohort_job_failed`).
        """
        quoted = path_segment(request_id)
        if quoted is None:
            raise responses.gone()
        reply = await self._get(f"{_STATUS}/{quoted}", responses.status_refusal)
        return responses.read_readiness(reply.status, reply.body)

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
                    f"Amplitude's cohort file was cut ({type(error).__name__}); it is fetched again.",
                    code="cohort_file_cut",
                    retry_after=5,
                ) from None
            # With either header httpx itself tells an answer that was cut from one that ended.
            whole = "content-length" in response.headers or "transfer-encoding" in response.headers
            if rows := file.finish(whole=whole):
                yield rows

    async def _open_file(self, stack: AsyncExitStack, request_id: str) -> httpx.Response:
        quoted = path_segment(request_id)
        if quoted is None:
            raise responses.gone()
        path = f"{_REQUEST}/{quoted}/file"
        response = await self._open(stack, self._base + path, self._auth)
        status = response.status_code
        if status == 404:
            raise responses.gone()
        if status in _MOVED:
            target = responses.target(self._base + path, response.headers.get("location", ""))
            if urlsplit(target)[:2] != urlsplit(self._base)[:2]:
                await _require_allowed(target, self._base)
            await stack.aclose()
            # An `Auth` that does nothing, where None would let the address name a user: S3 takes no header
            # beside the signature in its address.
            response = await self._open(stack, target, httpx.Auth())
            if 300 <= response.status_code < 400:
                raise responses.redirected()
            if response.status_code != 200:
                raise responses.storage_refusal(response.status_code, response.headers)
        elif status != 200:
            raise self._refusal(Reply(status, response.headers, b"", whole=True), path)
        return response

    async def _open(self, stack: AsyncExitStack, url: str, auth: httpx.Auth) -> httpx.Response:
        at = ("amplitude", "cohort_file")
        try:
            return await stack.enter_async_context(
                stream(self._client, "GET", url, at=at, auth=auth, headers=_FILE_HEADERS)
            )
        except httpx.RequestError as error:
            raise self._unreached(error, url) from None


async def _require_allowed(url: str, base: str) -> None:
    """Raise `UpstreamRejected` for a file outside the configured server that is not on public HTTPS.

    A private address is allowed where the configured server has one too.
    """
    allowed = await _is_private(base) if await _is_private(url) else urlsplit(url).scheme == "https"
    if not allowed:
        raise responses.redirected()


async def _is_private(url: str) -> bool:
    """Tell whether a host is not public; one that does not resolve here may be known to a proxy."""
    try:
        await checked(urlsplit(url).hostname or "", _NAMES, allow_private=False)
    except PrivateTarget:
        return True
    except OSError:
        return False
    return False
