"""What is sent to Koji to start and to end an interview, and what each of its answers means to the caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest
import respx

from connector.domain.launches.launch import KojiStart
from connector.errors import (
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.koji.client import KojiClient
from connector.koji.refusals import RateLimited
from connector.net.client import open_client
from connector.sandbox import Sandbox, SandboxOptions, create_sandbox
from connector.sandbox.faults import Fault
from tests.support.harness import serving

pytestmark = pytest.mark.contract

BASE = "https://koji.so"
START = f"{BASE}/api/v1/interviews/start"
COMPLETE = f"{BASE}/api/interview/complete"
KEY = "pk_live_0123456789abcdef0123456789abcdef"  # not-a-secret
TOKEN = "st_live_short"
BODY = {
    "respondent": {
        "external_id": "inv_0123456789abcdef0123456789abcdef",
        "display_name": "Zoë Doe",
        "metadata": {"email": "zoe@example.com", "launch_id": "lau_1", "depth": {"n": [1, None, True]}},
    },
    "mode": "text",
    "locale": "nl",
}
HUGE = b'{"interview_id":"' + b"x" * (20 * 1024 * 1024) + b'"}'
NO_OBJECTS = [b"<html>", b"[]", b'"x"', b"null", b"", b"[" * 100_000, b"\xff"]


def _named(value: Any) -> str | None:
    return repr(value[:12]) if isinstance(value, bytes) else None


@pytest.fixture
async def koji() -> AsyncIterator[KojiClient]:
    async with open_client() as client:
        yield KojiClient(client, BASE + "/", KEY)


class TestStartSends:
    @respx.mock
    async def test_exactly_the_body(self, koji: KojiClient) -> None:
        route = respx.post(START).respond(201, json={"interview_id": "int-1"})
        await koji.start(BODY)
        request = route.calls.last.request
        assert json.loads(request.content) == BODY
        assert request.url == START
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept"] == "application/json"
        assert "x-session-token" not in request.headers

    @respx.mock
    async def test_half_a_character_as_json_can_write_it(self, koji: KojiClient) -> None:
        route = respx.post(START).respond(201, json={})
        body = {"respondent": {"display_name": "Cut \ud83d"}}
        await koji.start(body)
        assert json.loads(route.calls.last.request.content) == body

    @pytest.mark.parametrize("key", ["pk_livé", "pk\nlive", "pk_live "])
    async def test_no_key_that_no_header_can_carry(self, key: str) -> None:
        async with open_client() as client:
            with pytest.raises(CredentialsRejected) as raised:
                await KojiClient(client, "http://127.0.0.1:1", key).start(BODY)
        assert raised.value.reason == "koji_key"
        assert key not in raised.value.message


class TestStartAnswers:
    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ({"interview_id": "i", "session_token": "s"}, KojiStart("i", "s", None)),
            (
                {"interview_id": "i", "session_token": "s", "interview_url": "https://a"},
                KojiStart("i", "s", "https://a"),
            ),
            ({"interviewId": "i", "sessionToken": "s"}, KojiStart("i", "s", None)),
            ({"conversation_id": "i"}, KojiStart("i", None, None)),
            ({"id": "i"}, KojiStart("i", None, None)),
            ({"id": 7}, KojiStart("7", None, None)),
            ({"id": "x", "interview_id": "i"}, KojiStart("i", None, None)),
            (
                {"data": {"id": "i", "session_token": "s", "link": "http://a"}},
                KojiStart("i", "s", "http://a"),
            ),
            ({"interview": {"id": "i", "url": "https://a"}}, KojiStart("i", None, "https://a")),
            (
                {"interview_id": "i", "data": {"interview_id": "x", "session_token": "s"}},
                KojiStart("i", "s", None),
            ),
            ({"data": ["i"], "interview": "i"}, KojiStart(None, None, None)),
            ({"interview_link": "https://a", "url": "https://b"}, KojiStart(None, None, "https://a")),
            ({"interview_url": "/i/1", "link": None, "url": "https://b"}, KojiStart(None, None, "https://b")),
            ({"link": "javascript:alert(1)", "url": ["https://a"]}, KojiStart(None, None, None)),
            (
                {"interview_id": "", "session_token": 5, "id": {"a": 1}, "url": True},
                KojiStart(None, None, None),
            ),
            ({"interview_id": "i\x00", "session_token": "s\ud800"}, KojiStart("i", "s", None)),
            ({}, KojiStart(None, None, None)),
        ],
    )
    @pytest.mark.parametrize("status", [200, 201, 202])
    @respx.mock
    async def test_are_taken_where_they_stand(
        self, koji: KojiClient, status: int, answer: dict[str, Any], told: KojiStart
    ) -> None:
        respx.post(START).respond(status, content=json.dumps(answer).encode())
        assert await koji.start(BODY) == told

    @pytest.mark.parametrize("content", [*NO_OBJECTS, HUGE], ids=_named)
    @respx.mock
    async def test_that_are_no_object_leave_it_open(self, koji: KojiClient, content: bytes) -> None:
        respx.post(START).respond(201, content=content)
        with pytest.raises(OutcomeUnknown) as raised:
            await koji.start(BODY)
        assert raised.value.reason == "outcome_unknown"

    @pytest.mark.parametrize(
        ("status", "error", "code", "words"),
        [
            (400, UpstreamRejected, "refused_by_koji", "400"),
            (401, CredentialsRejected, "koji_key", "KOJI_API_KEY"),
            (402, UpstreamRejected, "koji_credits", "credits"),
            (403, CredentialsRejected, "koji_permission", "interview:start"),
            (404, UpstreamRejected, "refused_by_koji", "404"),
            (408, OutcomeUnknown, "outcome_unknown", "408"),
            (409, UpstreamRejected, "refused_by_koji", "409"),
            (413, UpstreamRejected, "refused_by_koji", "413"),
            (422, UpstreamRejected, "refused_by_koji", "422"),
            (429, RateLimited, "upstream_unavailable", "429"),
            (500, OutcomeUnknown, "outcome_unknown", "500"),
            (501, OutcomeUnknown, "outcome_unknown", "501"),
            (502, OutcomeUnknown, "outcome_unknown", "502"),
            (503, UpstreamUnavailable, "upstream_unavailable", "503"),
            (504, OutcomeUnknown, "outcome_unknown", "504"),
            (520, OutcomeUnknown, "outcome_unknown", "520"),
            (599, OutcomeUnknown, "outcome_unknown", "599"),
        ],
    )
    @respx.mock
    async def test_statuses(self, koji: KojiClient, status: int, error: Any, code: str, words: str) -> None:
        route = respx.post(START).respond(status)
        with pytest.raises(error) as raised:
            await koji.start(BODY)
        assert type(raised.value) is error
        assert raised.value.reason == code
        assert words in raised.value.message
        assert route.call_count == 1, "a start is never repeated here"

    @pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
    @respx.mock
    async def test_redirects_are_not_followed_and_name_the_setting(
        self, koji: KojiClient, status: int
    ) -> None:
        other = respx.post("https://www.koji.so/api/v1/interviews/start").respond(201, json={})
        respx.post(START).respond(status, headers={"Location": "https://www.koji.so/api/v1/interviews/start"})
        with pytest.raises(UpstreamUnavailable) as raised:
            await koji.start(BODY)
        assert raised.value.reason == "koji_redirect"
        assert "set KOJI_BASE_URL to https://www.koji.so." in raised.value.message
        assert raised.value.retry_after == 5
        assert not other.called

    @respx.mock
    async def test_see_other_may_answer_a_start_that_happened(self, koji: KojiClient) -> None:
        respx.post(START).respond(303, headers={"Location": "https://koji.so/interviews/1"})
        with pytest.raises(OutcomeUnknown):
            await koji.start(BODY)

    @respx.mock
    async def test_a_redirect_elsewhere_says_what_to_check(self, koji: KojiClient) -> None:
        respx.post(START).respond(302, headers={"Location": "/login?next=start"})
        with pytest.raises(UpstreamUnavailable, match=r"check KOJI_BASE_URL\."):
            await koji.start(BODY)

    @respx.mock
    async def test_a_redirect_to_nowhere_is_no_promise(self, koji: KojiClient) -> None:
        respx.post(START).respond(302, headers={"Location": "javascript:alert(1)"})
        with pytest.raises(OutcomeUnknown):
            await koji.start(BODY)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "90"}, 90),
            ({"Retry-After": "Sun, 22 Nov 2026 10:01:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 60),
            ({"Retry-After": "0"}, 0),
            ({"Retry-After": "soon"}, 5),
            ({}, 5),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    @respx.mock
    async def test_retry_after_is_honoured(
        self, koji: KojiClient, status: int, headers: dict[str, str], seconds: int
    ) -> None:
        respx.post(START).respond(status, headers=headers)
        with pytest.raises(UpstreamUnavailable) as raised:
            await koji.start(BODY)
        assert raised.value.retry_after == seconds


class TestStartIsCut:
    @pytest.mark.parametrize(
        ("cut", "error"),
        [
            (httpx.ConnectError("x"), UpstreamUnavailable),
            (httpx.ConnectTimeout("x"), UpstreamUnavailable),
            (httpx.PoolTimeout("x"), UpstreamUnavailable),
            (httpx.ProxyError("x"), UpstreamUnavailable),
            (httpx.WriteError("x"), OutcomeUnknown),
            (httpx.WriteTimeout("x"), OutcomeUnknown),
            (httpx.ReadError("x"), OutcomeUnknown),
            (httpx.ReadTimeout("x"), OutcomeUnknown),
            (httpx.RemoteProtocolError("x"), OutcomeUnknown),
            (httpx.DecodingError("x"), OutcomeUnknown),
        ],
        ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
    )
    @respx.mock
    async def test_only_what_never_left_may_be_repeated(
        self, koji: KojiClient, cut: Any, error: type[Exception]
    ) -> None:
        route = respx.post(START).mock(side_effect=cut)
        with pytest.raises((UpstreamUnavailable, OutcomeUnknown)) as raised:
            await koji.start(BODY)
        assert type(raised.value) is error
        assert raised.value.retry_after == (5 if error is UpstreamUnavailable else None)
        assert (type(cut).__name__ if error is OutcomeUnknown else "koji.so") in raised.value.message
        assert route.call_count == 1

    async def test_nobody_listening_is_unavailable(self) -> None:
        async with open_client() as client:
            with pytest.raises(UpstreamUnavailable) as raised:
                await KojiClient(client, "http://127.0.0.1:1", KEY).start(BODY)
        assert (raised.value.reason, raised.value.retry_after) == ("upstream_unavailable", 5)

    @pytest.mark.parametrize("base", ["koji.so", "https://koji.so:port", "ftp://koji.so", ""])
    async def test_an_address_that_is_none_names_the_setting(self, base: str) -> None:
        async with open_client() as client:
            with pytest.raises(UpstreamUnavailable) as raised:
                await KojiClient(client, base, KEY).start(BODY)
        assert "KOJI_BASE_URL" in raised.value.message
        assert (raised.value.reason, raised.value.retry_after) == ("koji_redirect", 5)


class TestKojisWords:
    @pytest.mark.parametrize("status", [400, 403, 429, 500])
    @respx.mock
    async def test_are_quoted(self, koji: KojiClient, status: int) -> None:
        respx.post(START).respond(status, json={"error": "not today", "message": "No published brief."})
        with pytest.raises(Exception, match=r'\("not today"\)'):
            await koji.start(BODY)

    @pytest.mark.parametrize(
        "words",
        [
            f"key {KEY} is bad",
            "zoe@example.com was there",
            "inv_0123456789abcdef0123456789abcdef is taken",
            "<b>no</b>",
            # what must not be shown may begin within the quote and end behind it
            f"{'word ' * 22}zoe@example.com",
            f"{'word ' * 23}{KEY}",
        ],
    )
    @respx.mock
    async def test_with_a_secret_or_an_address_are_not(self, koji: KojiClient, words: str) -> None:
        respx.post(START).respond(400, json={"error": words})
        with pytest.raises(UpstreamRejected) as raised:
            await koji.start(BODY)
        assert '"' not in raised.value.message

    @respx.mock
    async def test_with_the_persons_name_are_not(self, koji: KojiClient) -> None:
        respx.post(START).respond(400, json={"error": "Jane Doe is too long"})
        with pytest.raises(UpstreamRejected) as raised:
            await koji.start({"respondent": {"display_name": "Jane Doe"}})
        assert "Jane" not in raised.value.message

    @respx.mock
    async def test_with_a_session_token_are_not(self, koji: KojiClient) -> None:
        respx.post(COMPLETE).respond(401, json={"error": f"no such token: {TOKEN}"})
        with pytest.raises(CredentialsRejected) as raised:
            await koji.complete("int-1", TOKEN, "manual")
        assert TOKEN not in raised.value.message

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 408, 429, 500])
    @respx.mock
    async def test_fit_where_a_problem_shows_them(self, koji: KojiClient, status: int) -> None:
        respx.post(START).respond(status, json={"error": "word " * 100})
        respx.post(COMPLETE).respond(status, json={"error": "word " * 100})
        for call in (koji.start(BODY), koji.complete("int-1", TOKEN, "manual")):
            with pytest.raises(Exception, match="word") as raised:
                await call
            assert len(str(raised.value)) <= 250


class TestComplete:
    @respx.mock
    async def test_sends_the_token_and_the_reason(self, koji: KojiClient) -> None:
        answer = {"interview_id": "int-1", "status": "completed", "analysis_status": "processing"}
        route = respx.post(COMPLETE).respond(200, json=answer)
        assert await koji.complete("int-1", TOKEN, "timeout") == answer
        request = route.calls.last.request
        assert json.loads(request.content) == {"interview_id": "int-1", "reason": "timeout"}
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["x-session-token"] == TOKEN
        assert request.headers["content-type"] == "application/json"

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (
                b'{"error":"already_completed","interview_id":"int-1","analysis_status":"completed"}',
                {"error": "already_completed", "interview_id": "int-1", "analysis_status": "completed"},
            ),
            (
                b'{"error":"already_completed","status":409}',
                {"error": "already_completed", "interview_id": "int-1", "status": "completed"},
            ),
            (b'{"interview_id":null}', {"interview_id": "int-1", "status": "completed"}),
            *((content, {"interview_id": "int-1", "status": "completed"}) for content in NO_OBJECTS),
        ],
        ids=_named,
    )
    @respx.mock
    async def test_again_is_no_error(self, koji: KojiClient, content: bytes, told: dict[str, Any]) -> None:
        respx.post(COMPLETE).respond(409, content=content)
        assert await koji.complete("int-1", TOKEN, "manual") == told

    @pytest.mark.parametrize(
        ("status", "error", "code", "words"),
        [
            (400, UpstreamRejected, "upstream_refused", "400"),
            (401, CredentialsRejected, "koji_session", "session token"),
            (402, UpstreamRejected, "koji_credits", "credits"),
            (403, CredentialsRejected, "koji_permission", "interview:complete"),
            (404, NotFound, "not_found_in_koji", "interview_id"),
            (422, UpstreamRejected, "upstream_refused", "422"),
            (308, UpstreamRejected, "koji_redirect", "KOJI_BASE_URL"),
            (408, UpstreamUnavailable, "upstream_unavailable", "408"),
            (429, RateLimited, "upstream_unavailable", "429"),
            (500, UpstreamUnavailable, "upstream_unavailable", "500"),
            (502, UpstreamUnavailable, "upstream_unavailable", "502"),
            (503, UpstreamUnavailable, "upstream_unavailable", "503"),
        ],
    )
    @respx.mock
    async def test_statuses(self, koji: KojiClient, status: int, error: Any, code: str, words: str) -> None:
        respx.post(COMPLETE).respond(status, headers={"Retry-After": "7"})
        with pytest.raises(error) as raised:
            await koji.complete("int-1", TOKEN, "manual")
        assert type(raised.value) is error
        assert raised.value.reason == code
        assert words in raised.value.message
        assert raised.value.retry_after == (7 if issubclass(error, UpstreamUnavailable) else None)

    @pytest.mark.parametrize("cut", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.ReadError("x")])
    @respx.mock
    async def test_a_cut_call_may_be_repeated(self, koji: KojiClient, cut: Any) -> None:
        respx.post(COMPLETE).mock(side_effect=cut)
        with pytest.raises(UpstreamUnavailable) as raised:
            await koji.complete("int-1", TOKEN, "manual")
        assert raised.value.retry_after == 5

    @pytest.mark.parametrize("content", NO_OBJECTS, ids=_named)
    @respx.mock
    async def test_what_is_no_object_is_unavailable(self, koji: KojiClient, content: bytes) -> None:
        respx.post(COMPLETE).respond(200, content=content)
        with pytest.raises(UpstreamUnavailable):
            await koji.complete("int-1", TOKEN, "manual")

    @pytest.mark.parametrize("token", ["st_livé", "st\r\nX-Other: 1", " st"])
    @respx.mock
    async def test_a_token_that_no_header_can_carry(self, koji: KojiClient, token: str) -> None:
        with pytest.raises(CredentialsRejected) as raised:
            await koji.complete("int-1", token, "manual")
        assert raised.value.reason == "koji_session"
        assert not respx.calls

    async def test_an_address_that_is_none_names_the_setting(self) -> None:
        async with open_client() as client:
            with pytest.raises(UpstreamRejected, match="KOJI_BASE_URL"):
                await KojiClient(client, "koji.so", KEY).complete("int-1", TOKEN, "manual")


class TestTheStandIn:
    @pytest.fixture
    async def sandbox(self) -> AsyncIterator[tuple[Sandbox, str]]:
        app = create_sandbox(SandboxOptions(koji_rate_limit_per_minute=None, analysis_seconds=0.0))
        async with app.router.lifespan_context(app), serving(app) as url:
            yield app.state.sandbox, url

    @pytest.fixture
    def stand_in(self, sandbox: tuple[Sandbox, str]) -> Sandbox:
        return sandbox[0]

    @pytest.fixture
    async def koji(self, sandbox: tuple[Sandbox, str]) -> AsyncIterator[KojiClient]:
        async with open_client() as client:
            yield KojiClient(client, f"{sandbox[1]}/koji", "sandbox-koji-key")

    async def test_an_interview_is_started(self, koji: KojiClient, stand_in: Sandbox) -> None:
        told = await koji.start(BODY)
        (interview,) = stand_in.koji.store.interviews.values()
        assert told == KojiStart(interview.interview_id, interview.session_token, None)
        assert (interview.external_id, interview.email) == (
            "inv_0123456789abcdef0123456789abcdef",
            "zoe@example.com",
        )
        assert (interview.display_name, interview.locale) == ("Zoë Doe", "nl")

    async def test_a_link_is_taken_along(self, koji: KojiClient, stand_in: Sandbox) -> None:
        stand_in.koji.switches.link_in_start = True
        told = await koji.start(BODY)
        assert told.link == f"https://koji.so/i/{told.interview_id}"

    @pytest.mark.parametrize("second", [409, 200])
    async def test_an_interview_is_ended_once(
        self, koji: KojiClient, stand_in: Sandbox, second: Literal[200, 409]
    ) -> None:
        stand_in.koji.switches.second_complete_status = second
        told = await koji.start(BODY)
        assert told.interview_id is not None
        assert told.session_token is not None
        first = await koji.complete(told.interview_id, told.session_token, "respondent_left")
        again = await koji.complete(told.interview_id, told.session_token, "manual")
        assert first["interview_id"] == told.interview_id
        assert first["status"] == "completed"
        assert {name: again[name] for name in first} == first
        assert [call.status for call in stand_in.koji.calls] == [201, 200, second]
        assert stand_in.koji.store.interviews[told.interview_id].reason == "respondent_left"

    @pytest.mark.parametrize(
        ("fault", "error", "started"),
        [
            (Fault(kind="cut"), OutcomeUnknown, 0),
            (Fault(kind="cut_after_accept"), OutcomeUnknown, 1),
            (Fault(kind="status_after_accept", status=504), OutcomeUnknown, 1),
            (Fault(kind="not_json"), OutcomeUnknown, 0),
            (Fault(kind="status", status=503), UpstreamUnavailable, 0),
            (Fault(kind="throttle_unnamed"), RateLimited, 0),
            (Fault(kind="redirect", location="https://elsewhere.example.com/"), UpstreamUnavailable, 0),
            (Fault(kind="status", status=402), UpstreamRejected, 0),
            (Fault(kind="status", status=403), CredentialsRejected, 0),
        ],
        ids=lambda value: value.kind if isinstance(value, Fault) else None,
    )
    async def test_trouble_with_a_start(
        self, koji: KojiClient, stand_in: Sandbox, fault: Fault, error: type[Exception], started: int
    ) -> None:
        stand_in.koji.faults.add([fault])
        with pytest.raises(error) as raised:
            await koji.start(BODY)
        assert type(raised.value) is error
        assert len(stand_in.koji.store.interviews) == started

    @pytest.mark.parametrize("kind", ["cut_after_accept", "status_after_accept"])
    async def test_trouble_with_an_end_is_over_when_it_is_repeated(
        self, koji: KojiClient, stand_in: Sandbox, kind: Any
    ) -> None:
        told = await koji.start(BODY)
        stand_in.koji.faults.add([Fault(kind=kind, route="complete")])
        with pytest.raises(UpstreamUnavailable):
            await koji.complete(told.interview_id or "", told.session_token or "", "timeout")
        again = await koji.complete(told.interview_id or "", told.session_token or "", "timeout")
        assert (again["interview_id"], again["status"]) == (told.interview_id, "completed")

    async def test_another_interviews_token_is_refused(self, koji: KojiClient) -> None:
        one, other = await koji.start(BODY), await koji.start(BODY)
        with pytest.raises(CredentialsRejected) as raised:
            await koji.complete(one.interview_id or "", other.session_token or "", "manual")
        assert raised.value.reason == "koji_session"

    async def test_credits_and_permissions_are_told_apart(self, koji: KojiClient, stand_in: Sandbox) -> None:
        stand_in.koji.switches.credits_exhausted = True
        with pytest.raises(UpstreamRejected) as no_credits:
            await koji.start(BODY)
        stand_in.koji.switches.permissions = frozenset()
        with pytest.raises(CredentialsRejected) as no_start:
            await koji.start(BODY)
        with pytest.raises(CredentialsRejected) as no_complete:
            await koji.complete("int-1", TOKEN, "manual")
        found = [one.value.reason for one in (no_credits, no_start, no_complete)]
        assert found == ["koji_credits", "koji_permission", "koji_permission"]
        assert "interview:complete" in no_complete.value.message
