"""Koji's REST API: start, read and end interviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from connector import koji_answers as answers
from connector.errors import CredentialsRejected, OutcomeUnknown, UpstreamRejected, UpstreamUnavailable
from connector.http_client import ANSWER_LIMIT, Reply, call, never_sent, redirect_base
from connector.inviting import Started

_START = "/api/v1/interviews/start"
_COMPLETE = "/api/interview/complete"
_NO_ADDRESS = "KOJI_BASE_URL is no http or https address."


class KojiClient:
    """Koji's REST interface with one project's key. `base_url` has no `/api` in it."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, api_key: str) -> None:
        self._client = client
        self._base = base_url.rstrip("/")
        self._api_key = api_key
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def read(self, interview_id: str) -> Mapping[str, Any]:
        """Return the interview as Koji's JSON object (Koji REST: the key needs `interview:read`).

        Raises `NotFound` (`not_found_in_koji`), `CredentialsRejected` (`koji_key`, `koji_permission`),
        `UpstreamRejected` (`koji_credits`, `koji_redirect`, …) or `UpstreamUnavailable` with `retry_after`.
        """
        path = f"/api/v1/interviews/{_segment(interview_id)}"
        reply = await self._repeatable("GET", path)
        if reply.status == 404:
            raise answers.not_found()
        if not 200 <= reply.status < 300:
            said = answers.quoted(reply.body, self._api_key)
            raise answers.refusal(
                reply.status, reply.headers, said, permission="interview:read", what="the read"
            )
        return _whole_object(reply)

    async def start(self, body: Mapping[str, Any]) -> Started:
        """Start an interview with exactly this body (Koji REST: the key needs `interview:start`).

        Raises `UpstreamUnavailable` when it surely did not happen, `OutcomeUnknown` when nobody knows,
        `CredentialsRejected` (`koji_key`, `koji_permission`), and `UpstreamRejected`: `koji_credits`, or
        `refused_by_koji` for this one person.
        """
        self._check_key()
        url = self._base + _START
        try:
            reply = await call(self._client, "POST", url, json=dict(body), headers=self._headers)
        except httpx.UnsupportedProtocol:
            raise UpstreamUnavailable(
                _NO_ADDRESS, code="koji_redirect", retry_after=answers.DEFAULT_WAIT
            ) from None
        except httpx.RequestError as error:
            name = type(error).__name__
            if never_sent(error):
                raise _unreachable(name) from None
            raise OutcomeUnknown(
                f"The call was cut ({name}); Koji may or may not have started the interview."
            ) from None
        if 300 <= reply.status < 400:
            words = answers.redirected(redirect_base(url, _START, reply.headers))
            raise UpstreamUnavailable(words, code="koji_redirect", retry_after=answers.DEFAULT_WAIT)
        if not 200 <= reply.status < 300:
            said = answers.quoted(reply.body, self._api_key)
            raise answers.start_refusal(reply.status, reply.headers, said)
        return answers.read_start(reply.body)

    async def complete(self, interview_id: str, session_token: str, reason: str) -> Mapping[str, Any]:
        """End an interview; return Koji's JSON object, the same for one that was ended before.

        Koji REST: idempotent, 409 carries what 200 carries; the key needs `interview:complete`. Raises as
        `read`, and `CredentialsRejected` with code `koji_session` when the key or the session token is wrong.
        """
        if not (session_token.isascii() and session_token.isprintable()):
            raise _session_refused()
        reply = await self._repeatable(
            "POST",
            _COMPLETE,
            json={"interview_id": interview_id, "reason": reason},
            headers={"X-Session-Token": session_token},
        )
        if reply.status == 404:
            raise answers.not_found()
        if reply.status == 401:
            raise _session_refused()
        if reply.status != 409 and not 200 <= reply.status < 300:
            said = answers.quoted(reply.body, self._api_key)
            raise answers.refusal(
                reply.status, reply.headers, said, permission="interview:complete", what="to end it"
            )
        told = answers.read_object(reply.body) or {}
        return {"interview_id": interview_id, "status": "completed", **told}

    async def _repeatable(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Reply:
        """Make a call that may be made again; an answer that is a redirect is an error."""
        self._check_key()
        url = self._base + path
        try:
            reply = await call(
                self._client, method, url, headers={**self._headers, **(headers or {})}, **request
            )
        except httpx.UnsupportedProtocol:
            raise UpstreamRejected(_NO_ADDRESS) from None
        except httpx.RequestError as error:
            raise _unreachable(type(error).__name__) from None
        if 300 <= reply.status < 400:
            raise UpstreamRejected(
                answers.redirected(redirect_base(url, path, reply.headers)), code="koji_redirect"
            )
        return reply

    def _check_key(self) -> None:
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise answers.malformed_key()


def _segment(interview_id: str) -> str:
    """Quote an id as one path segment; dots alone would climb the path, and no interview has such an id."""
    if not interview_id.strip("."):
        raise answers.not_found()
    try:
        return quote(interview_id, safe="")
    except UnicodeEncodeError:
        raise answers.not_found() from None


def _whole_object(reply: Reply) -> Mapping[str, Any]:
    if not reply.whole:
        raise UpstreamRejected(
            f"Koji's answer is larger than {ANSWER_LIMIT // 1024 // 1024} MB; it was not read."
        )
    told = answers.read_object(reply.body)
    if told is None:
        raise UpstreamUnavailable(
            "Koji answered with something that is not a JSON object; check KOJI_BASE_URL if this stays.",
            retry_after=answers.DEFAULT_WAIT,
        )
    return told


def _unreachable(name: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"Koji could not be reached ({name}); try again later.", retry_after=answers.DEFAULT_WAIT
    )


def _session_refused() -> CredentialsRejected:
    return CredentialsRejected(
        "Koji refused the API key or the session token of this interview.", code="koji_session"
    )
