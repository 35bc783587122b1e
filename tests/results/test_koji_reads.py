"""What is asked of Koji, and what each of its answers means to the caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from connector.errors import CredentialsRejected, NotFound, UpstreamRejected, UpstreamUnavailable
from connector.koji.client import KojiClient
from connector.koji.refusals import RateLimited
from connector.net.client import open_client

pytestmark = pytest.mark.contract

BASE = "https://koji.so"
URL = f"{BASE}/api/v1/interviews/int-1"
KEY = "pk_live_0123456789abcdef0123456789abcdef"  # not-a-secret


@pytest.fixture
async def koji() -> AsyncIterator[KojiClient]:
    async with open_client() as client:
        yield KojiClient(client, BASE + "/", KEY)


@respx.mock
async def test_read_returns_kojis_object(koji: KojiClient) -> None:
    interview = {"interview_id": "int-1", "analysis": {"quality_score": 4.2}}
    route = respx.get(URL).respond(200, json=interview)
    assert await koji.read("int-1") == interview
    request = route.calls.last.request
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-session-token" not in request.headers


@pytest.mark.parametrize(
    ("interview_id", "path"),
    [
        ("a/b", b"a%2Fb"),
        ("../../admin", b"..%2F..%2Fadmin"),
        ("a?b#c", b"a%3Fb%23c"),
        ("a%2Fb", b"a%252Fb"),
        ("zoë 1", b"zo%C3%AB%201"),
    ],
)
@respx.mock
async def test_the_id_stays_one_path_segment(koji: KojiClient, interview_id: str, path: bytes) -> None:
    route = respx.get(host="koji.so").respond(200, json={})
    await koji.read(interview_id)
    assert route.calls.last.request.url.raw_path == b"/api/v1/interviews/" + path


@pytest.mark.parametrize("interview_id", ["", ".", "..", "\ud800"])
@respx.mock
async def test_an_id_that_no_path_can_carry_is_not_found(koji: KojiClient, interview_id: str) -> None:
    with pytest.raises(NotFound):
        await koji.read(interview_id)
    assert not respx.calls


@pytest.mark.parametrize(
    ("status", "error", "code", "words"),
    [
        (401, CredentialsRejected, "koji_key", "KOJI_API_KEY"),
        (402, UpstreamRejected, "koji_credits", "credits"),
        (403, CredentialsRejected, "koji_permission", "interview:read"),
        (404, NotFound, "not_found_in_koji", "interview_id"),
        (400, UpstreamRejected, "upstream_refused", "400"),
        (410, UpstreamRejected, "upstream_refused", "410"),
        (408, UpstreamUnavailable, "upstream_unavailable", "408"),
        (429, RateLimited, "upstream_unavailable", "429"),
        (500, UpstreamUnavailable, "upstream_unavailable", "500"),
        (503, UpstreamUnavailable, "upstream_unavailable", "503"),
        (520, UpstreamUnavailable, "upstream_unavailable", "520"),
    ],
)
@respx.mock
async def test_statuses(koji: KojiClient, status: int, error: Any, code: str, words: str) -> None:
    respx.get(URL).respond(status)
    with pytest.raises(error) as raised:
        await koji.read("int-1")
    assert raised.value.reason == code
    assert words in raised.value.message
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "90"}, 90),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 60),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({}, 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
@respx.mock
async def test_retry_after_is_honoured(
    koji: KojiClient, status: int, headers: dict[str, str], seconds: int
) -> None:
    respx.get(URL).respond(status, headers=headers)
    with pytest.raises(UpstreamUnavailable) as raised:
        await koji.read("int-1")
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.DecodingError("x"),
    ],
)
@respx.mock
async def test_transport_errors_are_unavailable(koji: KojiClient, error: Any) -> None:
    respx.get(URL).mock(side_effect=error)
    with pytest.raises(UpstreamUnavailable) as raised:
        await koji.read("int-1")
    assert raised.value.retry_after


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://www.koji.so/api/v1/interviews/int-1", "set KOJI_BASE_URL to https://www.koji.so."),
        ("https://x:y@www.koji.so:8443/api/v1/interviews/int-1/?a=b", "to https://www.koji.so:8443."),
        ("//www.koji.so/eu/api/v1/interviews/int-1", "to https://www.koji.so/eu."),
        ("/login?next=int-1", "check KOJI_BASE_URL."),
        ("http://[broken", "check KOJI_BASE_URL."),
    ],
)
@pytest.mark.parametrize("status", [301, 307])
@respx.mock
async def test_a_redirect_names_the_right_base_url(
    koji: KojiClient, status: int, location: str, words: str
) -> None:
    respx.get(URL).respond(status, headers={"Location": location})
    with pytest.raises(UpstreamRejected) as raised:
        await koji.read("int-1")
    assert raised.value.reason == "koji_redirect"
    assert words in raised.value.message
    assert len(respx.calls) == 1


@respx.mock
async def test_a_redirect_to_nowhere_is_unavailable(koji: KojiClient) -> None:
    respx.get(URL).respond(302, headers={"Location": "javascript:alert(1)"})
    with pytest.raises(UpstreamUnavailable):
        await koji.read("int-1")


@pytest.mark.parametrize("base", ["koji.so", "https://koji.so:port", "ftp://koji.so"])
async def test_an_address_that_is_none_names_the_setting(base: str) -> None:
    async with open_client() as client:
        with pytest.raises(UpstreamRejected) as raised:
            await KojiClient(client, base, KEY).read("int-1")
    assert "KOJI_BASE_URL" in raised.value.message


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'"x"', b"", b"[" * 100_000, b"\xff"])
@respx.mock
async def test_what_is_no_object_is_unavailable(koji: KojiClient, content: bytes) -> None:
    respx.get(URL).respond(200, content=content)
    with pytest.raises(UpstreamUnavailable):
        await koji.read("int-1")


@respx.mock
async def test_a_huge_answer_is_refused(koji: KojiClient) -> None:
    respx.get(URL).respond(200, content=b'{"a":"' + b"x" * (20 * 1024 * 1024) + b'"}')
    with pytest.raises(UpstreamRejected):
        await koji.read("int-1")


@pytest.mark.parametrize(
    "body",
    [
        {"error": "rate limited today"},
        {"error": {"code": "limit", "message": "rate limited today"}},
        {"error": {"code": "rate limited today"}},
        {"message": "rate limited today"},
        {"detail": "rate limited\n today"},
    ],
)
@respx.mock
async def test_kojis_words_are_quoted(koji: KojiClient, body: dict[str, Any]) -> None:
    respx.get(URL).respond(429, json=body)
    with pytest.raises(UpstreamUnavailable) as raised:
        await koji.read("int-1")
    assert '("rate limited today")' in raised.value.message


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"error": f"key {KEY} is bad"}).encode(),
        json.dumps({"error": "somebody@example.com is unknown"}).encode(),
        json.dumps({"error": "<b>no</b>"}).encode(),
        json.dumps({"error": {"message": ["x"]}, "detail": 3}).encode(),
        b'["no"]',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
@respx.mock
async def test_what_is_not_plain_is_not_quoted(koji: KojiClient, content: bytes) -> None:
    respx.get(URL).respond(401, content=content)
    with pytest.raises(CredentialsRejected) as raised:
        await koji.read("int-1")
    assert '"' not in raised.value.message


@respx.mock
async def test_long_words_are_cut(koji: KojiClient) -> None:
    respx.get(URL).respond(403, json={"message": "word " * 100})
    with pytest.raises(CredentialsRejected) as raised:
        await koji.read("int-1")
    assert len(raised.value.message) <= 250
    assert raised.value.message.split('"')[1] == ("word " * 100)[:120]


@respx.mock
async def test_a_short_key_is_not_quoted_either() -> None:
    respx.get(URL).respond(401, json={"error": "no such key: abc"})
    async with open_client() as client:
        with pytest.raises(CredentialsRejected) as raised:
            await KojiClient(client, BASE, "abc").read("int-1")
    assert "abc" not in raised.value.message


@pytest.mark.parametrize("key", ["pk_livé", "pk\nlive"])
async def test_a_key_that_no_header_can_carry(key: str) -> None:
    async with open_client() as client:
        with pytest.raises(CredentialsRejected) as raised:
            await KojiClient(client, "http://127.0.0.1:1", key).read("int-1")
    assert raised.value.reason == "koji_key"
    assert key not in raised.value.message
