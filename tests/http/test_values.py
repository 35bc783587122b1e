"""Plain values out of JSON: what is one, and what is not."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import InvalidInput
from connector.operations.launch_cohort_interviews import LaunchInput
from connector.operations.sync_interview_to_amplitude import SyncInput
from connector.service.execution.paging import bounds
from connector.service.input.validate import read_input
from connector.text import values
from connector.text.values import read_time, split_list

pytestmark = pytest.mark.unit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_nothing_raises(value: Any) -> None:
    for read in (
        values.text,
        values.word,
        values.label,
        values.labels,
        values.truthy,
        values.as_number,
        values.as_score,
        values.as_count,
        values.read_time,
    ):
        read(value)


@given(st.text())
def test_text_can_be_stored_anywhere(value: str) -> None:
    found = values.text(value)
    assert found is None or (found.encode() and "\x00" not in found and found == found.strip() != "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  a b ", "a b"),
        ("", None),
        (" \t\n", None),
        ("\x00", None),
        ("a\ud800b", "ab"),
        (12, "12"),
        (12345678901234567890, "12345678901234567890"),
        (12.0, "12"),
        (0.5, "0.5"),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (True, None),
        (None, None),
        ([], None),
        ({"id": "x"}, None),
    ],
)
def test_text(value: Any, text: str | None) -> None:
    assert values.text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [(4, 4), (4.2, 4.2), ("4", 4), ("4.2", 4.2), (" 5 ", 5), ("", None), ("four", None), ("nan", None)],
)
def test_numbers_stay_what_they_are(value: Any, number: float | None) -> None:
    found = values.as_number(value)
    assert found == number
    assert isinstance(found, type(number))


@pytest.mark.parametrize("value", [True, math.inf, -math.inf, math.nan, 10**15, 10**400, "1" * 100, [], {}])
def test_what_is_no_number(value: Any) -> None:
    assert values.as_number(value) is None


@pytest.mark.parametrize(
    ("value", "score"), [(0, 0), (5, 5), (2.999, 2.999), (5.1, None), (-1, None), (82, None), (False, None)]
)
def test_scores_lie_between_0_and_5(value: Any, score: float | None) -> None:
    assert values.as_score(value) == score


def test_counts_are_whole_and_not_negative() -> None:
    assert [values.as_count(value) for value in (18, 18.0, "18", -1, None)] == [18, 18, 18, None, None]


@pytest.mark.parametrize("mark", [True, 1, "true", "yes", "1", "anonymous", [0], {"reason": "asked"}])
def test_a_mark_is_set(mark: Any) -> None:
    assert values.truthy(mark)


@pytest.mark.parametrize(
    "mark", [False, 0, None, "", " ", "false", "False", "no", "0", "off", "null", [], {}]
)
def test_a_mark_is_not_set(mark: Any) -> None:
    assert not values.truthy(mark)


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["b", "a", "b"], ("b", "a")),
        ([{"name": "a"}, {"label": "b"}, {"title": "c"}, "d"], ("a", "b", "c", "d")),
        ([{"name": {}, "label": "b"}, None, "", 7], ("b", "7")),
        (["a", " ", "\x00", {"name": "b"}], ("a", "b")),
        ([{"name": {}, "label": "b"}, {"id": 1}], None),
        ("pricing, slow import", ("pricing", "slow import")),
        ("pricing, really\nslow import\n", ("pricing, really", "slow import")),
        ('["pricing, plans", "slow"]', ("pricing, plans", "slow")),
        (' [{"name": "a"}, 7] ', ("a", "7")),
        (['["pricing, plans", "slow"]'], ("pricing, plans", "slow")),
        ("[pricing, plans", ("[pricing", "plans")),
        ("[]", ()),
        ([], ()),
        ({}, None),
        (None, None),
        (3, None),
    ],
)
def test_labels_in_their_order(value: Any, labels: tuple[str, ...] | None) -> None:
    assert values.labels(value) == labels


def test_themes_as_text_split_at_line_breaks_if_there_are_any_else_at_commas() -> None:
    assert split_list("a, b,c") == ["a", "b", "c"]
    assert split_list("a, b\nc") == ["a, b", "c"]
    assert split_list("a,b\n") == ["a", "b"]
    assert split_list(" \n ") == []


NOON = 1_769_860_800_000


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00",
        "2026-01-31T13:30:00+01:30",
        "20260131T120000Z",
        " 2026-01-31T12:00:00.000Z ",
        "2026-01-31T12:00:00z",
        "2026-01-31 12:00:00 UTC",
        "2026-01-31T12:00:00.000 utc",
        "2026-01-31 12:00:00 GMT",
        "2026-01-31 12.00",
        "2026-01-31 12.00.00",
        "2026-01-31  12:00",
        "2026-01-31\u202f12:00",
        "2026-01-31t12",
        "20260131T1200",
        "2026-01-31T13:00:00,000 +0100",
        "2026-01-31 14:00:00.000+02",
        "Sat, 31 Jan 2026 12:00:00",
        "Saturday, 31 Jan 2026 12:00:00 GMT",
        "31 Jan 2026 12:00 UTC",
        "Sat, 31 Jan 2026 13:00:00 +0100 (CET)",
        "Sat, 31 Jan 2026 13:00:00 +01:00",
        "Sat, 31 Jan 2026 07:00:00 EST",
        "Sat, 31 Jan 2026 05:00:00 PDT",
        "Sat Jan 31 2026 04:00:00 GMT-0800 (Pacific Standard Time)",
        "Sat Jan 31 2026 13:00:00 GMT+0100 (Central European Standard Time)",
        "Sat Jan 31 2026 12:00:00 GMT+0000",
        "Jan 31, 2026, 12:00:00",
        NOON,
        NOON // 1000,
        NOON / 1000,
        str(NOON),
        str(NOON // 1000),
    ],
)
def test_times(value: Any) -> None:
    assert read_time(value) == NOON


def test_a_date_is_its_midnight_also_without_hyphens() -> None:
    assert read_time("2026-01-31") == read_time("20260131") == NOON - 12 * 3_600_000


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "31.01.2026",
        "Jan 31, 2026, 3:00 PM",
        "Jan 31, 2026, 3:00:00 PM EST",
        "Sat, 31 Jan 2026 03:00:00 pm",
        "2026-01-31 3:00 PM",
        "2026-01-31+02:00",
        "2026-01-31x12:00",
        "2026-01-31 12:00.5",
        "2026-01-31 12.5",
        "20260131120000123",
        "2026-01-31 24.61",
        "2026-01-31Z",
        "Sat, 31 Jan 2026 12:00:00 CET",
        "Sat, 31 Jan 2026 12:00:00 AEST",
        "Sat, 31 Jan 2026 12:00:00 UTC+1",
        "Sat, 31 Jan 2026 12:00:00 Europe/Berlin",
        "Sat, 31 Jan 2026 12:00:00 +0100 PM",
        "Sat, 31 Jan 2026 12:00:00 +2500",
        "Sat Jan 31 2026 12:00:00 GMT-8",
        "Sat, 31 Jan 26 12:00:00 GMT",
        "31/01/2026 12:00:00",
        "31 Foo 2026 12:00:00",
        0,
        -1,
        5,
        True,
        None,
        [],
        {},
        "0001-01-01T00:00:00+23:59",
        10**400,
        10**14,
        "1.79517E+12",
        "1.79517e9",
    ],
)
def test_what_is_no_time(value: Any) -> None:
    assert read_time(value) is None


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2099, 1, 1)),  # noqa: DTZ001 - zone below
    st.integers(-14, 14),
)
def test_no_millisecond_is_lost(at: datetime, hours: int) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(hours=hours)))
    millis = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert read_time(at.isoformat()) == millis


def test_the_ends_of_a_time_filter() -> None:
    assert bounds("2026-11-20T12:00:00 02:00", None) == (read_time("2026-11-20T10:00:00Z"), None)
    assert bounds("2026-11-20 12:00", "2026-11-20 12:00")[0] == read_time("2026-11-20T12:00:00Z")
    with pytest.raises(InvalidInput, match="since: is no time"):
        bounds("Nov 20, 2026, 3:00 PM", None)
    with pytest.raises(InvalidInput, match="until"):
        bounds("2026-11-20", "2026-11-19")


def test_errors_speak_of_no_class_or_pattern() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_input(LaunchInput, {"members": [5]})
    assert "should be an object" in refused.value.message
    with pytest.raises(InvalidInput) as refused:
        read_input(SyncInput, {"interview_id": "a b"})
    assert "pattern" not in refused.value.message
