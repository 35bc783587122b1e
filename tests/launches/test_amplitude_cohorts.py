"""How a cohort is asked for and fetched: what leaves for Amplitude, and what is made of every answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import respx

from connector.amplitude.cohorts import AmplitudeCohortsClient
from connector.amplitude.regions import REGIONS
from connector.domain.launches.launch import Cohort
from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    InvalidInput,
    NotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.net import client as http_client
from connector.net.client import open_client
from connector.sandbox import SandboxOptions, create_sandbox
from connector.sandbox.amplitude.cohorts import Cohort as SandboxCohort
from connector.sandbox.amplitude.cohorts import Member
from tests.fixtures import load
from tests.support.harness import MovableClock, serving

pytestmark = pytest.mark.contract

BASE = "https://amplitude.com"
LIST = f"{BASE}/api/3/cohorts"
REQUEST = f"{BASE}/api/5/cohorts/request/id_1"
STATUS = f"{BASE}/api/5/cohorts/request-status/r-1"
FILE = f"{BASE}/api/5/cohorts/request/r-1/file"
STORED = "https://bucket.s3.amazonaws.com/a%2Fb.csv.gz?X-Amz-Signature=s3cr%2Fet&x=1"
BASIC = "Basic " + base64.b64encode(b"api-key:secret-key").decode()
CSV = b'"amplitude_id","user_id","name"\n"1","ada-1","Ada ""L""\nB"\n"2","","\xc3\xa9"\n'
ROWS = [{"user_id": "ada-1", "name": 'Ada "L"\nB'}, {"user_id": "", "name": "é"}]
SECRETS = ("api-key", "secret-key", "s3cr", "bucket", "ada-1")


class Body(httpx.AsyncByteStream):
    """The body of an answer: parts, an error, and whether somebody closed it."""

    def __init__(self, *parts: bytes, error: Exception | None = None) -> None:
        self._parts, self._error, self.closed = parts, error, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part
        if self._error:
            raise self._error

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
def cohorts(client: httpx.AsyncClient) -> AmplitudeCohortsClient:
    return AmplitudeCohortsClient(client, REGIONS["us"].rest + "/", "api-key", "secret-key")


async def fetched(cohorts: AmplitudeCohortsClient, request_id: str = "r-1") -> list[dict[str, str]]:
    return [row async for rows in cohorts.rows(request_id, ["name"]) for row in rows]


async def called(cohorts: AmplitudeCohortsClient, what: str) -> Any:
    match what:
        case "listed":
            return await cohorts.listed()
        case "request":
            return await cohorts.request("id_1", ["email"])
        case "is_ready":
            return await cohorts.is_ready("r-1")
    return await fetched(cohorts)


ADDRESSES = {"listed": LIST, "request": REQUEST, "is_ready": STATUS, "rows": FILE}
CALLS = pytest.mark.parametrize("what", ADDRESSES)


def told(error: ConnectorError) -> tuple[type[ConnectorError], str, int | None]:
    assert not [secret for secret in SECRETS if secret in error.message]
    return type(error), error.reason, error.retry_after


@respx.mock
async def test_listed_cohorts_are_those_that_can_be_used(cohorts: AmplitudeCohortsClient) -> None:
    documented = load("amplitude/cohorts")["body"]["cohorts"][0]
    others = [
        {**documented, "id": "old", "archived": True},
        {**documented, "id": "unseen", "hidden": True},
        {"id": "bare"},
        {"id": "odd", "name": None, "size": "many"},
        {"name": "no id"},
        "no cohort",
    ]
    route = respx.get(LIST).respond(200, json={"cohorts": [documented, *others]})
    assert await cohorts.listed() == [
        Cohort("id_12345", "Test Cohort 1", 111),
        Cohort("bare", "bare", None),
        Cohort("odd", "odd", None),
    ]
    request = route.calls.last.request
    assert (request.url.raw_path, request.headers["authorization"]) == (b"/api/3/cohorts", BASIC)


@respx.mock
async def test_a_request_asks_for_the_properties_only(cohorts: AmplitudeCohortsClient) -> None:
    route = respx.get(url__startswith=f"{BASE}/api/5/cohorts/request/")
    route.respond(202, json={**load("amplitude/cohort_requested")["body"], "request_id": "r-1"})
    assert await cohorts.request("id_1", ["email", "full name"]) == "r-1"
    assert await cohorts.request("a/b?c", []) == "r-1"
    assert [call.request.url.raw_path for call in route.calls] == [
        b"/api/5/cohorts/request/id_1?props=1&propKeys=email&propKeys=full+name",
        b"/api/5/cohorts/request/a%2Fb%3Fc",
    ]
    assert {call.request.headers["authorization"] for call in route.calls} == {BASIC}


@pytest.mark.parametrize("odd", ["", ".", "..", "\ud800"])
@respx.mock
async def test_an_id_that_climbs_the_path_is_never_sent(cohorts: AmplitudeCohortsClient, odd: str) -> None:
    for asked, code in (
        (cohorts.request(odd, []), "cohort_not_found"),
        (cohorts.is_ready(odd), "cohort_request_gone"),
        (fetched(cohorts, odd), "cohort_request_gone"),
    ):
        with pytest.raises(NotFound) as refused:
            await asked
        assert refused.value.reason == code
    assert not respx.calls


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (404, {"error": "Not found"}, NotFound, "cohort_not_found"),
        (400, {"error": "Cohort id_1 could not be found"}, NotFound, "cohort_not_found"),
        (400, {"error": {"message": "Unknown cohort"}}, NotFound, "cohort_not_found"),
        (400, {"error": "Cohort is too large to download"}, InvalidInput, "cohort_too_large"),
        (400, {"error": "Cohort size exceeds 2 million"}, InvalidInput, "cohort_too_large"),
        (400, {"error": "Invalid API key: of unknown size"}, CredentialsRejected, "amplitude_key"),
        (400, {"error": "Bad propKeys"}, UpstreamRejected, "upstream_refused"),
    ],
)
@respx.mock
async def test_a_refused_request(
    cohorts: AmplitudeCohortsClient, status: int, body: Any, error: type[ConnectorError], code: str
) -> None:
    respx.get(REQUEST).respond(status, json=body)
    with pytest.raises(error) as refused:
        await cohorts.request("id_1", [])
    assert told(refused.value) == (error, code, None)
    assert ("cohort_id" in refused.value.message) is code.startswith("cohort")


@pytest.mark.parametrize(("headers", "wait"), [({}, 60), ({"Retry-After": "7"}, 7)])
@respx.mock
async def test_a_used_up_quota_waits(
    cohorts: AmplitudeCohortsClient, headers: dict[str, str], wait: int
) -> None:
    fixture = load("invented/amplitude_cohort_quota")
    respx.get(REQUEST).respond(fixture["status"], json=fixture["body"], headers=headers)
    with pytest.raises(UpstreamUnavailable) as refused:
        await cohorts.request("id_1", [])
    assert told(refused.value) == (UpstreamUnavailable, "cohort_quota", wait)


@pytest.mark.parametrize(
    ("status", "body", "ready"),
    [
        (202, load("amplitude/cohort_in_progress")["body"], False),
        (200, load("amplitude/cohort_completed")["body"], True),
        (200, {"async_status": "job_completed"}, True),
        (200, {"async_status": "JOB INPROGRESS"}, False),
        (202, {}, False),
    ],
)
@respx.mock
async def test_a_file_is_ready_when_its_job_is_completed(
    cohorts: AmplitudeCohortsClient, status: int, body: Any, ready: bool
) -> None:
    route = respx.get(STATUS).respond(status, json=body)
    assert await cohorts.is_ready("r-1") is ready
    assert route.calls.last.request.headers["authorization"] == BASIC


@pytest.mark.parametrize("words", ["JOB FAILED", "job_failed", "JOB ERROR"])
@pytest.mark.parametrize("status", [200, 202])
@respx.mock
async def test_a_failed_job_is_told(cohorts: AmplitudeCohortsClient, status: int, words: str) -> None:
    respx.get(STATUS).respond(status, json={"async_status": words})
    with pytest.raises(UpstreamUnavailable) as failed:
        await cohorts.is_ready("r-1")
    assert told(failed.value) == (UpstreamUnavailable, "cohort_job_failed", 60)


@pytest.mark.parametrize("what", ["is_ready", "rows"])
@respx.mock
async def test_a_forgotten_request_is_gone(cohorts: AmplitudeCohortsClient, what: str) -> None:
    respx.get(ADDRESSES[what]).respond(404)
    with pytest.raises(NotFound) as gone:
        await called(cohorts, what)
    assert told(gone.value) == (NotFound, "cohort_request_gone", None)


@CALLS
@pytest.mark.parametrize("status", [401, 403])
@respx.mock
async def test_a_refused_key_names_the_settings(
    cohorts: AmplitudeCohortsClient, what: str, status: int
) -> None:
    respx.get(ADDRESSES[what]).respond(status, json=load("invented/amplitude_rest_unauthorized")["body"])
    with pytest.raises(CredentialsRejected) as refused:
        await called(cohorts, what)
    assert told(refused.value) == (CredentialsRejected, "amplitude_key", None)
    for name in ("AMPLITUDE_API_KEY", "AMPLITUDE_SECRET_KEY", "AMPLITUDE_REGION"):
        assert name in refused.value.message


@CALLS
@pytest.mark.parametrize("status", [408, 429, 500, 503])
@respx.mock
async def test_trouble_at_amplitude_waits(cohorts: AmplitudeCohortsClient, what: str, status: int) -> None:
    respx.get(ADDRESSES[what]).respond(status, headers={"Retry-After": "17"})
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await called(cohorts, what)
    assert unavailable.value.retry_after == 17


@CALLS
@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")]
)
@respx.mock
async def test_a_call_without_an_answer_is_unavailable(
    cohorts: AmplitudeCohortsClient, what: str, error: httpx.RequestError, caplog: pytest.LogCaptureFixture
) -> None:
    respx.get(ADDRESSES[what]).mock(side_effect=error)
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamUnavailable) as unavailable:
        await called(cohorts, what)
    assert told(unavailable.value)[2]
    assert "amplitude.com" not in caplog.text


@CALLS
@respx.mock
async def test_an_unexpected_refusal_is_final(cohorts: AmplitudeCohortsClient, what: str) -> None:
    respx.get(ADDRESSES[what]).respond(418)
    with pytest.raises(UpstreamRejected) as refused:
        await called(cohorts, what)
    assert told(refused.value) == (UpstreamRejected, "upstream_refused", None)


@pytest.mark.parametrize("what", ["listed", "request", "is_ready"])
@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b"{}", b'{"cohorts":1,"request_id":[]}', b"[" * 100_000]
)
@respx.mock
async def test_an_answer_that_is_not_amplitudes(
    cohorts: AmplitudeCohortsClient, what: str, content: bytes
) -> None:
    respx.get(ADDRESSES[what]).respond(200, content=content)
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await called(cohorts, what)
    assert "AMPLITUDE_REST_URL" in unavailable.value.message


@pytest.mark.parametrize("what", ["listed", "request", "is_ready"])
@respx.mock
async def test_a_redirect_names_the_right_base(cohorts: AmplitudeCohortsClient, what: str) -> None:
    elsewhere = ADDRESSES[what].replace(BASE, "https://analytics.eu.amplitude.com")
    respx.get(ADDRESSES[what]).respond(302, headers={"Location": f"{elsewhere}?key=s3cr"})
    with pytest.raises(UpstreamRejected) as refused:
        await called(cohorts, what)
    assert told(refused.value) == (UpstreamRejected, "amplitude_redirect", None)
    assert "https://analytics.eu.amplitude.com." in refused.value.message


@pytest.mark.parametrize("content", [CSV, gzip.compress(CSV)])
@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
@respx.mock
async def test_a_file_is_read_whatever_its_packing(
    cohorts: AmplitudeCohortsClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = httpx.Response(200, stream=Body(content), headers=headers)
    route = respx.get(FILE).mock(return_value=answer)
    assert await fetched(cohorts) == ROWS
    request = route.calls.last.request
    assert request.headers.get_list("authorization") == [BASIC]
    assert request.headers.get_list("accept-encoding") == ["gzip"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("person", ["", "ada:s3cr@"])
@respx.mock
async def test_a_stored_file_is_fetched_bare(
    cohorts: AmplitudeCohortsClient, status: int, person: str
) -> None:
    respx.get(FILE).respond(status, headers={"Location": STORED.replace("//", f"//{person}", 1)})
    route = respx.get(host="bucket.s3.amazonaws.com").respond(200, content=gzip.compress(CSV))
    assert await fetched(cohorts) == ROWS
    request = route.calls.last.request
    assert "authorization" not in request.headers
    assert request.url.raw_path == b"/a%2Fb.csv.gz?X-Amz-Signature=s3cr%2Fet&x=1"
    assert request.headers["accept-encoding"] == "gzip"


@respx.mock
async def test_even_amplitude_itself_gets_no_key_after_a_redirect(cohorts: AmplitudeCohortsClient) -> None:
    respx.get(FILE).respond(302, headers={"Location": "/stored/r-1"})
    route = respx.get(f"{BASE}/stored/r-1").respond(200, content=CSV)
    assert await fetched(cohorts) == ROWS
    assert "authorization" not in route.calls.last.request.headers


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/s3cr",
        "https://[::ffff:10.0.0.1]/s3cr",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost:8443/s3cr",
        "https://2130706433/s3cr",
        "http://storage.example.com/s3cr",
    ],
)
@respx.mock
async def test_a_redirect_into_a_private_network_is_not_followed(
    cohorts: AmplitudeCohortsClient, location: str
) -> None:
    respx.get(FILE).respond(302, headers={"Location": location})
    followed = respx.get(location).respond(200, content=b"user_id\nme\n")
    with pytest.raises(UpstreamRejected) as caught:
        await fetched(cohorts)
    assert caught.value.reason == "amplitude_redirect"
    assert not followed.called


@pytest.mark.parametrize("location", ["http://10.0.0.7:9000/file", "https://[fd00::7]/file"])
@respx.mock
async def test_beside_a_private_server_a_private_file_is_fetched(
    client: httpx.AsyncClient, location: str
) -> None:
    private = AmplitudeCohortsClient(client, "http://10.0.0.5:8080/amplitude", "key", "secret")
    respx.get(f"http://10.0.0.5:8080/amplitude{FILE.removeprefix(BASE)}").respond(
        302, headers={"Location": location}
    )
    respx.get(location).respond(200, content=CSV)
    assert await fetched(private) == ROWS


@pytest.mark.parametrize("location", ["", "ftp://bucket/s3cr", "file:///s3cr", "https://[s3cr", "http://"])
@respx.mock
async def test_a_redirect_to_no_web_address_is_not_followed(
    cohorts: AmplitudeCohortsClient, location: str
) -> None:
    respx.get(FILE).respond(302, headers={"Location": location})
    with pytest.raises((UpstreamRejected, UpstreamUnavailable)) as refused:
        await fetched(cohorts)
    assert told(refused.value)[0] is not NotFound
    assert len(respx.calls) == 1


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (302, UpstreamRejected, "amplitude_redirect"),
        (400, UpstreamUnavailable, "upstream_unavailable"),
        (403, UpstreamUnavailable, "upstream_unavailable"),
        (404, UpstreamUnavailable, "upstream_unavailable"),
        (503, UpstreamUnavailable, "upstream_unavailable"),
    ],
)
@respx.mock
async def test_a_storage_that_refuses_is_not_amplitude(
    cohorts: AmplitudeCohortsClient, status: int, error: type[ConnectorError], code: str
) -> None:
    respx.get(FILE).respond(302, headers={"Location": STORED})
    route = respx.get(host="bucket.s3.amazonaws.com")
    route.respond(status, headers={"Location": "https://elsewhere.example.com/s3cr"})
    with pytest.raises(error) as refused:
        await fetched(cohorts)
    assert told(refused.value)[:2] == (error, code)
    assert len(route.calls) == 1


def stored(body: Body) -> None:
    respx.get(FILE).respond(302, headers={"Location": STORED})
    answer = httpx.Response(200, stream=body)
    respx.get(host="bucket.s3.amazonaws.com").mock(return_value=answer)


@pytest.mark.parametrize("error", [httpx.ReadTimeout("silent"), httpx.ReadError("reset ada-1")])
@respx.mock
async def test_a_download_that_breaks_off_is_cut(cohorts: AmplitudeCohortsClient, error: Exception) -> None:
    stored(body := Body(CSV, error=error))
    rows = cohorts.rows("r-1", ["name"])
    assert await anext(rows) == ROWS
    with pytest.raises(UpstreamUnavailable) as cut:
        await anext(rows)
    assert told(cut.value)[:2] == (UpstreamUnavailable, "cohort_file_cut")
    assert cut.value.retry_after
    assert body.closed


@respx.mock
async def test_who_stops_early_closes_the_connection(cohorts: AmplitudeCohortsClient) -> None:
    stored(body := Body(CSV, CSV, CSV))
    async with aclosing(cohorts.rows("r-1", ["name"])) as rows:
        assert await anext(rows) == ROWS
        assert not body.closed
    assert body.closed


@pytest.mark.parametrize("content", [b"<html>\n<title>Log in</title>\n", b'"amplitude_id"\n"1"\n', b""])
@respx.mock
async def test_what_is_no_cohort_file_is_refused(cohorts: AmplitudeCohortsClient, content: bytes) -> None:
    stored(body := Body(content))
    with pytest.raises(UpstreamRejected) as refused:
        await fetched(cohorts)
    assert told(refused.value)[:2] == (UpstreamRejected, "cohort_file_unreadable")
    assert body.closed


@pytest.mark.parametrize(
    ("head", "sent", "is_cut"),
    [
        (b"Content-Length: %d\r\n" % len(CSV), CSV, False),
        (b"Content-Length: %d\r\n" % (len(CSV) - 1), CSV[:-1], False),
        (b"Content-Length: %d\r\n" % (len(CSV) + 1), CSV, True),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(CSV), CSV), False),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n" % (len(CSV), CSV), True),
        (b"", CSV, False),
        (b"", CSV[:-1], True),
    ],
)
async def test_the_end_of_a_download_is_told_from_a_cut(
    client: httpx.AsyncClient, head: bytes, sent: bytes, is_cut: bool
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + b"\r\n" + sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        cohorts = AmplitudeCohortsClient(client, f"http://127.0.0.1:{port}", "api-key", "secret-key")
        if not is_cut:
            assert await fetched(cohorts) == ROWS
            return
        with pytest.raises(UpstreamUnavailable) as cut:
            await fetched(cohorts)
        assert told(cut.value)[:2] == (UpstreamUnavailable, "cohort_file_cut")


async def test_an_answer_that_never_begins_is_unavailable(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(http_client, "_DEADLINE_SECONDS", 0.2)
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        cohorts = AmplitudeCohortsClient(client, f"http://127.0.0.1:{port}", "api-key", "secret-key")
        with pytest.raises(UpstreamUnavailable):
            await fetched(cohorts)


@pytest.mark.parametrize("redirect", [False, True])
async def test_a_cohort_is_downloaded_from_the_stand_in(client: httpx.AsyncClient, redirect: bool) -> None:
    clock = MovableClock()
    options = SandboxOptions(cohort_redirect=redirect, cohort_job_seconds=30)
    app = create_sandbox(options, now=clock.seconds)
    names = ['Ada "the first"', "a,\r\nb\n\nc", "", '"', "Zoë"]
    members = [Member(f"person-{n}", {"name": name, "plan": "pro"}) for n, name in enumerate(names)]
    cohort = SandboxCohort(id="id_1", name="Drop-off", members=[*members, Member(None)])
    app.state.sandbox.amplitude.cohorts.put(cohort)
    async with serving(app) as url:
        cohorts = AmplitudeCohortsClient(
            client, f"{url}/amplitude", options.amplitude_api_key, options.amplitude_secret_key
        )
        assert await cohorts.listed() == [Cohort("id_1", "Drop-off", 6)]
        with pytest.raises(NotFound):
            await cohorts.request("id_2", [])
        request_id = await cohorts.request("id_1", ["name", "email"])
        assert not await cohorts.is_ready(request_id)
        with pytest.raises(NotFound):
            await fetched(cohorts, request_id)
        clock.move(30)
        assert await cohorts.is_ready(request_id)
        for _ in range(2):  # the request's own address stays good when a signed one was used
            found = [row async for rows in cohorts.rows(request_id, ["name", "email"]) for row in rows]
            assert found == [
                *({"user_id": f"person-{n}", "name": name, "email": ""} for n, name in enumerate(names)),
                {"user_id": "", "name": "", "email": ""},
            ]
        wrong = AmplitudeCohortsClient(client, f"{url}/amplitude", options.amplitude_api_key, "wrong")
        with pytest.raises(CredentialsRejected):
            await fetched(wrong, request_id)
