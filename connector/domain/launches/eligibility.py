"""Decide which members of a cohort are invited, and why others are not: alike for a plan and a launch."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from itertools import count, repeat
from typing import NamedTuple

from connector.domain.launches.compact_set import CompactSet
from connector.domain.launches.quota import Quota, require_few, wanted
from connector.domain.launches.rest import NO_RESTS, Recorded, Rest, RestRules, rest_of
from connector.domain.launches.sample import Draws, Holdout, Smallest
from connector.domain.people.same_person import ERASED_PERSON, KeyedMember, Member, first_key

MOST_EXAMPLES = 100
_DAY = 86_400_000  # ms


class SkipReason(StrEnum):
    """Why a member is not invited: the first reason that applies, in this order."""

    NO_IDENTIFIER = "no_identifier"
    DUPLICATE = "duplicate_in_cohort"
    SUPPRESSED = "suppressed"
    OPTED_OUT = "opted_out"
    RECENTLY = "recently_interviewed"
    ALREADY = "already_invited"
    RESTING = "resting"
    HOLDOUT = "holdout"
    OVER_LIMIT = "over_limit"


_AFTER_OPT_OUT = (None, SkipReason.RECENTLY, SkipReason.ALREADY)
"""The decisions that come after that of a person who opted out."""


STORED = (None, SkipReason.HOLDOUT)
"""The decisions that are stored with the person."""


class Standing(NamedTuple):
    """The history of an alias: its person, and when that person was last invited (ms), if ever."""

    person: int
    taken_at: int | None


Known = tuple[Standing | None, ...]
"""The history of a row: nothing, one standing if all its aliases are one person, or one for each alias."""


class LaunchRules(NamedTuple):
    """How many people may be invited, and after how many days a person may be invited again (None: never).

    With a `seed` the people are drawn; without one they are the first of the cohort. `rests` count over all
    connections.
    """

    limit: int
    reinvite_after_days: int | None
    seed: str | None = None
    rests: RestRules = NO_RESTS
    quota: Quota | None = None
    holdout: Holdout | None = None


UNLIMITED = LaunchRules(sys.maxsize, None)
"""The rules of a standing launch: people above the cap of a day wait for another day."""


class Choice(NamedTuple):
    """The decision over one row: without a reason, an invitation.

    `keys` are the keys of its aliases, `draw` is the person's where people are drawn. `rest` says until when
    a resting person rests; `register` are the keys of an invited person in the register of asking.
    """

    member: Member
    keys: tuple[int, ...]
    reason: SkipReason | None
    draw: int | None = None
    rest: Rest | None = None
    register: tuple[int, ...] = ()


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
        self._places = count()  # which stand for draws where the first are taken
        self._sample = Smallest(rules.limit)
        self._cells: dict[str | None, Smallest] = {}
        self.available: Counter[str] = Counter()
        self.cohort: Counter[str] = Counter()

    def take(
        self, rows: Sequence[KeyedMember], history: Sequence[Known], recorded: Sequence[Recorded] = ()
    ) -> tuple[list[Choice], list[int]]:
        """Decide over the next rows; `history` has an entry for each, and `recorded` too, or none.

        Also return the draws of people chosen before these rows who gave way to people among them.
        """
        decided = zip(rows, history, recorded or repeat(Recorded()), strict=False)
        choices = [self._decide(*row, known, of_all) for row, known, of_all in decided]
        self.cohort.update([member.segment for member, _ in rows if member.segment is not None])
        require_few(self.cohort, "segment_by")
        return choices, self._draw(choices)

    def _draw(self, choices: list[Choice]) -> list[int]:
        """Draw among those who may be invited, in place."""
        here: dict[int, int] = {}
        gave_way: list[int] = []
        for at, choice in enumerate(choices):
            if choice.reason is not None:
                continue
            draw = next(self._places) if self._draws is None else self._draws.of(choice.keys)
            here[draw] = at
            choices[at] = choice._replace(draw=None if self._draws is None else draw)
            if (without_place := self._sample_of(choice.member.cell).add(draw)) is None:
                continue
            if without_place in here:
                place = here[without_place]
                choices[place] = choices[place]._replace(reason=SkipReason.OVER_LIMIT)
            else:
                gave_way.append(without_place)
        return gave_way

    def _decide(self, member: Member, keys: tuple[int, ...], known: Known, recorded: Recorded) -> Choice:
        """Decide over a row but for the limit."""
        reason, last = self._of_connection(keys, known)
        if recorded.opted_out and reason in _AFTER_OPT_OUT:
            return Choice(member, keys, SkipReason.OPTED_OUT)
        if reason is None and (rest := rest_of(recorded.asked, self._rules.rests, self._now)):
            return Choice(member, keys, SkipReason.RESTING, rest=rest)
        if reason is None and self._rules.holdout is not None:
            # a known person has the draw of the key by which they were stored first, whatever names them now
            persons = {standing.person for standing in known if standing is not None} or {first_key(keys)}
            if self._rules.holdout.holds(persons):
                return Choice(member, keys, SkipReason.HOLDOUT)
        if reason is SkipReason.RECENTLY and last is not None and last <= self._now:
            rest = Rest("reinvite_after_days", last + (self._rules.reinvite_after_days or 0) * _DAY)
            return Choice(member, keys, reason, rest=rest)
        return Choice(member, keys, reason)

    def _of_connection(self, keys: tuple[int, ...], known: Known) -> tuple[SkipReason | None, int | None]:
        """Return why a person is not invited, if so, and when the person was last invited (ms)."""
        if not keys:
            return SkipReason.NO_IDENTIFIER, None
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
            return SkipReason.DUPLICATE, None
        if erased:
            return SkipReason.SUPPRESSED, None
        return None if last is None else repeat_reason(last, self._rules, self._now), last

    def _sample_of(self, cell: str | None) -> Smallest:
        """Return the sample that a person is drawn into. Raises `InvalidInput` for too many cells."""
        quota = self._rules.quota
        if quota is None:
            return self._sample
        if cell is not None and ("values" not in quota or cell in quota["values"]):
            if cell not in self.available:
                require_few((*self.available, cell), "quota")
            self.available[cell] += 1
        size = min(wanted(quota, cell), self._rules.limit)
        return self._cells.setdefault(cell if size else None, Smallest(size))


def look_again(
    persons: Sequence[int],
    *,
    here: AbstractSet[int],
    erased: AbstractSet[int],
    taken: Mapping[int, int],
    recorded: Sequence[Recorded],
    room: int,
    rules: LaunchRules,
    now: int,
) -> list[tuple[SkipReason | None, Rest | None]]:
    """Decide once more over planned people, just before they wait for their start; None means invite.

    Since the plan, two rows may have turned out to be one person. `here` are the people this launch has
    invited already, `taken` is when people were last invited (ms), `recorded` what the register holds of
    each, and `room` is how many more the launch may invite. A reason `resting` comes with its rest.
    """
    invited = set(here)
    reasons: list[tuple[SkipReason | None, Rest | None]] = []
    for person, of_all in zip(persons, recorded, strict=True):
        reason: SkipReason | None = None
        rest = rest_of(of_all.asked, rules.rests, now)
        if person in invited:
            reason = SkipReason.DUPLICATE
        elif person in erased:
            reason = SkipReason.SUPPRESSED
        elif of_all.opted_out:
            reason = SkipReason.OPTED_OUT
        elif person in taken and (repeated := repeat_reason(taken[person], rules, now)):
            reason = repeated
        elif rest is not None:
            reason = SkipReason.RESTING
        elif len(invited) - len(here) >= room:
            reason = SkipReason.OVER_LIMIT
        else:
            invited.add(person)
        reasons.append((reason, rest if reason is SkipReason.RESTING else None))
    return reasons


def repeat_reason(taken_at: int, rules: LaunchRules, now: int) -> SkipReason | None:
    """Return why a person who was last invited at `taken_at` (ms) may not be invited now, or None."""
    if rules.reinvite_after_days is None:
        return SkipReason.ALREADY
    return SkipReason.RECENTLY if now - taken_at < rules.reinvite_after_days * _DAY else None
