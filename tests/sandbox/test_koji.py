from __future__ import annotations

from typing import Any

import pytest

from connector.sandbox.limits import most_in_any_window
from tests.fixtures import load

from .conftest import KOJI, Box, Opener

pytestmark = pytest.mark.e2e

START = "/koji/api/v1/interviews/start"


async def test_the_documented_start_body_is_taken(box: Box) -> None:
    started = await box.start(**load("koji/start_request")["body"])
    assert started.keys() == load("invented/koji_started")["body"].keys()
    kept = await box.control("GET", f"/koji/interviews/{started['interview_id']}")
    assert kept["external_id"] == "user_12345"
    assert kept["metadata"] == {"segment": "power_users", "source": "onboarding_flow"}
    assert (kept["mode"], kept["locale"], kept["status"]) == ("text", "en", "active")


@pytest.mark.parametrize(
    "body",
    [
        {"respondent_email": "person-001@example.com"},
        {"metadata": {}},
        {"project_id": "p"},
        {"respondent": {"email": "person-001@example.com"}},
        {"respondent": []},
        {"respondent": {"metadata": "x"}},
        {"respondent": {"external_id": 5}},
        {"mode": "video"},
        {"locale": 1},
        [],
    ],
)
async def test_a_start_body_unlike_the_documented_one_is_refused(box: Box, body: Any) -> None:
    answer = await box.client.post(START, headers=KOJI, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert box.sandbox.koji.store.interviews == {}


async def test_a_start_body_that_is_not_json_is_refused(box: Box) -> None:
    assert (await box.client.post(START, headers=KOJI, content=b"{")).status_code == 400


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "sandbox-koji-key"}]
)
async def test_a_wrong_key_is_401(box: Box, headers: dict[str, str]) -> None:
    answer = await box.client.post(START, headers=headers, json={})
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


async def test_each_route_needs_its_permission(box: Box) -> None:
    started = await box.start()
    interview_id = started["interview_id"]
    await box.control("POST", "/koji/switches", {"permissions": []})
    answers = [
        await box.client.post(START, headers=KOJI, json={}),
        await box.complete(started),
        await box.read(interview_id),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(403, "forbidden")] * 3
    await box.control("POST", "/koji/switches", {"permissions": ["interview:read"]})
    assert (await box.read(interview_id)).status_code == 200
    assert (await box.client.post(START, headers=KOJI, json={})).status_code == 403


async def test_exhausted_credits_are_402(box: Box) -> None:
    await box.control("POST", "/koji/switches", {"credits_exhausted": True})
    answer = await box.client.post(START, headers=KOJI, json={})
    assert (answer.status_code, answer.json()["error"]) == (402, "credits_exhausted")
    assert box.sandbox.koji.store.interviews == {}


async def test_a_start_can_answer_a_link(box: Box) -> None:
    assert "interview_url" not in await box.start()
    await box.control("POST", "/koji/switches", {"link_in_start": True})
    assert (await box.start())["interview_url"].startswith("https://")


async def test_sixty_calls_a_minute_in_a_sliding_window(box: Box) -> None:
    for _ in range(30):
        await box.read("none")
    box.clock.move(59)
    statuses = [(await box.read("none")).status_code for _ in range(31)]
    assert statuses == [404] * 30 + [429]
    calls = await box.control("GET", "/koji/calls")
    assert (calls["total"], calls["refused_by_rate"], calls["max_in_window"]) == (61, 1, 61)
    assert sum(call["counted"] for call in calls["calls"]) == 60
    box.clock.move(1)
    assert [(await box.read("none")).status_code for _ in range(31)] == [404] * 30 + [429]


async def test_a_refused_start_starts_nothing(opened: Opener) -> None:
    async with opened(koji_rate_limit_per_minute=1) as box:
        await box.start()
        answer = await box.client.post(START, headers=KOJI, json={})
        assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
        assert len(box.sandbox.koji.store.interviews) == 1


def test_the_most_in_any_window() -> None:
    assert most_in_any_window([], 60) == 0
    assert most_in_any_window([0, 1, 2, 60, 61], 60) == 3
    assert most_in_any_window([0, 59, 59.5, 60], 60) == 3


