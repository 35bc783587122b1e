from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.sandbox.amplitude.store import derived_device_id
from connector.sandbox.faults import Fault, FaultQueue
from tests.fixtures import load
from tests.support.harness import until

from .conftest import KOJI, REST, Box, Opener, event

pytestmark = pytest.mark.e2e

ANNA, BEN = "person-001@example.com", "person-002@example.com"


async def fault(box: Box, *faults: dict[str, Any], service: str = "amplitude") -> None:
    await box.control("POST", f"/{service}/faults", list(faults))


def stored(box: Box) -> int:
    return len(box.sandbox.amplitude.store.events)


@pytest.mark.parametrize("status", [403, 408, 500, 502, 503, 504])
async def test_a_refused_answer_stores_nothing_and_strikes_once(box: Box, status: int) -> None:
    await fault(box, {"kind": "status", "status": status})
    assert (await box.send(event())).status_code == status
    assert stored(box) == 0
    assert (await box.send(event())).status_code == 200


async def test_500_after_accept_stores_and_a_repeat_is_deduplicated(box: Box) -> None:
    await fault(box, {"kind": "status_after_accept"})
    assert (await box.send(event(insert_id="a"))).status_code == 500
    assert stored(box) == 1
    assert (await box.send(event(insert_id="a"))).status_code == 200
    assert stored(box) == 1


async def test_after_accept_does_not_hide_a_refusal(box: Box) -> None:
    await fault(box, {"kind": "status_after_accept"})
    assert (await box.send(event(time="now"))).status_code == 400


async def test_the_firewall_refuses_by_content_until_cleared(box: Box) -> None:
    await fault(box, {"kind": "waf", "text": "DROP TABLE", "times": None})
    bad = event(event_properties={"theme": "'; DROP TABLE users"})
    for _ in range(2):
        answer = await box.send(event(), bad)
        assert (answer.status_code, answer.json()) == (403, load("amplitude/forbidden")["body"])
    assert (await box.send(event())).status_code == 200
    await box.control("DELETE", "/amplitude/faults")
    assert (await box.send(bad)).status_code == 200


async def test_faults_strike_in_order_and_only_their_route(box: Box) -> None:
    await fault(box, {"kind": "status", "times": 2}, {"kind": "status", "status": 500, "route": "cohorts"})
    assert [(await box.send(event())).status_code for _ in range(3)] == [503, 503, 200]
    assert (await box.client.get("/amplitude/api/3/cohorts", auth=REST)).status_code == 500


async def test_a_slow_answer_is_still_an_answer(box: Box) -> None:
    await fault(box, {"kind": "slow", "seconds": 0.05})
    began = asyncio.get_running_loop().time()
    assert (await box.send(event())).status_code == 200
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_redirect_and_something_that_is_not_json(box: Box) -> None:
    await fault(box, {"kind": "redirect", "location": "https://elsewhere.example.com/"}, {"kind": "not_json"})
    moved = await box.send(event())
    assert (moved.status_code, moved.headers["location"]) == (307, "https://elsewhere.example.com/")
    page = await box.send(event())
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert stored(box) == 0


async def test_429_that_names_no_user(box: Box) -> None:
    await fault(box, {"kind": "throttle_unnamed"})
    answer = await box.send(event())
    assert answer.status_code == 429
    assert answer.json()["throttled_events"] == []
    assert answer.json()["throttled_users"] == {}


async def test_a_fault_can_carry_any_body(box: Box) -> None:
    body = load("amplitude/daily_quota")["body"]
    await fault(box, {"kind": "status", "status": 429, "body": body})
    answer = await box.send(event())
    assert (answer.status_code, answer.json()) == (429, body)


async def test_throttled_users_are_named_and_the_whole_request_refused(opened: Opener) -> None:
    async with opened(throttle_events_per_second=3.0, throttle_window_seconds=10.0) as box:
        assert (await box.send(*[event()] * 30)).status_code == 200
        answer = await box.send(event(user_id=BEN), event(), event(device_id="device-1", user_id=BEN))
        assert answer.status_code == 429
        assert answer.json()["throttled_users"] == {ANNA: 3}
        assert answer.json()["throttled_events"] == [1]
        assert answer.json().keys() == load("amplitude/throttled")["body"].keys()
        assert stored(box) == 30
        assert (await box.send(event(user_id=BEN))).status_code == 200
        box.clock.move(10)
        assert (await box.send(event())).status_code == 200


