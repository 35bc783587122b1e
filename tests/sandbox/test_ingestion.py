from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.fixtures import load

from .conftest import Box, Opener, event

pytestmark = pytest.mark.e2e

SEVEN_DAYS = 7 * 24 * 3600
ANNA = "person-001@example.com"


async def stored(box: Box, query: str = "") -> list[dict[str, Any]]:
    answer: dict[str, Any] = await box.control("GET", f"/amplitude/events{query}")
    events: list[dict[str, Any]] = answer["events"]
    return events


async def test_a_good_request_is_stored_and_answered_as_documented(box: Box) -> None:
    answer = await box.send(event(insert_id="a"), event(event_type="Bought"))
    assert answer.status_code == 200
    assert answer.json().keys() == load("amplitude/success")["body"].keys()
    assert answer.json()["events_ingested"] == 2
    assert [row["event_type"] for row in await stored(box)] == ["Signed Up", "Bought"]


@pytest.mark.parametrize("bad", [{"time": "2026-11-22"}, {"user_id": "abc"}, {"event_type": None}])
async def test_one_bad_event_refuses_the_whole_request(box: Box, bad: dict[str, Any]) -> None:
    answer = await box.send(event(), event(**bad))
    assert answer.status_code == 400
    assert await stored(box) == []


async def test_min_id_length_is_an_option_of_the_request(box: Box) -> None:
    assert (await box.send(event(user_id="abc"))).status_code == 400
    assert (await box.send(event(user_id="abc"), options={"min_id_length": 1})).status_code == 200


@pytest.mark.parametrize(
    ("body", "fixture"),
    [(b"", "missing_body"), (b"{", "invalid_json"), (b"[]", "invalid_json")],
)
async def test_bodies_that_are_no_request(box: Box, body: bytes, fixture: str) -> None:
    answer = await box.client.post("/amplitude/2/httpapi", content=body)
    assert (answer.status_code, answer.json()) == (400, load(f"amplitude/{fixture}")["body"])


async def test_wrong_requests_are_named(box: Box) -> None:
    post = box.client.post
    missing = await post("/amplitude/2/httpapi", json={"events": [event()]})
    assert missing.json()["missing_field"] == "api_key"
    nothing = await post("/amplitude/2/httpapi", json={"api_key": "sandbox-amplitude-key"})
    assert nothing.json()["missing_field"] == "events"
    wrong = await post("/amplitude/2/httpapi", json={"api_key": "another", "events": [event()]})
    assert wrong.json() == load("amplitude/invalid_api_key")["body"]
    odd = await post("/amplitude/2/httpapi", json={"api_key": "sandbox-amplitude-key", "events": ["x"]})
    assert odd.json() == load("amplitude/invalid_event_json")["body"]
    path = await post("/amplitude/2/http", json={})
    assert path.json() == load("amplitude/invalid_path")["body"]


async def test_too_large_by_bytes_and_by_count(box: Box) -> None:
    big = event(event_properties={"a": ["x" * 1000] * 1100})
    answer = await box.send(big)
    assert (answer.status_code, answer.json()) == (413, load("amplitude/too_large")["body"])
    many = [event(user_id=f"person-{n}@example.com") for n in range(2001)]
    assert (await box.send(*many)).status_code == 413
    assert (await box.send(*many[:2000])).status_code == 200


async def test_gzip_is_refused(box: Box) -> None:
    body = gzip.compress(json.dumps({"api_key": "sandbox-amplitude-key", "events": [event()]}).encode())
    headers = {"Content-Encoding": "gzip"}
    answer = await box.client.post("/amplitude/2/httpapi", content=body, headers=headers)
    assert answer.status_code == 400


async def test_strings_are_cut_at_1024(box: Box) -> None:
    assert (await box.send(event(event_properties={"a": "x" * 3000}))).status_code == 200
    assert len((await stored(box))[0]["event_properties"]["a"]) == 1024


async def test_too_deep_properties_are_invalid(box: Box) -> None:
    deep: Any = 1
    for _ in range(41):
        deep = {"a": deep}
    answer = await box.send(event(), event(event_properties=deep))
    assert answer.json()["events_with_invalid_fields"] == {"event_properties": [1]}


async def test_the_same_insert_id_counts_once_for_seven_days(box: Box) -> None:
    for _ in range(2):
        answer = await box.send(event(insert_id="koji:int_1:completed"))
        assert (answer.status_code, answer.json()["events_ingested"]) == (200, 1)
    assert len(await stored(box)) == 1
    box.clock.move(SEVEN_DAYS - 1)
    await box.send(event(insert_id="koji:int_1:completed"))
    assert len(await stored(box)) == 1
    box.clock.move(1)
    await box.send(event(insert_id="koji:int_1:completed"))
    assert len(await stored(box)) == 2
    assert (await box.control("GET", "/state"))["amplitude"]["duplicates"] == 2