async def test_complete_answers_as_documented_and_a_second_time_the_same_with_409(box: Box) -> None:
    started = await box.start()
    first = await box.complete(started, reason="natural")
    documented = load("koji/complete")["body"]
    assert first.status_code == 200
    assert first.json().keys() == documented.keys()
    assert first.json()["stats"].keys() == documented["stats"].keys()
    box.clock.move(100)
    again = await box.complete(started)
    assert again.status_code == 409
    assert again.json()["error"] == "already_completed"
    assert {key: again.json()[key] for key in first.json()} == first.json()
    await box.control("POST", "/koji/switches", {"second_complete_status": 200})
    assert (await box.complete(started)).json() == first.json()


async def test_complete_mistakes(box: Box) -> None:
    started = await box.start()
    assert (await box.complete(started, reason="bored")).status_code == 400
    assert (await box.complete(started, feedback={})).status_code == 400
    assert (await box.complete({**started, "interview_id": "none"})).status_code == 404
    assert (await box.complete({**started, "session_token": "wrong"})).status_code == 401
    nothing = await box.client.post("/koji/api/interview/complete", headers=KOJI, json={})
    assert nothing.status_code == 400


async def test_the_analysis_appears_after_its_delay(opened: Opener) -> None:
    async with opened(analysis_seconds=30.0) as box:
        started = await box.start()
        before = (await box.read(started["interview_id"])).json()
        assert before["status"] == "active"
        await box.complete(started)
        processing = (await box.read(started["interview_id"])).json()
        assert processing["analysis_status"] == "processing"
        assert "analysis" not in processing
        box.clock.move(30)
        ready = (await box.read(started["interview_id"])).json()
        documented = load("koji/read")["body"]
        assert ready["analysis_status"] == "completed"
        assert documented.keys() <= ready.keys()
        assert documented["analysis"].keys() <= ready["analysis"].keys()
        answer = ready["analysis"]["structured_answers"][0]
        assert answer.keys() == documented["analysis"]["structured_answers"][0].keys()


async def test_undocumented_fields_of_the_read_can_be_absent(box: Box) -> None:
    created = await box.control(
        "POST", "/koji/interviews", {"email": "person-001@example.com", "external_id": "inv_1"}
    )
    full = (await box.read(created["interview_id"])).json()
    assert full["respondent"]["external_id"] == "inv_1"
    assert full["respondent_email"] == "person-001@example.com"
    everything = [
        "analysis_status",
        "sentiment",
        "respondent",
        "transcript_url",
        "completed_at",
        "project_id",
        "mode",
    ]
    await box.control("POST", "/koji/switches", {"read_omits": everything})
    bare = (await box.read(created["interview_id"])).json()
    assert bare.keys() == load("koji/read")["body"].keys()
    assert "sentiment" not in bare["analysis"]
    assert "person-001@example.com" not in str(bare)


async def test_interviews_can_be_created_in_any_state(box: Box) -> None:
    create = {"email": "person-001@example.com", "themes": ["slow import"], "quality_score": 2.4}
    made = await box.control(
        "POST", "/koji/interviews", {**create, "state": "completed", "interview_id": "int_1"}
    )
    assert (made["interview_id"], made["analysis_status"], made["quality_score"]) == (
        "int_1",
        "completed",
        2.4,
    )
    failed = await box.control("POST", "/koji/interviews", {"quality_score": None})
    assert (await box.read(failed["interview_id"])).json()["analysis_status"] == "failed"
    active = await box.control("POST", "/koji/interviews", {"state": "active"})
    assert active["status"] == "active"
    hidden = await box.control(
        "POST", "/koji/interviews", {"anonymous": True, "email": "person-002@example.com"}
    )
    assert "person-002" not in (await box.read(hidden["interview_id"])).text


async def test_a_missing_interview_is_404(box: Box) -> None:
    answer = await box.read("none")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_calls_can_be_redirected(box: Box) -> None:
    await box.control("POST", "/koji/switches", {"redirect_to": "https://www.example.com"})
    answer = await box.client.get("/koji/api/v1/interviews/int_1?a=b", headers=KOJI)
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://www.example.com/api/v1/interviews/int_1?a=b"
    await box.control("POST", "/koji/switches", {"redirect_to": None})
    assert (await box.read("none")).status_code == 404
