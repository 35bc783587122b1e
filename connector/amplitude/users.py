"""Look a user up in Amplitude (Dashboard REST API)."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import httpx

from connector.errors import CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.net.client import Reply, call, redirect_base
from connector.net.retry_after import retry_after_seconds

_PATH: Final = "/api/2/usersearch"
_ANSWER_LIMIT: Final = 4 * 1024 * 1024
_DEFAULT_WAIT: Final = 60
_KEY = (
    "Amplitude refused the user search: check AMPLITUDE_API_KEY and AMPLITUDE_SECRET_KEY (both of one "
    "project) and AMPLITUDE_REGION."
)


class AmplitudeUsersClient:
    """One project's user search. `url` is the region's REST base URL (`regions.REGIONS`)."""

    def __init__(self, client: httpx.AsyncClient, url: str, api_key: str, secret_key: str) -> None:
        self._client = client
        self._base = url.rstrip("/")
        self._auth = httpx.BasicAuth(api_key, secret_key)

    async def search(self, user: str) -> list[str]:
        """Return the user ids that are exactly `user`: one, or none.

        Amplitude Dashboard REST: the search also finds prefixes, device ids and Amplitude ids, which are left
        out; no match is a 200; both user endpoints together take 360 queries an hour. Raises
        `CredentialsRejected`, `UpstreamRejected` or `UpstreamUnavailable`.
        """
        url = self._base + _PATH
        try:
            reply = await call(
                self._client, "GET", url, limit=_ANSWER_LIMIT, params={"user": user}, auth=self._auth
            )
        except httpx.UnsupportedProtocol:
            raise UpstreamRejected("AMPLITUDE_REST_URL is no http or https address.") from None
        except httpx.RequestError as error:
            raise UpstreamUnavailable(
                f"Amplitude's user search could not be reached ({type(error).__name__}); try again later.",
                retry_after=_DEFAULT_WAIT,
            ) from None
        if not 200 <= reply.status < 300:
            raise _refusal(reply, url)
        return [found for found in _user_ids(reply) if found == user]


def _refusal(reply: Reply, url: str) -> CredentialsRejected | UpstreamRejected | UpstreamUnavailable:
    status = reply.status
    if 300 <= status < 400:
        base = redirect_base(url, _PATH, reply.headers)
        advice = (
            f"set AMPLITUDE_REST_URL to {base}" if base else "check AMPLITUDE_REST_URL and AMPLITUDE_REGION"
        )
        return UpstreamRejected(f"Amplitude's user search redirects: {advice}.", code="amplitude_redirect")
    if status in (401, 403) or (status == 400 and b"invalid api key" in reply.body[:4096].lower()):
        return CredentialsRejected(_KEY, code="amplitude_key")
    if status in (408, 429) or status >= 500:
        wait = retry_after_seconds(reply.headers, time.time())
        return UpstreamUnavailable(
            f"Amplitude's user search answered {status}; try again later.",
            retry_after=_DEFAULT_WAIT if wait is None else wait,
        )
    return UpstreamRejected(f"Amplitude's user search answered {status}; check AMPLITUDE_REST_URL.")


def _user_ids(reply: Reply) -> list[str]:
    try:
        answer: Any = json.loads(reply.body)
        matches = answer["matches"]
        # A match without a user id is a device that nobody signed in on.
        return [match["user_id"] for match in matches if isinstance(match["user_id"], str)]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UpstreamUnavailable(
            "Amplitude's user search gave an answer that is not its own; check AMPLITUDE_REST_URL.",
            retry_after=_DEFAULT_WAIT,
        ) from None
