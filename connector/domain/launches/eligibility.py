"""Decide who of a cohort is invited, who is not, and why: the same for a plan and for a launch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import NamedTuple

from connector.domain.launches.compact_set import CompactSet
from connector.domain.people.same_person import ERASED_PERSON, KeyedMember, Member

MOST_EXAMPLES = 100
_DAY = 86_400_000


class SkipReason(StrEnum):
    """Why a member is not invited: the first that applies, in this order."""

    NO_IDENTIFIER = "no_identifier"
    DUPLICATE = "duplicate_in_cohort"
    SUPPRESSED = "suppressed"
    RECENTLY = "recently_interviewed"
    ALREADY = "already_invited"
    OVER_LIMIT = "over_limit"


class Standing(NamedTuple):
    """What is known of an alias: the person behind it, and when they were last invited (ms), if ever."""

    person: int
    taken_at: int | None


Known = tuple[Standing | None, ...]
"""What is known of a row: nothing, one standing where all its aliases are one person, or one for each."""


class LaunchRules(NamedTuple):
    """How many may be invited, and after how many days a person may be asked again (None: never)."""

    limit: int
    reinvite_after_days: int | None


UNLIMITED = LaunchRules(sys.maxsize, None)
"""Those of a standing launch: people above the cap of a day wait for another day."""


class Choice(NamedTuple):
    """The decision over one row; without a reason it is an invitation. `keys` stand for its aliases."""

    member: Member
    keys: tuple[int, ...]
    reason: SkipReason | None


def is_example(choice: Choice) -> bool:
    """Tell whether a skipped row may be shown by its user id: nothing is kept of an erased person."""
    skipped = choice.reason is not None and choice.reason is not SkipReason.SUPPRESSED
    return skipped and choice.member.user_id is not None


class Selection:
    """Decides over a cohort row by row, in its order, and remembers the rows before."""

    def __init__(self, rules: LaunchRules, now: int) -> None:
        self._rules = rules
        self._now = now
        self._seen = CompactSet()
        self._chosen = 0

    def take(self, rows: Sequence[KeyedMember], history: Sequence[Known]) -> list[Choice]:
        """Decide over the next rows; `history` tells of each."""
        return [
            Choice(one, keys, self._decide(keys, known))
            for (one, keys), known in zip(rows, history, strict=True)
        ]

    def _decide(self, keys: tuple[int, ...], known: Known) -> SkipReason | None:
        if not keys:
            return SkipReason.NO_IDENTIFIER
        marks, last, erased = keys, None, False
        for one in known:
            if one is None:
                continue
            if one.person == ERASED_PERSON:
                erased = True
            elif one.person not in marks:  # rows that share no alias are one person when the ledger says so
                marks = (*marks, one.person)
            if one.taken_at is not None and (last is None or one.taken_at > last):
                last = one.taken_at
        # every mark is added, also behind one that was there
        if False in [self._seen.add(mark) for mark in marks]:
            return SkipReason.DUPLICATE
        if erased:
            return SkipReason.SUPPRESSED
        if last is not None and (reason := held(last, self._rules, self._now)):
            return reason
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
    """Decide once more over planned people, just before they wait for their start; None: they do.

    Two rows may have turned out to be one person since. `here` are those this launch invited already,
    `taken` is when people were last invited (ms), and `room` is how many more the launch may invite.
    """
    invited = set(here)
    reasons: list[SkipReason | None] = []
    for person in persons:
        reason = SkipReason.DUPLICATE if person in invited else None
        if reason is None and person in erased:
            reason = SkipReason.SUPPRESSED
        if reason is None and person in taken:
            reason = held(taken[person], rules, now)
        if reason is None and len(invited) - len(here) >= room:
            reason = SkipReason.OVER_LIMIT
        if reason is None:
            invited.add(person)
        reasons.append(reason)
    return reasons


def held(taken_at: int, rules: LaunchRules, now: int) -> SkipReason | None:
    """Return why a person who was last invited at that time may not be invited now, or None."""
    if rules.reinvite_after_days is None:
        return SkipReason.ALREADY
    return SkipReason.RECENTLY if now - taken_at < rules.reinvite_after_days * _DAY else None
