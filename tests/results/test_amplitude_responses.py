"""Amplitude's answers, as its documentation and its users print them, mean what the connector does next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.amplitude.regions import REGIONS
from connector.amplitude.responses import Answer, Kind, classify
from connector.net.retry_after import retry_after_seconds

pytestmark = pytest.mark.unit

USERS = [f"person-{letter}@example.com" for letter in "abcdefgh"]


def answer(
    status: int, body: Any, headers: Mapping[str, str] | None = None, users: Sequence[str] = USERS
) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(status, raw, headers or {}, users)


def test_accepted() -> None:
    found = answer(
        200,
        {"code": 200, "events_ingested": 50, "payload_size_bytes": 50, "server_upload_time": 1396381378123},
    )
    assert (found.kind, found.events_ingested) == (Kind.ACCEPTED, 50)


MISSING = {"code": 400, "error": "Request missing required field"}
NAMED = [
    pytest.param(
        MISSING | {"missing_field": None, "events_with_missing_fields": {"event_type": [3]}},
        {3: "Request missing required field: event_type"},
        id="missing field of an event",
    ),
    pytest.param(
        MISSING | {"missing_field": "event_type", "events_with_missing_fields": {"event_type": [3]}},
        {3: "Request missing required field: event_type"},
        id="missing field named twice",
    ),
    pytest.param(
        {
            "code": 400,
            "error": "Invalid field values on some events",
            "events_with_invalid_fields": {"time": [3], "insert_id": [1, 3]},
        },
        {
            3: "Invalid field values on some events: time",
            1: "Invalid field values on some events: insert_id",
        },
        id="invalid fields",
    ),
    pytest.param(
        {
            "code": 400,
            "events_with_invalid_id_lengths": {"user_id": [1]},
            "error": "Invalid id length for user_id or device_id",
        },
        {1: "Invalid id length for user_id or device_id: user_id"},
        id="id lengths, undocumented",
    ),
    pytest.param(
        {"code": 400, "error": "Something new", "events_with_future_faults": {"os_name": [0]}},
        {0: "Something new: os_name"},
        id="a map nobody has seen yet",
    ),
    pytest.param(
        {"code": 400, "error": "Something new", "events_with_faults": [2]},
        {2: "Something new"},
        id="a list where a map is usual",
    ),
    pytest.param(
        {"code": 400, "error": "Invalid", "events_with_faults": {"time": [True, -1, 8, "3", 2.0, None, 7]}},
        {7: "Invalid: time"},
        id="odd and foreign indexes beside a good one",
    ),
]


@pytest.mark.parametrize(("body", "rejected"), NAMED)
def test_named_events_are_rejected(body: Any, rejected: dict[int, str]) -> None:
    found = answer(400, body)
    assert found.kind is Kind.REJECTED
    assert found.rejected == rejected
    assert found.held == {}


def test_silenced_is_for_good_and_throttled_in_the_same_body_is_not() -> None:
    found = answer(
        400,
        {
            "code": 400,
            "error": "Events silenced for device_id",
            "eps_threshold": 100,
            "exceeded_daily_quota_devices": {},
            "silenced_devices": ["d1", "d2"],
            "silenced_events": [5, 6],
            "throttled_devices": {"t1": 0, "t2": 100},
            "throttled_events": [3, 4, 5],
        },
    )
    assert found.kind is Kind.REJECTED
    assert set(found.rejected) == {5, 6}
    assert found.held == {3: 30, 4: 30}


def test_a_400_with_throttled_events_only_is_throttled() -> None:
    found = answer(400, {"code": 400, "error": "Events silenced for device_id", "throttled_events": [3]})
    assert (found.kind, found.held) == (Kind.THROTTLED, {3: 30})


def test_throttled_names_events_and_users() -> None:
    found = answer(
        429,
        {
            "code": 429,
            "error": "Too many requests for some devices and users",
            "eps_threshold": 30,
            "throttled_devices": {"C8F9E604-F01A-4BD9-95C6-8E5357DF265D": 31},
            "throttled_users": {USERS[0]: 32},
            "throttled_events": [3, 4, 7],
        },
    )
    assert found.kind is Kind.THROTTLED
    assert found.held == dict.fromkeys([0, 3, 4, 7], 30)
    assert found.message == "Too many requests for some devices and users"


def test_the_daily_quota_waits_longer_and_covers_all_events_of_a_user() -> None:
    users = [USERS[0], USERS[1], USERS[0], USERS[2]]
    found = answer(
        429,
        {
            "code": 429,
            "error": "Too many requests for some devices and users",
            "exceeded_daily_quota_users": {USERS[0]: 500200},
            "throttled_users": {USERS[0]: 40, USERS[2]: 31},
            "throttled_events": [0],
        },
        users=users,
    )
    assert found.held == {0: 3600, 2: 3600, 3: 30}


def test_a_429_that_names_nobody_holds_nobody() -> None:
    found = answer(429, {"code": 429, "error": "Too many requests"}, {"Retry-After": "7"})
    assert (found.kind, found.held, found.retry_after) == (Kind.THROTTLED, {}, 7)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": 400, "error": "Invalid event JSON"}, Kind.REFUSED),
        (400, {"code": 400, "error": "Invalid JSON request body"}, Kind.REFUSED),
        (400, {"code": 400, "error": "Missing request body"}, Kind.REFUSED),
        (400, {"code": 400, "error": "Bad", "events_with_invalid_fields": {"time": [99]}}, Kind.REFUSED),
        (400, MISSING | {"missing_field": "event_type"}, Kind.REFUSED),
        (400, b"<html>Bad Request</html>", Kind.REFUSED),
        (403, {"code": 403, "error": "Forbidden"}, Kind.REFUSED),
        (403, b"<html>blocked</html>", Kind.REFUSED),
        (413, {"code": 413, "error": "Payload too large"}, Kind.TOO_LARGE),
        (413, b"", Kind.TOO_LARGE),
        (400, {"code": 400, "error": "Invalid API key: 0123456789abcdef"}, Kind.PAUSED),
        (400, {"code": 403, "error": "Invalid API Key"}, Kind.PAUSED),
        (400, {"code": 400, "error": "Invalid request path"}, Kind.PAUSED),
        (400, MISSING | {"missing_field": "api_key"}, Kind.PAUSED),
        (
            400,
            MISSING | {"missing_field": "api_key", "events_with_missing_fields": {"event_type": [3]}},
            Kind.PAUSED,
        ),
        (401, b"", Kind.PAUSED),
        (301, b"", Kind.PAUSED),
        (308, b"", Kind.PAUSED),
        (404, b"not here", Kind.PAUSED),
        (405, b"", Kind.PAUSED),
        (415, b"", Kind.PAUSED),
        (503, b"", Kind.UNAVAILABLE),
        (500, b"", Kind.UNKNOWN),
        (502, b"<html>", Kind.UNKNOWN),
        (504, b"", Kind.UNKNOWN),
        (520, b"", Kind.UNKNOWN),
        (408, b"", Kind.UNKNOWN),
        (200, b"success", Kind.UNKNOWN),
        (200, b"<html>Sign in</html>", Kind.UNKNOWN),
        (200, b"", Kind.UNKNOWN),
        (200, [], Kind.UNKNOWN),
        (200, {"ok": True}, Kind.UNKNOWN),
        (204, b"", Kind.UNKNOWN),
        (200, {"code": 400, "error": "Invalid event JSON"}, Kind.REFUSED),
        (200, {"code": 429, "error": "Too many requests"}, Kind.THROTTLED),
        (200, {"code": 503, "error": "Unavailable"}, Kind.UNAVAILABLE),
        (200, {"code": 500, "error": "Broken"}, Kind.UNKNOWN),
    ],
)
def test_kinds(status: int, body: Any, kind: Kind) -> None:
    found = answer(status, body)
    assert found.kind is kind
    assert found.status == status
    assert found.message
    assert found.rejected == {}


def test_one_event_without_its_field_is_named_even_without_a_map() -> None:
    found = answer(400, MISSING | {"missing_field": "event_type"}, users=USERS[:1])
    assert (found.kind, found.rejected) == (
        Kind.REJECTED,
        {0: "Request missing required field: event_type"},
    )


def test_words_show_no_key_id_or_address() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    users = ["annabel", *USERS]
    bodies = [
        {"code": 400, "error": f"Invalid API key: {secret}"},
        {"code": 400, "error": f"Invalid API key {secret}"},
        {"code": 400, "error": f'Refused annabel, {USERS[0]} and "{secret}" for device_id'},
        {
            "code": 400,
            "error": "Invalid",
            "events_with_faults": {"annabel": [0], USERS[0]: [1], secret: [2], "time": [3]},
        },
        {"code": 400, "error": "Missing", "missing_field": USERS[0]},
        {"code": 429, "error": f"Too many for {USERS[1]}", "throttled_users": {USERS[1]: 31, "annabel": 40}},
    ]
    for body in bodies:
        found = answer(400, body, users=users)
        shown = found.message + " ".join(found.rejected.values())
        assert "annabel" not in shown
        assert "example.com" not in shown
        assert secret not in shown
    assert answer(400, bodies[2], users=users).message == "Refused and for device_id"
    assert answer(400, bodies[3], users=users).message == "Invalid: time"
    assert answer(400, {"error": "Invalid value: somebodys word"}).message == "Invalid value"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
reply_keys = st.sampled_from(
    [
        "code",
        "error",
        "missing_field",
        "events_with_missing_fields",
        "events_with_x",
        "silenced_events",
        "throttled_events",
        "throttled_users",
        "exceeded_daily_quota_users",
        "events_ingested",
    ]
)
bodies = st.binary(max_size=100) | (st.dictionaries(reply_keys, json_values) | json_values).map(
    lambda value: json.dumps(value).encode()
)


@given(
    status=st.sampled_from([200, 400, 413, 429, 500]) | st.integers(100, 599),
    body=bodies,
    headers=st.dictionaries(st.sampled_from(["Retry-After", "date", "X"]), st.text(max_size=30)),
    users=st.lists(st.text(max_size=12), max_size=5),
)
def test_any_answer_is_classified(status: int, body: Any, headers: dict[str, str], users: list[str]) -> None:
    found = classify(status, body, headers, users)
    assert len(found.message) <= 250
    assert set(found.rejected) | set(found.held) <= set(range(len(users)))
    assert not set(found.rejected) & set(found.held)
    assert found.kind is not Kind.REJECTED or found.rejected
    assert found.kind is not Kind.ACCEPTED or 200 <= status < 300
    assert all(len(why) <= 250 for why in found.rejected.values())


@pytest.mark.parametrize("odd", [None, True, 3, "text", [1, [2]], {"a": [0]}, {"a": {"b": 1}}, [{}], []])
@pytest.mark.parametrize("key", ["code", "error", "missing_field", "events_with_x", "silenced_events"])
@pytest.mark.parametrize("status", [200, 400, 429])
def test_odd_values_do_no_harm(status: int, key: str, odd: Any) -> None:
    found = answer(
        status, {"code": status, "throttled_users": odd, "throttled_events": odd, key: odd}, users=["a"]
    )
    assert found.kind in Kind


def test_deep_nesting_is_no_json() -> None:
    assert answer(200, b"[" * 200_000).kind is Kind.UNKNOWN


DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "now", "seconds"),
    [
        ({"retry-after": "12"}, None, 12),
        ({"Retry-After": " 0 "}, None, 0),
        ({"Retry-After": "9" * 5000}, None, 3_600),
        ({"Retry-After": "-3"}, None, None),
        ({"Retry-After": "soon"}, 0.0, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT", "Date": DATE}, None, 30),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT", "Date": DATE}, 0.0, 30),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT"}, 1_795_341_600.0, 30),
        ({"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", "Date": DATE}, None, 0),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT"}, None, None),
        ({}, 0.0, None),
    ],
)
def test_retry_after(headers: dict[str, str], now: float | None, seconds: int | None) -> None:
    assert retry_after_seconds(headers, now) == seconds


def test_regions_are_the_published_hosts() -> None:
    assert {name: (hosts.ingestion, hosts.rest) for name, hosts in REGIONS.items()} == {
        "us": ("https://api2.amplitude.com", "https://amplitude.com"),
        "eu": ("https://api.eu.amplitude.com", "https://analytics.eu.amplitude.com"),
    }
