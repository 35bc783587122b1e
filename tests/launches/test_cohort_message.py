"""What of a cohort webhook's body is read, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from connector.domain.launches.cohort_message import chunks_of, cohort_id_of, digest_of, read_head, read_rows
from connector.domain.people.same_person import Member
from connector.errors import InvalidInput
from connector.text.json import loads

pytestmark = pytest.mark.unit

PAYLOAD: dict[str, Any] = {
    "cohort_name": "My Test Cohort",
    "cohort_id": "7khm89cz",
    "in_cohort": True,
    "computed_time": "1692206763",
    "message_id": "9baaa88f-9d46-4ee5-a946-be0c6aea0046::enter::0",
    "users": [
        {
            "user_id": "user_one@example.com",
            "user_properties": {"email": "one@example.com", "name": "One", "city": "San Francisco"},
        },
        {"user_id": "user_two@example.com"},
    ],
}


def test_the_documented_payload_is_read() -> None:
    head, rows = read_head(PAYLOAD, None)
    assert head == (PAYLOAD["message_id"], "7khm89cz", "My Test Cohort", True, 1_692_206_763_000)
    assert read_rows(rows, "email", "name") == [
        Member("user_one@example.com", "one@example.com", "One"),
        Member("user_two@example.com", "user_two@example.com", None),
    ]


def test_a_list_has_entered_the_cohort_of_the_address() -> None:
    head, rows = read_head(PAYLOAD["users"], "c-1")
    assert head == (None, "c-1", None, True, None)
    assert len(rows) == 2
    with pytest.raises(InvalidInput, match="cohort_id"):
        read_head(PAYLOAD["users"], None)


def test_a_body_names_its_cohort_before_the_address() -> None:
    assert read_head(PAYLOAD, "other")[0].cohort_id == "7khm89cz"
    nameless = {name: value for name, value in PAYLOAD.items() if name != "cohort_id"}
    assert read_head(nameless, "other")[0].cohort_id == "other"


@pytest.mark.parametrize(
    ("given", "at"),
    [
        (1_692_206_763, 1_692_206_763_000),
        (1_692_206_763_123, 1_692_206_763_123),
        ("100", 100_000),
        (None, None),
    ],
)
def test_times_are_seconds_or_milliseconds(given: Any, at: int | None) -> None:
    assert read_head({**PAYLOAD, "computed_time": given}, None)[0].computed_at == at


def test_a_long_message_id_is_known_by_its_digest() -> None:
    long = read_head({**PAYLOAD, "message_id": "x" * 300}, None)[0].message_id
    assert long is not None
    assert len(long) == 64


@pytest.mark.parametrize("written", ["${input.id}2", "{{id}}"])
def test_what_no_template_filled_in_is_refused_by_name(written: str) -> None:
    for name in ("message_id", "cohort_id"):
        with pytest.raises(InvalidInput) as refused:
            read_head({"cohort_id": "c", "in_cohort": True, "users": [], name: written}, None)
        assert refused.value.errors[0].pointer == f"/{name}"


@pytest.mark.parametrize("written", ["https://app.amplitude.com/x/cohort/lfbhq6fv", "a/../b", "a?props=0"])
def test_an_address_is_no_cohorts_id(written: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        cohort_id_of(written)
    assert "lfbhq6fv;" in refused.value.message
    assert cohort_id_of(" lfbhq6fv ") == "lfbhq6fv"


def test_properties_may_lie_beside_the_user_id() -> None:
    rows = [{"user_id": 7, "mail": "ada@example.com", "nick": "Ada"}]
    assert read_rows(rows, "mail", "nick") == [Member("7", "ada@example.com", "Ada")]


def test_the_first_wrong_rows_are_told_with_their_places() -> None:
    rows = [{"user_id": "1"}, "2", {"user_id": True}, {"user_id": "4", "user_properties": []}, *["x"] * 100]
    with pytest.raises(InvalidInput) as refused:
        read_rows([*rows, {"user_id": "5", "user_properties": [1]}], "email", "name")
    assert [one.pointer for one in refused.value.errors[:3]] == [
        "/users/1",
        "/users/2/user_id",
        "/users/3/user_properties",
    ]
    assert len(refused.value.errors) == 50
    assert "users.1" in refused.value.message


def test_people_are_stored_in_pieces() -> None:
    members = [Member(str(n), None, None) for n in range(4_001)]
    chunks = [loads(chunk) for chunk in chunks_of(members)]
    assert [len(chunk) for chunk in chunks] == [2_000, 2_000, 1]
    assert [Member(*row) for chunk in chunks for row in chunk] == members


def test_a_digest_is_of_the_cohort_and_the_body() -> None:
    assert digest_of("a", b"body") == digest_of("a", b"body")
    assert len({digest_of("a", b"body"), digest_of("b", b"body"), digest_of("a", b"other")}) == 3
