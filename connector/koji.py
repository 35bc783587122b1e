"""Read interviews from Koji's REST API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import httpx

from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.http_client import ANSWER_LIMIT, Reply, call, redirect_base
from connector.retry_after import retry_after_seconds

_DEFAULT_WAIT: Final = 5
_LONGEST_QUOTE: Final = 120
# Koji's sentences are quoted; anything with an address, a key or an id in it is not.
_PLAIN: Final = re.compile(r"(?:(?!\S{24})[A-Za-z0-9 .,:;'_()!?-])+")

_FINAL: Final[Mapping[int, tuple[type[ConnectorError], str, str, str]]] = MappingProxyType(
    {
        401: (
            CredentialsRejected,
            "koji_key",
            "Koji refused KOJI_API_KEY",
            "check it, or make a new key in the project",
        ),
        402: (
            UpstreamRejected,
            "koji_credits",
            "Koji asks for credits or another plan",
            "look at the plan in Koji",
        ),
        403: (
            CredentialsRejected,
            "koji_permission",
            "KOJI_API_KEY lacks the permission interview:read",
            "add it to the key in Koji",
        ),
    }
)
_OTHER = (
    UpstreamRejected,
    UpstreamRejected.code,
    "Koji refused the read",
    "check interview_id and KOJI_BASE_URL",
)


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
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise CredentialsRejected(
                "KOJI_API_KEY has characters that no HTTP header can carry; copy the key again.",
                code="koji_key",
            )
        path = f"/api/v1/interviews/{_segment(interview_id)}"
        try:
            reply = await call(self._client, "GET", self._base + path, headers=self._headers)
        except httpx.UnsupportedProtocol:
            raise UpstreamRejected("KOJI_BASE_URL is no http or https address.") from None
        except httpx.RequestError as error:
            raise UpstreamUnavailable(
                f"Koji could not be reached ({type(error).__name__}); try again later.",
                retry_after=_DEFAULT_WAIT,
            ) from None
        if not 200 <= reply.status < 300:
            raise _refusal(reply, self._base + path, path, _quoted(reply.body, self._api_key))
        return _interview(reply)


def _segment(interview_id: str) -> str:
    """Quote an id as one path segment; dots alone would climb the path, and no interview has such an id."""
    if not interview_id.strip("."):
        raise _not_found()
    try:
        return quote(interview_id, safe="")
    except UnicodeEncodeError:
        raise _not_found() from None


def _interview(reply: Reply) -> Mapping[str, Any]:
    if not reply.whole:
        raise UpstreamRejected(
            f"Koji's answer is larger than {ANSWER_LIMIT // 1024 // 1024} MB; it was not read."
        )
    try:
        interview = json.loads(reply.body)
    except (ValueError, RecursionError):
        interview = None
    if not isinstance(interview, dict):
        raise UpstreamUnavailable(
            "Koji answered with something that is not a JSON object; check KOJI_BASE_URL if this stays.",
            retry_after=_DEFAULT_WAIT,
        )
    return interview


def _refusal(reply: Reply, url: str, path: str, said: str) -> ConnectorError:
    status = reply.status
    if status == 404:
        return _not_found()
    if 300 <= status < 400:
        base = redirect_base(url, path, reply.headers)
        advice = f"set KOJI_BASE_URL to {base}" if base else "check KOJI_BASE_URL"
        return UpstreamRejected(f"Koji's address redirects: {advice}.", code="koji_redirect")
    if status in (408, 429) or status >= 500:
        wait = retry_after_seconds(reply.headers, time.time())
        return UpstreamUnavailable(
            f"Koji answered {status}{said}; try again later.",
            retry_after=_DEFAULT_WAIT if wait is None else wait,
        )
    error, code, what, next_step = _FINAL.get(status, _OTHER)
    return error(f"{what} ({status}){said}: {next_step}.", code=code)


def _not_found() -> NotFound:
    return NotFound(
        "Koji has no such interview in the project of this key; check interview_id and KOJI_API_KEY.",
        code="not_found_in_koji",
    )


def _quoted(body: bytes, api_key: str) -> str:
    """Return Koji's own words in brackets, or nothing. Koji does not publish the shape of its errors."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(problem, dict):
        return ""
    error = problem.get("error")
    nested = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error,)
    for text in (*nested, problem.get("message"), problem.get("detail")):
        if isinstance(text, str) and text.strip():
            words = " ".join(text.split())[:_LONGEST_QUOTE]
            return f' ("{words}")' if _PLAIN.fullmatch(words) and api_key not in words else ""
    return ""
