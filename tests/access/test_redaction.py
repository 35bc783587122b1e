"""What may leave: cut texts, and texts without addresses and secrets."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.text.redaction import cut, safe

pytestmark = pytest.mark.unit


@given(st.text(max_size=40), st.integers(2, 20))
def test_cutting_keeps_the_limit_and_says_that_it_cut(text: str, limit: int) -> None:
    found = cut(text, limit)
    assert len(found) <= limit
    assert found == (text if len(text) <= limit else text[: limit - 1] + "…")


def test_amplitudes_limit() -> None:
    assert cut("a" * 1024) == "a" * 1024
    assert cut("a" * 1025) == "a" * 1023 + "…"


@pytest.mark.parametrize(
    "text",
    [
        "ada.lovelace@example.com",
        "<ada.lovelace@example.com>",
        '{"email":"ada.lovelace@example.com"}',
        "email=ada.lovelace@example.com&x=1",
        "/users/ada.lovelace%40example.com/",
        "mailto:ada.lovelace@example.com,",
        "ada.lovelace@example.com@example.org",
        "'ada.lovelace@example.com'",
    ],
)
def test_addresses_are_masked(text: str) -> None:
    found = safe(f"refused {text} today")
    assert "lovelace" not in found
    assert "example" not in found
    assert found.startswith("refused ")
    assert found.endswith(" today")
    assert "[address]" in found


@given(
    st.text(st.characters(codec="utf-8", exclude_characters='<>(),;:[]{}"=&?/@%'), min_size=4).filter(
        lambda text: not any(character.isspace() for character in text)
    )
)
def test_no_local_part_survives(local: str) -> None:
    assert safe(f"to {local}@example.com now", limit=10_000) == "to [address] now"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abc.def", "abc.def"),
        ("basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("GET /x?token=abcdef&y=1", "abcdef"),
        ("GET /x?y=1&api_key=abcdef", "abcdef"),
        ("GET /x?to%6ben=abcdef", "abcdef"),
        ("GET /x?%74%6F%6b%45%4e=abc;def", "abc;def"),
        ("GET /x?TOKEN=abcdef", "abcdef"),
        ("GET /x?y=1&amp;token[]=abcdef", "abcdef"),
        ("GET /x?y=/z?token=abcdef", "abcdef"),
        ("GET /x?api%5Fkey%5b%5D=abcdef", "abcdef"),
        ("token=abcdef", "abcdef"),
        ("query b'token=abcdef'", "abcdef"),
    ],
)
def test_credentials_are_masked(text: str, hidden: str) -> None:
    assert hidden not in safe(text)
    assert "[secret]" in safe(text)


def test_given_secrets_are_masked_the_longest_first() -> None:
    assert safe("key-1 and key-1-long", ["", "key-1", "key-1-long"]) == "[secret] and [secret]"


def test_the_result_is_short_and_cut_last() -> None:
    text = "word " * 46 + "ada.lovelace@example.com"
    assert "ada.l" not in safe(text)
    assert len(safe("x" * 1000)) == 250


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a@" * 500_000, "bearer " * 150_000, "?token=" * 150_000])
def test_long_texts_take_no_time(text: str) -> None:
    started = time.process_time()
    safe(text, ["secret"])
    assert time.process_time() - started < 2.0
