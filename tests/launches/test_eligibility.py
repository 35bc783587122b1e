"""Who is invited, who not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.compact_set import CompactSet
from connector.domain.launches.eligibility import LaunchRules, Selection, SkipReason, Standing
from connector.domain.people.email import is_email
from connector.domain.people.same_person import Member, aliases, member

pytestmark = pytest.mark.unit

NOW = 1_790_000_000_000
DAY = 86_400_000
NEVER = LaunchRules(1_000, None)


def key(alias: str) -> int:
    """Return a key that is easy to read in a failure."""
    return hash(alias)


def known(one: Member, taken_at: int | None, person: int = 7) -> dict[int, Standing]:
    return {key(alias): Standing(person, taken_at) for alias in aliases(one)}


@dataclass(slots=True)
class Plan:
    """What became of a cohort, in its order."""

    invited: list[Member]
    skipped: Counter[SkipReason]


def select(rows: Sequence[Member], history: Mapping[int, Standing], rules: LaunchRules) -> Plan:
    """Return the plan for a whole cohort."""
    keyed = [(one, tuple(map(key, aliases(one)))) for one in rows]
    choices, _ = Selection(rules, NOW).take(keyed, [tuple(map(history.get, keys)) for _, keys in keyed])
    assert [choice.member for choice in choices] == list(rows)
    return Plan(
        [choice.member for choice in choices if choice.reason is None],
        Counter(choice.reason for choice in choices if choice.reason is not None),
    )


ADA = Member("u-ada", "ada@example.com", "Ada")
IDS = st.none() | st.sampled_from(["a", "b", "c", "d@example.com", "E@example.com"])
EMAILS = st.none() | st.sampled_from(
    ["a@example.com", "A@Example.com ", "b@example.com", "d@example.com", "e@example.com", "ÅSA@example.com"]
)
MEMBERS = st.lists(st.builds(lambda u, e: member(u, e, None), IDS, EMAILS), max_size=25)


class TestAliases:
    def test_email_and_user_id(self) -> None:
        assert aliases(ADA) == ("user:u-ada", "email:ada@example.com")

    def test_an_email_counts_however_it_is_written(self) -> None:
        written = [" ada@EXAMPLE.com", "Ada@example.com", "ada@example.com "]
        assert len({aliases(member(None, one, None)) for one in written}) == 1

    def test_unicode_forms_of_an_address_are_one(self) -> None:
        composed, decomposed = "\u00e5sa@example.com", "a\u030asa@example.com"
        assert aliases(member(None, composed, None)) == aliases(member(None, decomposed, None))
        assert aliases(member(None, "STRASSE@example.com", None)) == aliases(
            member(None, "straße@example.com", None)
        )

    def test_a_user_id_with_an_at_counts_as_an_email_too(self) -> None:
        assert set(aliases(Member("Ada@example.com", None, None))) & set(
            aliases(Member(None, "ada@example.com", None))
        )

    @pytest.mark.parametrize(
        "text", ["", "ada", "ada@", "@example.com", "a b@example.com", "a@b@c", "x" * 1_025]
    )
    def test_what_is_no_email_is_left_out(self, text: str) -> None:
        assert not is_email(text)
        assert member("u", text, None).email is None

    def test_nobody_has_none(self) -> None:
        assert aliases(member(" ", None, "Ada")) == ()


class TestReasons:
    def test_the_first_that_applies(self) -> None:
        nobody = Member(None, None, "x")
        other, third = Member("u-2", None, None), Member("u-3", None, None)
        plan = select([nobody, ADA, ADA, other, third], known(ADA, NOW), LaunchRules(1, None))
        assert plan.invited == [other]
        assert plan.skipped == {
            SkipReason.NO_IDENTIFIER: 1,
            SkipReason.ALREADY: 1,
            SkipReason.DUPLICATE: 1,
            SkipReason.OVER_LIMIT: 1,
        }

    @pytest.mark.parametrize(
        ("days", "ago", "reason"),
        [
            (None, 10_000, SkipReason.ALREADY),
            (30, 29, SkipReason.RECENTLY),
            (30, 30, None),
            (0, 0, None),
        ],
    )
    def test_asking_again(self, days: int | None, ago: int, reason: SkipReason | None) -> None:
        plan = select([ADA], known(ADA, NOW - ago * DAY), LaunchRules(9, days))
        assert (plan.skipped == {reason: 1}) if reason else plan.invited == [ADA]

    def test_somebody_who_is_known_and_free_is_invited(self) -> None:
        assert select([ADA], known(ADA, None), NEVER).invited == [ADA]

    def test_rows_that_share_no_alias_are_one_person_when_the_book_says_so(self) -> None:
        by_id, by_email = Member("u-ada", None, None), Member(None, "ada@example.com", None)
        plan = select([by_id, by_email], known(ADA, None), NEVER)
        assert (plan.invited, plan.skipped) == ([by_id], {SkipReason.DUPLICATE: 1})

    def test_a_chain_of_aliases_is_one_person(self) -> None:
        rows = [
            Member("a", "x@example.com", None),
            Member("b", "x@example.com", None),
            Member("b", None, None),
        ]
        assert select(rows, {}, NEVER).skipped == {SkipReason.DUPLICATE: 2}


@given(
    MEMBERS,
    st.integers(0, 30),
    st.none() | st.integers(0, 3),
    st.dictionaries(st.integers(0, 9), st.booleans()),
)
def test_counts_order_and_caps(
    rows: list[Member], limit: int, days: int | None, taken: dict[int, bool]
) -> None:
    history = {
        key(alias): Standing(key(aliases(one)[0]), NOW - at * DAY if taken[at] else None)
        for at, one in enumerate(rows)
        if at in taken
        for alias in aliases(one)
    }
    plan = select(rows, history, LaunchRules(limit, days))
    assert len(rows) == len(plan.invited) + plan.skipped.total()
    assert len(plan.invited) <= limit
    positions = [rows.index(one) for one in plan.invited]
    assert positions == sorted(positions)
    marks = [alias for one in plan.invited for alias in aliases(one)]
    assert len(marks) == len(set(marks)), "an alias is invited once"
    assert (SkipReason.RECENTLY in plan.skipped) <= (days is not None)
    assert (SkipReason.ALREADY in plan.skipped) <= (days is None)
    if SkipReason.OVER_LIMIT in plan.skipped:
        assert len(plan.invited) == limit


@given(MEMBERS, st.integers(1, 7), st.integers(0, 30))
def test_piece_by_piece_is_the_same_as_at_once(rows: list[Member], size: int, limit: int) -> None:
    whole = select(rows, {}, LaunchRules(limit, None))
    selection = Selection(LaunchRules(limit, None), NOW)
    keyed = [(one, tuple(map(key, aliases(one)))) for one in rows]
    pieces = [keyed[at : at + size] for at in range(0, len(keyed), size)]
    choices = [choice for piece in pieces for choice in selection.take(piece, [()] * len(piece))[0]]
    assert [choice.member for choice in choices if choice.reason is None] == whole.invited
    assert Counter(choice.reason for choice in choices if choice.reason) == whole.skipped


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_a_compact_set_is_a_set(numbers: list[int]) -> None:
    compact, plain = CompactSet(), set[int]()
    for number in numbers:
        assert compact.add(number) == ((number or 1) not in plain)
        plain.add(number or 1)


def test_a_compact_set_grows() -> None:
    compact = CompactSet()
    numbers = [hash((n, "x")) for n in range(20_000)]
    assert all(compact.add(number) for number in numbers)
    assert not any(compact.add(number) for number in numbers)
