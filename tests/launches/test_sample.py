"""The fair sample: everybody's chance is the same, whatever the order, and a seed draws the same people."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.launches.eligibility import Choice, LaunchRules, Selection, SkipReason, Standing
from connector.domain.launches.sample import Draws, Smallest
from connector.domain.people.same_person import KeyedMember, Member

pytestmark = pytest.mark.unit

NOW = 1_790_000_000_000


def cohort(size: int) -> list[KeyedMember]:
    """Return people, each with the keys of a user id and an e-mail."""
    keys = random.Random(7)
    return [
        (Member(f"u{n}", f"p{n}@example.com", None), (keys.getrandbits(62), keys.getrandbits(62)))
        for n in range(size)
    ]


def drawn(rows: Sequence[KeyedMember], seed: str, limit: int, chunk: int = 100) -> set[str | None]:
    """Return the user ids of the people who are chosen in the end."""
    selection = Selection(LaunchRules(limit, None, seed), NOW)
    chosen: dict[int | None, Choice] = {}
    over = 0
    for at in range(0, len(rows), chunk):
        piece = rows[at : at + chunk]
        choices, gave_way = selection.take(piece, [()] * len(piece))
        for draw in gave_way:
            del chosen[draw]
        chosen |= {choice.draw: choice for choice in choices if choice.reason is None}
        over += len(gave_way) + sum(choice.reason is SkipReason.OVER_LIMIT for choice in choices)
    assert over + len(chosen) == len(rows)
    return {choice.member.user_id for choice in chosen.values()}


def test_everybody_is_drawn_as_often() -> None:
    people, cap, seeds = cohort(500), 50, 400
    times = Counter(who for seed in range(seeds) for who in drawn(people, f"s{seed}", cap))
    expected = seeds * cap / len(people)
    chi = sum((times[member.user_id] - expected) ** 2 / expected for member, _ in people)
    # without replacement the variance is smaller by (1 - cap / people); 499 degrees of freedom, p = 0.01
    assert chi / (1 - cap / len(people)) < 576.5


@pytest.mark.parametrize("chunk", [1, 7, 1_000])
def test_a_seed_draws_the_same_people_in_any_order_and_in_any_chunks(chunk: int) -> None:
    people = cohort(300)
    shuffled = random.Random(3).sample(people, len(people))
    assert drawn(shuffled, "mine", 20, chunk) == drawn(people, "mine", 20)
    assert drawn(people, "yours", 20) != drawn(people, "mine", 20)


def test_rows_that_share_an_email_have_one_draw() -> None:
    draws = Draws("seed")
    assert draws.of((1, 99)) == draws.of((2, 99)) == draws.of((99,)) == draws.of((3, 99, 4))
    assert draws.of((1, 98)) != draws.of((1, 99))


def test_those_who_cannot_be_invited_take_no_place() -> None:
    people = cohort(30)
    selection = Selection(LaunchRules(10, None, "seed"), NOW)
    history = [(Standing(keys[0], NOW),) if at % 2 else () for at, (_, keys) in enumerate(people)]
    choices, _ = selection.take(people, history)
    counts = Counter(choice.reason for choice in choices)
    assert counts == {None: 10, SkipReason.ALREADY: 15, SkipReason.OVER_LIMIT: 5}


@given(st.lists(st.integers()), st.integers(0, 9))
def test_the_smallest_are_kept_and_every_other_is_handed_back(numbers: list[int], size: int) -> None:
    sample = Smallest(size)
    handed_back = [sample.add(number) for number in numbers]
    left = [number for number in handed_back if number is not None]
    assert sorted(left) == sorted(numbers)[size:]
