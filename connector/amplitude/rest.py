"""Call Amplitude's REST API with both keys of a project, and name the error of each refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from connector.errors import ConnectorError, CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.net.client import Reply, call, redirect_base
from connector.net.retry_after import retry_after_seconds
from connector.net.unreached import unreached

DEFAULT_WAIT: Final = 60  # seconds, where Amplitude does not say how long
LOOKED_AT: Final = 4_096  # bytes of a response


class AmplitudeRest:
    """The base of one part of the API; `part` names it in messages, such as "cohorts".

    `url` is the region's REST base URL (`regions.REGIONS`).
    """

    part: str
    retry_unreached = DEFAULT_WAIT  # seconds after a call without a response

    def __init__(self, client: httpx.AsyncClient, url: str, api_key: str, secret_key: str) -> None:
        self._client = client
        self._base = url.rstrip("/")
        self._auth = httpx.BasicAuth(api_key, secret_key)

    async def _get(
        self, path: str, error_for: Callable[[Reply], ConnectorError | None] = lambda _: None, **request: Any
    ) -> Reply:
        """Return a 2xx reply. For another one, raise what `error_for` returns, or else the common error."""
        try:
            at = ("amplitude", self.part.replace(" ", "_"))
            reply = await call(self._client, "GET", self._base + path, at=at, auth=self._auth, **request)
        except httpx.RequestError as error:
            raise self._unreached(error, self._base) from None
        if not 200 <= reply.status < 300:
            raise error_for(reply) or self._refusal(reply, path)
        return reply

    def _unreached(self, error: httpx.RequestError, url: str) -> ConnectorError:
        """Return the error for a call without a response; no `retry_after` where waiting cannot help."""
        if isinstance(error, httpx.UnsupportedProtocol):
            return UpstreamRejected("AMPLITUDE_REST_URL is no http or https address.")
        message, lasts = unreached(error, f"Amplitude's {self.part}", url, "AMPLITUDE_REST_URL")
        return UpstreamUnavailable(message, retry_after=None if lasts else self.retry_unreached)

    def _refusal(self, reply: Reply, path: str) -> ConnectorError:
        """Return the error for a refusal that is not about the subject of the request."""
        status = reply.status
        if 300 <= status < 400:
            base = redirect_base(self._base + path, path, reply.headers)
            setting = f"set AMPLITUDE_REST_URL to {base}"
            advice = setting if base else "check AMPLITUDE_REST_URL and AMPLITUDE_REGION"
            verb = "redirect" if self.part.endswith("s") else "redirects"
            return UpstreamRejected(f"Amplitude's {self.part} {verb}: {advice}.", code="amplitude_redirect")
        if status in (401, 403) or (status == 400 and names_the_key(reply.body)):
            return CredentialsRejected(
                f"Amplitude refused the {self.part}: check AMPLITUDE_API_KEY and AMPLITUDE_SECRET_KEY "
                "(both of one project) and AMPLITUDE_REGION.",
                code="amplitude_key",
            )
        if status in (408, 429) or status >= 500:
            message = f"Amplitude's {self.part} answered {status}; try again later."
            return UpstreamUnavailable(message, retry_after=wait(reply.headers))
        return UpstreamRejected(f"Amplitude's {self.part} answered {status}; check AMPLITUDE_REST_URL.")


def names_the_key(body: bytes) -> bool:
    """Tell whether a refusal is about the API key."""
    return b"api key" in body[:LOOKED_AT].lower()


def wait(headers: Mapping[str, str]) -> int:
    """Return how many seconds to wait before the next call."""
    seconds = retry_after_seconds(headers, time.time())
    return DEFAULT_WAIT if seconds is None else seconds