async def test_throttled_devices_are_named_too(opened: Opener) -> None:
    async with opened(throttle_events_per_second=1.0, throttle_window_seconds=1.0) as box:
        answer = await box.send(event(device_id="device-1"), event(device_id="device-1", user_id=BEN))
        assert answer.json()["throttled_devices"] == {"device-1": 2}
        assert answer.json()["throttled_events"] == [0, 1]


async def test_the_throttle_can_be_switched_off(opened: Opener) -> None:
    async with opened(throttle_events_per_second=1.0, throttle_window_seconds=1.0) as box:
        assert (await box.send(event(), event())).status_code == 429
        await box.control("POST", "/amplitude/rules", {"throttle_events_per_second": None})
        assert (await box.send(*[event()] * 500)).status_code == 200


async def test_named_ids_can_be_throttled_and_over_their_daily_quota(box: Box) -> None:
    await box.control("POST", "/amplitude/rules", {"throttled_ids": [ANNA]})
    answer = await box.send(event(user_id=BEN), event())
    assert (answer.status_code, answer.json()["throttled_events"]) == (429, [1])
    assert "exceeded_daily_quota_users" not in answer.json()
    await box.control("POST", "/amplitude/rules", {"throttled_ids": [], "over_daily_quota": [ANNA]})
    answer = await box.send(event(user_id=BEN), event())
    assert answer.json()["exceeded_daily_quota_users"].keys() == {ANNA}
    await box.control("POST", "/amplitude/rules", {"over_daily_quota": []})
    assert (await box.send(event())).status_code == 200


async def test_silenced_devices_refuse_the_request(box: Box) -> None:
    rules = {"silenced_devices": ["device-1"], "silenced_users": [BEN]}
    await box.control("POST", "/amplitude/rules", rules)
    answer = await box.send(event(), event(device_id="device-1"), event(user_id=BEN))
    assert answer.status_code == 400
    assert answer.json().keys() == load("amplitude/silenced")["body"].keys()
    assert answer.json()["silenced_events"] == [1, 2]
    assert set(answer.json()["silenced_devices"]) == {"device-1", derived_device_id(BEN)}
    assert stored(box) == 0


async def test_faults_on_other_routes(box: Box) -> None:
    await fault(box, {"kind": "status", "route": "usersearch"})
    assert (await box.client.get("/amplitude/api/2/usersearch?user=a", auth=REST)).status_code == 503


async def test_koji_faults_too(box: Box) -> None:
    await fault(box, {"kind": "status_after_accept", "status": 504, "route": "start"}, service="koji")
    answer = await box.client.post("/koji/api/v1/interviews/start", headers=KOJI, json={})
    assert answer.status_code == 504
    assert len(box.sandbox.koji.store.interviews) == 1
    await fault(box, {"kind": "status", "status": 402, "route": "start"}, service="koji")
    answer = await box.client.post("/koji/api/v1/interviews/start", headers=KOJI, json={})
    assert (answer.status_code, answer.json()["error"]) == (402, "credits_exhausted")
    assert len(box.sandbox.koji.store.interviews) == 1


@pytest.mark.parametrize("data", [{"kind": "meteor"}, {"kind": "status", "colour": 1}, ["status"]])
def test_a_fault_that_cannot_be_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        Fault.model_validate(data)


def test_a_queue_counts_down() -> None:
    queue = FaultQueue()
    queue.add([Fault(kind="status", times=2)])
    assert [queue.next("httpapi", b"") is not None for _ in range(3)] == [True, True, False]
    assert queue.as_json() == {"faults": [], "held": 0}


async def test_what_a_fault_keeps_waiting_goes_on_when_faults_are_cleared(box: Box) -> None:
    await fault(box, {"kind": "slow", "seconds": 600, "times": None})
    waiting = asyncio.create_task(box.send(event()))

    async def held() -> bool:
        return bool((await box.control("GET", "/amplitude/faults"))["held"] == 1)

    await until(held)
    assert await box.control("DELETE", "/amplitude/faults") == {"faults": [], "held": 1}
    assert (await waiting).status_code == 200
