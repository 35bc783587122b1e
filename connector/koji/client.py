"""Read, start and end interviews with Koji's REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from connector.domain.launches.launch import KOJI_REDIRECT, KojiStart
from connector.errors import CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.koji.refusals import (
    COMPLETE,
    DEFAULT_WAIT,
    READ,
    SESSION,
    KojiRefused,
    not_found,
    refusal,
    start_in_doubt,
    start_refusal,
)
from connector.koji.responses import completed, quoted, started
from connector.net.client import ANSWER_LIMIT, Reply, call, never_sent, path_segment, redirect_base
from connector.net.retry_after import retry_after_seconds
from connector.net.unreached import unreached
from connector.text.json import json_object

_START: Final = "/api/v1/interviews/start"
_COMPLETE: Final = "/api/interview/complete"
_NO_ADDRESS: Final = "KOJI_BASE_URL is no http or https address."


class KojiClient:
    """Koji's REST interface with one project's key. `base_url` has no `/api` in it."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, api_key: str) -> None:
        self._client = client
        self._base = base_url.rstrip("/")
        self._api_key = api_key

    async def read(self, interview_id: str) -> Mapping[str, Any]:
        """Return the interview as Koji's JSON object (Koji REST: the key needs `interview:read`).

        Raises `NotFound` (`not_found_in_koji`), `CredentialsRejected` (`koji_key`, `koji_permission`),
        `UpstreamRejected` (`koji_credits`, `koji_redirect`, …) or `UpstreamUnavailable` with `retry_after`.
        """
        segment = path_segment(interview_id)
        if segment is None:
            raise not_found()
        path = f"/api/v1/interviews/{segment}"
        reply = await self._repeatable("GET", path)
        if not _succeeded(reply):
            raise refusal(self._refused(reply, path), READ)
        return _object(reply)

    async def start(self, body: Mapping[str, Any]) -> KojiStart:
        """Start an interview with exactly this body (Koji REST: the key needs `interview:start`).

        Raises `UpstreamUnavailable` with `retry_after` when surely nothing was started (`koji_redirect` when
        KOJI_BASE_URL is wrong), `OutcomeUnknown` when it is not known, `CredentialsRejected` (`koji_key`,
        `koji_permission`) or `UpstreamRejected` (`koji_credits`, `refused_by_koji`). Koji documents no way to
        repeat a start without starting a second interview.
        """
        name = body.get("respondent", {}).get("display_name")  # no error repeats it, even where Koji does
        try:
            reply = await self._call("POST", _START, body)
        except httpx.UnsupportedProtocol:
            raise UpstreamUnavailable(_NO_ADDRESS, code=KOJI_REDIRECT, retry_after=DEFAULT_WAIT) from None
        except httpx.RequestError as error:
            if never_sent(error):
                raise self._unreachable(error) from None
            raise start_in_doubt(f"The call to Koji was cut ({type(error).__name__})") from None
        if not _succeeded(reply):
            raise start_refusal(self._refused(reply, _START, name))
        answer = json_object(reply.body) if reply.whole else None
        if answer is None:
            raise start_in_doubt("Koji's answer is not a JSON object, or too large")
        return started(answer)

    async def complete(self, interview_id: str, session_token: str, reason: str) -> Mapping[str, Any]:
        """End an interview and return Koji's JSON object (Koji REST: the key needs `interview:complete`).

        `reason` is natural, respondent_left, timeout or manual. An interview that was over already is no
        error (Koji: completing again changes nothing). Raises as `read` does, but `CredentialsRejected` with
        `koji_session` when Koji refuses the key or the session token, without saying which.
        """
        if not _fits_a_header(session_token):
            raise CredentialsRejected(
                "The session token has characters that no HTTP header can carry; end the interview in Koji.",
                code=SESSION,
            )
        body = {"interview_id": interview_id, "reason": reason}
        reply = await self._repeatable("POST", _COMPLETE, body, {"X-Session-Token": session_token})
        if reply.status == 409:
            return completed(json_object(reply.body), interview_id)
        if not _succeeded(reply):
            raise refusal(self._refused(reply, _COMPLETE, session_token), COMPLETE)
        return _object(reply)

    async def _repeatable(self, method: str, path: str, *sent: Mapping[str, Any]) -> Reply:
        """Make a call that does no harm when it reaches Koji twice."""
        try:
            return await self._call(method, path, *sent)
        except httpx.UnsupportedProtocol:
            raise UpstreamRejected(_NO_ADDRESS) from None
        except httpx.RequestError as error:
            raise self._unreachable(error) from None

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        if not _fits_a_header(self._api_key):
            raise CredentialsRejected(
                "KOJI_API_KEY has characters that no HTTP header can carry; copy the key again.",
                code="koji_key",
            )
        sent = {"Authorization": f"Bearer {self._api_key}", **(headers or {})}
        content = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode("ascii")  # half of a surrogate pair has no UTF-8 form
        at = ("koji", {_START: "start", _COMPLETE: "complete"}.get(path, "read"))
        return await call(self._client, method, self._base + path, at=at, headers=sent, content=content)

    def _unreachable(self, error: httpx.RequestError) -> UpstreamUnavailable:
        """Return the error of a call without an answer; no `retry_after` where waiting alone cannot help."""
        message, lasts = unreached(error, "Koji", self._base, "KOJI_BASE_URL")
        return UpstreamUnavailable(message, retry_after=None if lasts else DEFAULT_WAIT)

    def _refused(self, reply: Reply, path: str, hidden: str | None = None) -> KojiRefused:
        wait = retry_after_seconds(reply.headers, time.time())
        return KojiRefused(
            status=reply.status,
            said=quoted(reply.body, [self._api_key, *([hidden] if hidden else [])]),
            wait=DEFAULT_WAIT if wait is None else wait,
            base=redirect_base(self._base + path, path, reply.headers),
        )


def _succeeded(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _fits_a_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


def _object(reply: Reply) -> Mapping[str, Any]:
    if not reply.whole:
        limit = ANSWER_LIMIT // 1024 // 1024
        raise UpstreamRejected(f"Koji's answer is larger than {limit} MB; it was not read.")
    answer = json_object(reply.body)
    if answer is None:
        raise UpstreamUnavailable(
            "Koji answered with something that is not a JSON object; check KOJI_BASE_URL if this stays.",
            retry_after=DEFAULT_WAIT,
        )
    return answer
