"""Send events to Amplitude's HTTP V2 API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import httpx

from connector.amplitude.responses import Answer, Kind, classify
from connector.net.client import call, never_sent
from connector.net.unreached import unreached

_DEFAULT_MIN_ID_LENGTH: Final = 5
_ANSWER_LIMIT: Final = 1024 * 1024  # bytes
_HEADERS: Final = {"Content-Type": "application/json"}
_PROBE_USER: Final = "koji-amplitude-probe"


class AmplitudeIngestion:
    """One Amplitude project's ingestion. `url` is the region's ingestion base URL (`regions.REGIONS`)."""

    def __init__(self, client: httpx.AsyncClient, url: str, api_key: str, min_id_length: int) -> None:
        self._client = client
        self._url = f"{url.rstrip('/')}/2/httpapi"
        is_default = min_id_length == _DEFAULT_MIN_ID_LENGTH
        options = "" if is_default else f'"options":{{"min_id_length":{min_id_length}}},'
        self._head = f'{{"api_key":{json.dumps(api_key)},{options}"events":['

    async def send(self, events: Sequence[str], user_ids: Sequence[str]) -> Answer:
        """Send events, each already JSON text; `user_ids` are theirs, in the same order.

        Never raises for the network: a request that surely never left is UNAVAILABLE, a cut one UNKNOWN.
        """
        try:
            body = self._body(events)
            at = ("amplitude", "ingest")
            reply = await call(
                self._client, "POST", self._url, at=at, limit=_ANSWER_LIMIT, content=body, headers=_HEADERS
            )
        except httpx.UnsupportedProtocol:
            return Answer(Kind.PAUSED, None, "AMPLITUDE_INGESTION_URL is no http or https address")
        except httpx.RequestError as error:
            if never_sent(error):
                message = unreached(error, "Amplitude", self._url, "AMPLITUDE_INGESTION_URL").message
                return Answer(Kind.UNAVAILABLE, None, message.removesuffix("."))
            return Answer(Kind.UNKNOWN, None, f"the call to Amplitude was cut ({type(error).__name__})")
        return classify(reply.status, reply.body, reply.headers, user_ids)

    async def probe(self) -> Answer:
        """Tell a good key from a bad one without ingesting anything.

        Sends one event without `event_type`. REJECTED (Amplitude names that field) means that the key is
        good, PAUSED that key, region or address is wrong.
        """
        return await self.send([json.dumps({"user_id": _PROBE_USER})], [_PROBE_USER])

    def _body(self, events: Sequence[str]) -> bytes:
        # A lone surrogate has no UTF-8 form; one odd character must not hold up all other events.
        return f"{self._head}{','.join(events)}]}}".encode("utf-8", "replace")
