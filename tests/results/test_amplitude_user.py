"""Whose interview it is, and which ids Amplitude refuses."""

from __future__ import annotations

import pytest

from connector.domain.results.amplitude_user import amplitude_user_of, is_respondent_known, unusable
from connector.domain.results.interview import Interview

pytestmark = pytest.mark.unit

NOBODY = Interview("int_1")
BOTH = NOBODY._replace(email_given=True, respondent_email="Ada@Example.com", external_id="user-1")
RESERVED = [
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    '""',
    "00000000-0000-0000-0000-000000000000",
    "{}",
    "lmy47d",
    "0",
    "-1",
]


def owner(interview: Interview, *, null_email: bool = False, trust: bool = False) -> str | None:
    return amplitude_user_of(interview, null_email_is_anonymous=null_email, trust_external_id=trust)


def test_the_email_as_it_is_comes_first() -> None:
    assert owner(BOTH) == owner(BOTH, trust=True, null_email=True) == "Ada@Example.com"


def test_a_foreign_external_id_counts_only_where_it_is_trusted() -> None:
    stranger = NOBODY._replace(external_id="user-1")
    assert owner(stranger) is None
    assert owner(stranger, trust=True) == "user-1"
    assert owner(stranger, trust=True, null_email=True) == "user-1"


def test_an_explicit_null_email_is_anonymous_only_where_the_setting_says_so() -> None:
    null = NOBODY._replace(email_given=True, external_id="user-1")
    assert owner(null, trust=True) == "user-1"
    assert owner(null, trust=True, null_email=True) is None


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("null_email", [False, True])
def test_a_mark_says_nobody_whatever_else_is_known(*, trust: bool, null_email: bool) -> None:
    assert owner(BOTH._replace(anonymous=True), trust=trust, null_email=null_email) is None


def test_nothing_told_is_nobody() -> None:
    assert owner(NOBODY, trust=True) is None


def test_what_counts_as_told() -> None:
    assert not is_respondent_known(NOBODY)
    assert is_respondent_known(NOBODY._replace(email_given=True))
    assert is_respondent_known(NOBODY._replace(external_id="user-1"))
    assert is_respondent_known(NOBODY._replace(anonymous=True))


@pytest.mark.parametrize("word", RESERVED)
def test_reserved_ids_in_any_case(word: str) -> None:
    for written in (word, word.upper(), word.title(), f" {word}"):
        assert unusable(written, 1) == "the user id is a word that Amplitude reserves, or another placeholder"


def test_the_shortest_id_is_a_setting() -> None:
    assert unusable("abcd", 5) == "the user id has fewer than 5 characters"
    assert unusable("abcde", 5) is None
    assert unusable("a", 1) is None


def test_an_id_that_amplitude_would_cut_is_refused() -> None:
    assert unusable("a" * 1024, 5) is None
    assert unusable("a" * 1025, 5) == "the user id has more than 1024 characters"


def test_zeros_may_be_somebody() -> None:
    assert unusable("00000", 5) is None
