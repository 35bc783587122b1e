from __future__ import annotations

from typing import Any

import pytest

from .conftest import Box, Opener, event

pytestmark = pytest.mark.e2e


async def test_reset_returns_to_the_first_state(box: Box) -> None:
    before = await box.control("GET", "/state")
    await box.send(event(insert_id="a"))
    await box.start()
    await box.control("POST", "/study", {"people": 5})
    rules = await box.control("GET", "/amplitude/rules")
    await box.control("POST", "/amplitude/rules", {"throttled_ids": ["person-001@example.com"]})
    await box.control("POST", "/amplitude/rules", {"blocked_event_types": ["Signed Up"]})
    await box.control("POST", "/koji/faults", {"kind": "status"})
    assert await box.control("POST", "/reset") == before
    assert await box.control("GET", "/amplitude/rules") == rules
    assert (await box.send(event(insert_id="a"))).status_code == 200
    assert (await box.control("GET", "/state"))["amplitude"]["events_stored"] == 1


async def test_events_are_filtered_and_paged(box: Box) -> None:
    await box.send(
        *[event(event_type=name) for name in ("A", "B", "A")], event(user_id="person-002@example.com")
    )
    by_type = await box.control("GET", "/amplitude/events?event_type=A")
    assert by_type["total"] == 2
    by_user = await box.control("GET", "/amplitude/events?user_id=person-001@example.com&offset=1&limit=1")
    assert (by_user["total"], [row["event_type"] for row in by_user["events"]]) == (3, ["B"])
    assert (await box.control("GET", "/amplitude/users"))["total"] == 2
    assert (await box.client.get("/control/amplitude/users?user_id=unknown")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/amplitude/faults", {"kind": "meteor"}),
        ("POST", "/amplitude/rules", {"colour": "red"}),
        ("POST", "/amplitude/rules", {"throttled_ids": "person"}),
        ("POST", "/amplitude/cohorts", {"name": "no id"}),
        ("POST", "/koji/interviews", {"state": "lost"}),
        ("POST", "/koji/interviews", []),
        ("POST", "/koji/switches", {"permissions": ["interview:own"]}),
        ("POST", "/koji/switches", {"second_complete_status": 418}),
        ("POST", "/koji/switches", {"credits_exhausted": "yes"}),
        ("PUT", "/koji/webhook", {"url": "ftp://example.com"}),
        ("PUT", "/koji/webhook", {"url": "https://example.com", "scheme": "rot13"}),
        ("PUT", "/koji/webhook", {"url": "https://example.com", "events": ["study.published"]}),
    ],
)
async def test_mistakes_are_422_and_say_what_is_wrong(box: Box, method: str, path: str, body: Any) -> None:
    answer = await box.client.request(method, f"/control{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


async def test_both_services_answer_late_when_an_option_says_so(opened: Opener) -> None:
    async with opened(latency_seconds=0.03) as box:
        assert (await box.send(event())).elapsed.total_seconds() >= 0.03
        assert (await box.read("none")).elapsed.total_seconds() >= 0.03
