"""The bytes that leave for Amplitude, and what is made of what comes back or does not."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import respx

from connector.amplitude.ingestion import AmplitudeIngestion
from connector.amplitude.regions import REGIONS
from connector.amplitude.responses import Kind
from connector.amplitude.users import AmplitudeUsersClient
from connector.errors import CredentialsRejected, UpstreamRejected, UpstreamUnavailable
from connector.net import client as http_client
from connector.net.client import open_client

pytestmark = pytest.mark.contract

INGESTION = "https://api2.amplitude.com/2/httpapi"
SEARCH = "https://amplitude.com/api/2/usersearch"
KEY = 'key-"of"-tests'
EVENTS = ['{"event_type":"a","user_id":"zoë-1"}', '{"event_type":"b","user_id":"zoë-2"}']
IDS = ["zoë-1", "zoë-2"]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
def ingestion(client: httpx.AsyncClient) -> AmplitudeIngestion:
    return AmplitudeIngestion(client, REGIONS["us"].ingestion, KEY, 5)


@pytest.fixture
def users(client: httpx.AsyncClient) -> AmplitudeUsersClient:
    return AmplitudeUsersClient(client, REGIONS["us"].rest, "api", "secret")


@respx.mock
async def test_the_body_joins_the_events_as_they_are(ingestion: AmplitudeIngestion) -> None:
    route = respx.post(INGESTION).respond(200, json={"code": 200, "events_ingested": 2})
    found = await ingestion.send(EVENTS, IDS)
    request = route.calls.last.request
    assert request.content.decode() == f'{{"api_key":{json.dumps(KEY)},"events":[{EVENTS[0]},{EVENTS[1]}]}}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "koji-amplitude/0.1.0"
    assert (found.kind, found.events_ingested) == (Kind.ACCEPTED, 2)


@respx.mock
async def test_a_changed_minimum_id_length_is_sent(client: httpx.AsyncClient) -> None:
    route = respx.post("https://api.eu.amplitude.com/2/httpapi").respond(200, json={"code": 200})
    await AmplitudeIngestion(client, REGIONS["eu"].ingestion + "/", KEY, 1).send(EVENTS, IDS)
    sent = json.loads(route.calls.last.request.content)
    assert list(sent) == ["api_key", "options", "events"]
    assert sent["options"] == {"min_id_length": 1}


@respx.mock
async def test_a_lone_surrogate_does_not_hold_up_the_others(ingestion: AmplitudeIngestion) -> None:
    route = respx.post(INGESTION).respond(200, json={"code": 200})
    assert (await ingestion.send(['{"user_id":"\ud800"}', EVENTS[0]], IDS)).kind is Kind.ACCEPTED
    assert json.loads(route.calls.last.request.content)["events"][1] == json.loads(EVENTS[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("no route"), Kind.UNAVAILABLE),
        (httpx.ConnectTimeout("slow"), Kind.UNAVAILABLE),
        (httpx.PoolTimeout("busy"), Kind.UNAVAILABLE),
        (httpx.ProxyError("407"), Kind.UNAVAILABLE),
        (httpx.WriteError("cut"), Kind.UNKNOWN),
        (httpx.WriteTimeout("slow"), Kind.UNKNOWN),
        (httpx.ReadTimeout("slow"), Kind.UNKNOWN),
        (httpx.ReadError("cut"), Kind.UNKNOWN),
        (httpx.RemoteProtocolError("cut"), Kind.UNKNOWN),
        (httpx.DecodingError("no gzip"), Kind.UNKNOWN),
    ],
)
@respx.mock
async def test_transport_errors_are_answers(ingestion: AmplitudeIngestion, error: Any, kind: Kind) -> None:
    respx.post(INGESTION).mock(side_effect=error)
    found = await ingestion.send(EVENTS, IDS)
    assert (found.kind, found.status) == (kind, None)
    assert found.message


async def test_nobody_listening_is_unavailable(client: httpx.AsyncClient) -> None:
    found = await AmplitudeIngestion(client, "http://127.0.0.1:1", KEY, 5).send(EVENTS, IDS)
    assert found.kind is Kind.UNAVAILABLE


async def test_an_address_without_a_scheme_pauses(client: httpx.AsyncClient) -> None:
    found = await AmplitudeIngestion(client, "api2.amplitude.com", KEY, 5).send(EVENTS, IDS)
    assert (found.kind, "AMPLITUDE_INGESTION_URL" in found.message) == (Kind.PAUSED, True)


@respx.mock
async def test_a_redirect_is_not_followed(ingestion: AmplitudeIngestion) -> None:
    other = respx.post("https://elsewhere.example.com/2/httpapi").respond(200, json={"code": 200})
    respx.post(INGESTION).respond(308, headers={"Location": "https://elsewhere.example.com/2/httpapi"})
    found = await ingestion.send(EVENTS, IDS)
    assert found.kind is Kind.PAUSED
    assert not other.called


@respx.mock
async def test_an_endless_answer_is_cut(ingestion: AmplitudeIngestion) -> None:
    respx.post(INGESTION).respond(200, content=b'{"code":200,"x":"' + b"x" * 2_000_000 + b'"}')
    assert (await ingestion.send(EVENTS, IDS)).kind is Kind.UNKNOWN


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_never_ends_is_a_cut(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"]}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await reader.read()
        writer.close()
        closed.set()

    monkeypatch.setattr(http_client, "_DEADLINE_SECONDS", 0.2)
    async with listening(handler) as url:
        found = await AmplitudeIngestion(client, url, KEY, 5).send(EVENTS, IDS)
        await closed.wait()
    assert (found.kind, found.status) == (Kind.UNKNOWN, None)
    assert "ReadTimeout" in found.message


async def test_a_connection_closed_after_the_request_is_a_cut(client: httpx.AsyncClient) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"]}")
        writer.close()

    async with listening(handler) as url:
        found = await AmplitudeIngestion(client, url, KEY, 5).send(EVENTS, IDS)
    assert found.kind is Kind.UNKNOWN


@respx.mock
async def test_the_probe_can_ingest_nothing(ingestion: AmplitudeIngestion) -> None:
    body = {
        "code": 400,
        "error": "Request missing required field",
        "missing_field": None,
        "events_with_missing_fields": {"event_type": [0]},
    }
    route = respx.post(INGESTION).respond(400, json=body)
    found = await ingestion.probe()
    (event,) = json.loads(route.calls.last.request.content)["events"]
    assert "event_type" not in event
    assert (found.kind, "event_type" in found.message) == (Kind.REJECTED, True)


@pytest.mark.parametrize("error", ["Invalid API key: 0123abcd", "Invalid API Key"])
@respx.mock
async def test_the_probe_knows_a_bad_key(ingestion: AmplitudeIngestion, error: Any) -> None:
    respx.post(INGESTION).respond(400, json={"code": 400, "error": error})
    found = await ingestion.probe()
    assert found.kind is Kind.PAUSED
    assert "AMPLITUDE_API_KEY" in found.message
    assert "0123abcd" not in found.message


@respx.mock
async def test_search_finds_the_exact_user_only(users: AmplitudeUsersClient) -> None:
    matches = [
        {"user_id": "ann+1@example.com", "amplitude_id": 1},
        {"user_id": "ann+1@example.com.test", "amplitude_id": 2},
        {"user_id": None, "amplitude_id": 3},
    ]
    route = respx.get(SEARCH).respond(200, json={"matches": matches, "type": "match_user_or_device_id"})
    assert await users.search("ann+1@example.com") == ["ann+1@example.com"]
    request = route.calls.last.request
    assert request.url.raw_path == b"/api/2/usersearch?user=ann%2B1%40example.com"
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"api:secret").decode()


@respx.mock
async def test_search_without_a_match(users: AmplitudeUsersClient) -> None:
    respx.get(SEARCH).respond(200, json={"matches": [], "type": "nomatch"})
    assert await users.search("nobody") == []


@respx.mock
async def test_search_errors(users: AmplitudeUsersClient) -> None:
    def reply(*args: Any, **kwargs: Any) -> None:
        respx.get(SEARCH).respond(*args, **kwargs)

    for status, body in ((401, b""), (403, b"{}"), (400, b'{"code":403,"error":"Invalid API Key"}')):
        reply(status, content=body)
        with pytest.raises(CredentialsRejected) as refused:
            await users.search("somebody@example.com")
        assert "AMPLITUDE_SECRET_KEY" in refused.value.message
        assert "AMPLITUDE_REGION" in refused.value.message
    for status in (429, 500, 503):
        reply(status, headers={"Retry-After": "17"})
        with pytest.raises(UpstreamUnavailable) as unavailable:
            await users.search("somebody@example.com")
        assert unavailable.value.retry_after == 17
    for content in (b"<html>", b"[]", b'{"matches":1}', b'{"matches":[{}]}', b"[" * 100_000):
        reply(200, content=content)
        with pytest.raises(UpstreamUnavailable):
            await users.search("somebody@example.com")
    reply(404)
    with pytest.raises(UpstreamRejected):
        await users.search("somebody@example.com")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://analytics.eu.amplitude.com/api/2/usersearch?user=x", "https://analytics.eu.amplitude.com."),
        ("/login?next=/api/2/usersearch", "check AMPLITUDE_REST_URL"),
    ],
)
@respx.mock
async def test_a_search_redirect_names_the_right_base(
    users: AmplitudeUsersClient, location: str, words: str
) -> None:
    respx.get(SEARCH).respond(302, headers={"Location": location})
    with pytest.raises(UpstreamRejected) as refused:
        await users.search("x")
    assert words in refused.value.message
    assert refused.value.reason == "amplitude_redirect"


@respx.mock
async def test_search_transport_errors_show_no_address(
    users: AmplitudeUsersClient, caplog: pytest.LogCaptureFixture
) -> None:
    respx.get(SEARCH).mock(side_effect=httpx.ReadTimeout("slow"))
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamUnavailable) as unavailable:
        await users.search("somebody@example.com")
    assert "somebody" not in str(unavailable.value)
    assert "somebody" not in caplog.text


@respx.mock
async def test_a_searched_address_is_not_logged(
    users: AmplitudeUsersClient, caplog: pytest.LogCaptureFixture
) -> None:
    respx.get(SEARCH).respond(200, json={"matches": []})
    with caplog.at_level(logging.DEBUG):
        await users.search("somebody@example.com")
    assert "somebody" not in caplog.text


async def test_the_deadline_leaves_room_for_connecting(client: httpx.AsyncClient) -> None:
    timeout = client.timeout
    assert timeout.pool is not None
    assert timeout.connect is not None
    assert timeout.pool + 2 * timeout.connect < http_client._DEADLINE_SECONDS
    assert not client.follow_redirects
