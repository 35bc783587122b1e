"""JSON text keeps every integer that it holds, and what is no JSON raises `ValueError`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.cohort_message import read_head, read_rows
from connector.text.json import dumps, json_object, loads, parse_json

pytestmark = pytest.mark.unit

BIG = 2**64


@pytest.mark.parametrize(
    "number", [2**63, BIG - 1, BIG, -(2**63) - 1, 10**25, 10**40, -(10**19), 12345678901234567890]
)
def test_an_integer_of_any_size_stays_exact(number: int) -> None:
    text = f'{{"a": [{number}, "x", {{"b": {number}}}]}}'
    for read in (loads(text), parse_json(text.encode()), json_object(text.encode())):
        assert read == {"a": [number, "x", {"b": number}]}
        assert type(read["a"][0]) is int


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_what_is_written_is_read_back(value: object) -> None:
    assert loads(dumps(value)) == value


def test_digits_in_a_text_or_a_fraction_are_left_alone() -> None:
    assert loads('["12345678901234567890", 0.1234567890123456789012, 1e30]') == [
        "12345678901234567890",
        0.1234567890123456789012,
        1e30,
    ]


def test_what_only_the_standard_library_reads_keeps_its_integers_too() -> None:
    assert loads(f'[NaN, "\\ud800", {BIG}]') == [None, "\ud800", BIG]


@pytest.mark.parametrize("text", ["", "{", "12345678901234567890123 4", '{"a": 12345678901234567890,}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_ids_of_a_cohort_message_keep_their_digits() -> None:
    head, rows = read_head(
        loads(f'{{"cohort_id": "c", "in_cohort": true, "users": [{{"user_id": {BIG}7}}]}}'), None
    )
    assert head.cohort_id == "c"
    assert [one.user_id for one in read_rows(rows, "email", "name")] == [f"{BIG}7"]
