from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sandbox.amplitude.rules import (
    MAX_DEPTH,
    RESERVED_IDS,
    Fault,
    TooDeepError,
    cut_strings,
    event_faults,
    request_refusal,
)
from tests.fixtures import load

pytestmark = pytest.mark.e2e


def event(**fields: Any) -> dict[str, Any]:
    return {"user_id": "person-001@example.com", "event_type": "Signed Up", **fields}


def test_the_documented_requests_are_acceptable() -> None:
    for name in ("amplitude/httpapi_request", "amplitude/identify_then_event_request"):
        for documented in load(name)["body"]["events"]:
            assert not event_faults(documented, 5)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"event_type": None}, Fault("events_with_missing_fields", "event_type")),
        ({"event_type": ""}, Fault("events_with_missing_fields", "event_type")),
        ({"event_type": "[Amplitude] Revenue"}, Fault("events_with_invalid_fields", "event_type")),
        ({"time": "2026-11-22T10:00:00Z"}, Fault("events_with_invalid_fields", "time")),
        ({"time": True}, Fault("events_with_invalid_fields", "time")),
        ({"time": -1}, Fault("events_with_invalid_fields", "time")),
        ({"user_id": 12345678}, Fault("events_with_invalid_fields", "user_id")),
        ({"user_id": "abcd"}, Fault("events_with_invalid_id_lengths", "user_id")),
        ({"device_id": "abcd"}, Fault("events_with_invalid_id_lengths", "device_id")),
        ({"user_id": "Anonymous"}, Fault("events_with_invalid_fields", "user_id")),
        (
            {"device_id": "00000000-0000-0000-0000-000000000000"},
            Fault("events_with_invalid_fields", "device_id"),
        ),
        ({"insert_id": 7}, Fault("events_with_invalid_fields", "insert_id")),
        ({"event_properties": []}, Fault("events_with_invalid_fields", "event_properties")),
        (
            {"user_properties": {"$set": {"a": 1}, "b": 2}},
            Fault("events_with_invalid_fields", "user_properties"),
        ),
        ({"user_properties": {"$sett": {"a": 1}}}, Fault("events_with_invalid_fields", "user_properties")),
        ({"user_properties": {"$set": 1}}, Fault("events_with_invalid_fields", "user_properties")),
        ({"user_properties": {"$add": {"a": "1"}}}, Fault("events_with_invalid_fields", "user_properties")),
    ],
)
def test_one_wrong_thing_is_named(fields: dict[str, Any], fault: Fault) -> None:
    assert list(event_faults(event(**fields), 5)) == [fault]


def test_an_event_without_ids_misses_both_ids() -> None:
    faults = event_faults({"event_type": "Signed Up", "user_id": None}, 5)
    assert {fault.field for fault in faults} == {"user_id", "device_id"}
    assert {fault.kind for fault in faults} == {"events_with_missing_fields"}


@given(st.sampled_from(sorted(RESERVED_IDS)), st.booleans())
def test_reserved_ids_are_refused_in_any_case(name: str, upper: bool) -> None:
    faults = event_faults(event(user_id=name.upper() if upper else name), 1)
    assert list(faults) == [Fault("events_with_invalid_fields", "user_id")]


def test_the_smallest_id_length_can_be_lowered() -> None:
    assert event_faults(event(user_id="ab"), 5)
    assert not event_faults(event(user_id="ab"), 1)


def test_clear_all_and_every_operator_are_sound() -> None:
    operators: dict[str, Any] = {
        f"${name}": {"a": 1} for name in ("set", "setOnce", "add", "append", "prepend", "remove")
    }
    operators |= {"$unset": {"b": "-"}, "$preInsert": {"c": 1}, "$postInsert": {"d": 1}}
    assert not event_faults(event(event_type="$identify", user_properties=operators), 5)
    assert not event_faults(event(event_type="$identify", user_properties={"$clearAll": "-"}), 5)


def test_only_the_first_index_of_a_field_is_named() -> None:
    events = [event(), event(time="now"), event(time="now"), event(user_id=5)]
    first = request_refusal(events, 5)
    assert first is not None
    assert first["events_with_invalid_fields"] == {"time": [1], "user_id": [3]}


def test_one_kind_of_fault_is_named_at_a_time() -> None:
    body = request_refusal([event(user_id="abc"), event(time="now"), event(event_type="")], 5)
    assert body == {
        "code": 400,
        "error": "Request missing required field",
        "events_with_missing_fields": {"event_type": [2]},
    }


def test_refusals_have_the_documented_shape() -> None:
    events = [event(), event(), event(), event(time="now")]
    assert request_refusal(events, 5) == load("amplitude/invalid_fields")["body"]
    events = [event(), event(user_id="abc")]
    assert request_refusal(events, 5) == load("amplitude/invalid_id_lengths")["body"]


def test_long_strings_are_cut_everywhere_and_short_ones_left_alone() -> None:
    value = {"a": "x" * 1025, "b": ["y" * 2000, "short"], "c": {"d": "z" * 1024}}
    cut = cut_strings(value)
    assert cut == {"a": "x" * 1024, "b": ["y" * 1024, "short"], "c": {"d": "z" * 1024}}
    same = {"a": "x", "b": [1, None]}
    assert cut_strings(same) is same


def test_the_41st_layer_is_too_deep() -> None:
    value: Any = "leaf"
    for _ in range(MAX_DEPTH):
        value = {"a": value}
    assert cut_strings(value) is value
    with pytest.raises(TooDeepError):
        cut_strings({"a": value})