async def test_the_same_insert_id_under_another_identity_is_another_event(box: Box) -> None:
    await box.send(event(insert_id="one"), event(insert_id="one", user_id="person-002@example.com"))
    await box.send(event(insert_id="one", device_id="device-1"))
    assert len(await stored(box)) == 3


async def test_a_device_id_is_derived_from_the_user_id(box: Box) -> None:
    await box.send(event(), event(), event(user_id="person-002@example.com"))
    devices = [row["device_id"] for row in await stored(box)]
    assert devices[0] == devices[1] != devices[2]


async def test_events_carry_the_properties_of_their_arrival_not_of_their_time(box: Box) -> None:
    await box.send(event(event_type="Before", time=5000))
    await box.send(
        event(event_type="$identify", time=9000, user_properties={"$set": {"mood": "negative"}}),
        event(event_type="With", time=9001),
    )
    await box.send(event(event_type="$identify", time=1, user_properties={"$set": {"mood": "positive"}}))
    await box.send(event(event_type="After", time=2))
    moods = {row["event_type"]: row["user_properties"].get("mood") for row in await stored(box)}
    assert moods == {"Before": None, "With": "negative", "$identify": "positive", "After": "positive"}
    assert (await box.control("GET", f"/amplitude/users?user_id={ANNA}"))["user_properties"] == {
        "mood": "positive"
    }


async def test_plain_properties_on_an_event_stay_with_the_user(box: Box) -> None:
    await box.send(event(user_properties={"plan": "trial"}), event(event_type="Later"))
    assert [row["user_properties"] for row in await stored(box)] == [{"plan": "trial"}] * 2


async def test_skip_user_properties_sync_neither_reads_nor_writes_the_user(box: Box) -> None:
    await box.send(event(user_properties={"plan": "trial"}))
    await box.send(
        event(event_type="Old", user_properties={"plan": "free"}, **{"$skip_user_properties_sync": True})
    )
    await box.send(event(event_type="Bare", **{"$skip_user_properties_sync": True}))
    await box.send(event(event_type="New"))
    plans = {row["event_type"]: row["user_properties"] for row in await stored(box)}
    assert plans["Old"] == {"plan": "free"}
    assert plans["Bare"] == {}
    assert plans["New"] == {"plan": "trial"}


async def test_a_blocked_event_takes_its_properties_along_but_not_a_separate_identify(box: Box) -> None:
    await box.control("POST", "/amplitude/rules", {"blocked_event_types": ["Signed Up"]})
    answer = await box.send(
        event(event_type="$identify", user_properties={"$set": {"kept": 1}}),
        event(user_properties={"lost": 1}),
    )
    assert (answer.status_code, answer.json()["events_ingested"]) == (200, 2)
    assert [row["event_type"] for row in await stored(box)] == ["$identify"]
    assert (await box.control("GET", f"/amplitude/users?user_id={ANNA}"))["user_properties"] == {"kept": 1}


async def test_an_anonymous_device_becomes_the_first_user_seen_on_it(box: Box) -> None:
    await box.send({"device_id": "device-1", "event_type": "Visited", "user_properties": {"source": "ad"}})
    await box.send(event(device_id="device-1"))
    await box.send({"device_id": "device-1", "event_type": "Visited again"})
    events = await stored(box)
    assert {row["user_id"] for row in events} == {ANNA}
    assert events[-1]["user_properties"] == {"source": "ad"}


async def test_without_bodies_counters_and_deduplication_stay(opened: Opener) -> None:
    async with opened(store_events=False) as box:
        await box.send(event(insert_id="a"))
        await box.send(event(insert_id="a"))
        state = (await box.control("GET", "/state"))["amplitude"]
        assert (state["events_stored"], state["duplicates"]) == (1, 1)
        assert await stored(box) == []


async def test_the_request_log_has_sizes_and_outcomes(box: Box) -> None:
    good = await box.send(event())
    await box.send(event(time="now"))
    log = (await box.control("GET", "/amplitude/requests"))["requests"]
    assert [(row["route"], row["events"], row["status"]) for row in log] == [
        ("httpapi", 1, 200),
        ("httpapi", 1, 400),
    ]
    assert log[0]["bytes"] == int(good.request.headers["content-length"])
    assert log[1]["error"] == "Invalid field values on some events"


async def test_an_anonymous_device_gives_its_properties_to_a_user_known_before(box: Box) -> None:
    await box.send(event(user_properties={"plan": "trial"}))
    await box.send(
        {"device_id": "device-1", "event_type": "Visited", "user_properties": {"plan": "none", "ad": 1}}
    )
    await box.send(event(device_id="device-1", event_type="Signed In"))
    assert (await stored(box))[-1]["user_properties"] == {"plan": "trial", "ad": 1}
