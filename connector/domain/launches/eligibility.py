"""Decide which members of a cohort are invited, and why others are not: alike for a plan and a launch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import NamedTuple

from connector.domain.launches.compact_set import CompactSet
from connector.domain.launches.sample import Draws, Smallest
from connector.domain.people.same_person import ERASED_PERSON, KeyedMember, Member

MOST_EXAMPLES = 100
_DAY = 86_400_000  # ms


class SkipReason(StrEnum):
    """Why a member is not invited: the first reason that applies, in this order."""

    NO_IDENTIFIER = "no_identifier"
    DUPLICATE = "duplicate_in_cohort"
    SUPPRESSED = "suppressed"
    RECENTLY = "recently_interviewed"
    ALREADY = "already_invited"
    OVER_LIMIT = "over_limit"


class Standing(NamedTuple):
    """The history of an alias: its person, and when that person was last invited (ms), if ever."""

    person: int
    taken_at: int | None


Known = tuple[Standing | None, ...]
"""The history of a row: nothing, one standing if all its aliases are one person, or one for each alias."""


class LaunchRules(NamedTuple):
    """How many people may be invited, and after how many days a person may be invited again (None: never).

    With a `seed` the people are drawn; without one they are the first of the cohort.
    """

    limit: int
    reinvite_after_days: int | None
    seed: str | None = None


UNLIMITED = LaunchRules(sys.maxsize, None)
"""The rules of a standing launch: people above the cap of a day wait for another day."""


class Choice(NamedTuple):
    """The decision over one row: without a reason, an invitation.

    `keys` are the keys of its aliases, `draw` is the person's where people are drawn.
    """

    member: Member
    keys: tuple[int, ...]
    reason: SkipReason | None
    draw: int | None = None


def is_example(choice: Choice) -> bool:
    """Tell whether a skipped row may be shown by its user id; an erased person may not."""
    skipped = choice.reason is not None and choice.reason is not SkipReason.SUPPRESSED
    return skipped and choice.member.user_id is not None


class Selection:
    """Decides over the rows of a cohort in their order, and remembers earlier rows.

    A person who was drawn gives way to a later one with a smaller draw.
    """

    def __init__(self, rules: LaunchRules, now: int) -> None:
        self._rules = rules
        self._now = now
        self._seen = CompactSet()
        self._draws = None if rules.seed is None else Draws(rules.seed)
        self._sample = Smallest(rules.limit)
        self._chosen = 0

    def take(self, rows: Sequence[KeyedMember], history: Sequence[Known]) -> tuple[list[Choice], list[int]]:
        """Decide over the next rows; `history` has an entry for each.

        Also return the draws of people chosen before these rows who gave way to people among them.
        """
        choices = [
            Choice(member, keys, self._decide(keys, known))
            for (member, keys), known in zip(rows, history, strict=True)
        ]
        return choices, [] if self._draws is None else self._draw(choices, self._draws)

    def _draw(self, choices: list[Choice], draws: Draws) -> list[int]:
        """Draw among those who may be invited, in place."""
        here: dict[int, int] = {}
        gave_way: list[int] = []
        for at, choice in enumerate(choices):
            if choice.reason is not None:
                continue
            draw = draws.of(choice.keys)
            here[draw] = at
            choices[at] = choice._replace(draw=draw)
            if (without_place := self._sample.add(draw)) is None:
                continue
            if without_place in here:
                place = here[without_place]
                choices[place] = choices[place]._replace(reason=SkipReason.OVER_LIMIT)
            else:
                gave_way.append(without_place)
        return gave_way

    def _decide(self, keys: tuple[int, ...], known: Known) -> SkipReason | None:
        if not keys:
            return SkipReason.NO_IDENTIFIER
        marks, last, erased = keys, None, False
        for standing in known:
            if standing is None:
                continue
            if standing.person == ERASED_PERSON:
                erased = True
            elif standing.person not in marks:  # the ledger may know that two rows are one person
                marks = (*marks, standing.person)
            if standing.taken_at is not None and (last is None or standing.taken_at > last):
                last = standing.taken_at
        # a list, because every mark must be added, also after one that is not new
        if False in [self._seen.add(mark) for mark in marks]:
            return SkipReason.DUPLICATE
        if erased:
            return SkipReason.SUPPRESSED
        if last is not None and (reason := repeat_reason(last, self._rules, self._now)):
            return reason
        if self._draws is None:
            if self._chosen >= self._rules.limit:
                return SkipReason.OVER_LIMIT
            self._chosen += 1
        return None


def look_again(
    persons: Sequence[int],
    *,
    here: AbstractSet[int],
    erased: AbstractSet[int],
    taken: Mapping[int, int],
    room: int,
    rules: LaunchRules,
    now: int,
) -> list[SkipReason | None]:
    """Decide once more over planned people, just before they wait for their start; None means invite.

    Since the plan, two rows may have turned out to be one person. `here` are the people this launch has
    invited already, `taken` is when people were last invited (ms), and `room` is how many more the launch
    may invite.
    """
    invited = set(here)
    reasons: list[SkipReason | None] = []
    for person in persons:
        reason: SkipReason | None = None
        if person in invited:
            reason = SkipReason.DUPLICATE
        elif person in erased:
            reason = SkipReason.SUPPRESSED
        elif person in taken and (repeated := repeat_reason(taken[person], rules, now)):
            reason = repeated
        elif len(invited) - len(here) >= room:
            reason = SkipReason.OVER_LIMIT
        else:
            invited.add(person)
        reasons.append(reason)
    return reasons


def repeat_reason(taken_at: int, rules: LaunchRules, now: int) -> SkipReason | None:
    """Return why a person who was last invited at `taken_at` (ms) may not be invited now, or None."""
    if rules.reinvite_after_days is None:
        return SkipReason.ALREADY
    return SkipReason.RECENTLY if now - taken_at < rules.reinvite_after_days * _DAY else None
