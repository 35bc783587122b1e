"""Who of a cohort is invited, who is not, and why: the same decision for a plan and for a launch.

A person is known by aliases: e-mail addresses and user ids. Two rows, or a row and an earlier invitation, are
one person as soon as they share an alias.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from connector.text.values import text

MOST_EXAMPLES = 100
ERASED_PERSON = 0
"""The person behind every alias of everybody who was forgotten."""
_DAY = 86_400_000
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST = 1_024


class SkipReason(StrEnum):
    """Why somebody is not invited: the first that applies, in this order."""

    NO_IDENTIFIER = "no_identifier"
    DUPLICATE = "duplicate_in_cohort"
    SUPPRESSED = "suppressed"
    RECENTLY = "recently_interviewed"
    ALREADY = "already_invited"
    OVER_LIMIT = "over_limit"


class Member(NamedTuple):
    """One row of a cohort: who it is, as far as it tells."""

    user_id: str | None
    email: str | None
    name: str | None


KeyedMember = tuple[Member, tuple[int, ...]]
"""A member with the keys of their aliases."""


class Standing(NamedTuple):
    """What is known of an alias: the person behind it, and when they were last invited (ms), if ever."""

    person: int
    taken_at: int | None


Known = tuple[Standing | None, ...]
"""What is known of a row: nothing, one standing where all its aliases are one person, or one for each."""


class LaunchRules(NamedTuple):
    """How many may be invited, and after how many days somebody may be asked again (None: never)."""

    limit: int
    reinvite_after_days: int | None


class Choice(NamedTuple):
    """The decision over one row; without a reason it is an invitation. `keys` stand for its aliases."""

    member: Member
    keys: tuple[int, ...]
    reason: SkipReason | None


class Seen(Protocol):
    """A set that tells what is new to it."""

    def add(self, number: int, /) -> bool:
        """Add a number; return whether it was not there."""
        ...


@dataclass(slots=True)
class Plan:
    """What became of a cohort, in its order. `examples` are (user id, reason), at most 100."""

    invited: list[Member] = field(default_factory=list)
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    examples: list[tuple[str, SkipReason]] = field(default_factory=list)
    total: int = 0

    def add(self, choices: Iterable[Choice]) -> None:
        """Count decisions."""
        for choice in choices:
            self.total += 1
            if choice.reason is None:
                self.invited.append(choice.member)
                continue
            self.skipped[choice.reason] += 1
            if is_example(choice) and len(self.examples) < MOST_EXAMPLES:
                self.examples.append((choice.member.user_id or "", choice.reason))


def is_example(choice: Choice) -> bool:
    """Tell whether a skipped row may be shown by its user id: nothing is kept of whoever was forgotten."""
    skipped = choice.reason is not None and choice.reason is not SkipReason.SUPPRESSED
    return skipped and choice.member.user_id is not None


def member(user_id: object, email: object, name: object) -> Member:
    """Return a row as it is used: without surrounding space, and without an e-mail that is none."""
    address = text(email)
    if address is not None and not is_email(address):
        address = None
    return Member(_short(text(user_id)), address, text(name))


def is_email(address: str) -> bool:
    """Tell whether a text could be an e-mail address: something, one @, something, no space."""
    return len(address) <= _LONGEST and _EMAIL.fullmatch(address) is not None


def _short(user_id: str | None) -> str | None:
    """Return a user id that Amplitude can hold (at most 1,024 characters)."""
    return user_id if user_id is not None and len(user_id) <= _LONGEST else None


def aliases(one: Member) -> tuple[str, ...]:
    """Return the texts by which a person is recognised; a user id with an @ counts as an e-mail too."""
    found = [] if one.user_id is None else [f"user:{one.user_id}"]
    addresses = (one.email, one.user_id if one.user_id is not None and "@" in one.user_id else None)
    found += [f"email:{same_email(address)}" for address in addresses if address is not None]
    return tuple(dict.fromkeys(found))


def same_email(address: str) -> str:
    """Return an address as it is compared: whatever its letter case and Unicode form."""
    if address.isascii():
        return address.strip().lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address.strip()).casefold())


class Selection:
    """Decides over a cohort row by row, in its order; `seen` remembers the rows before."""

    def __init__(self, rules: LaunchRules, now: int, seen: Seen | None = None) -> None:
        self._rules = rules
        self._now = now
        self._seen = seen if seen is not None else _Seen()
        self._chosen = 0

    def take(self, rows: Sequence[tuple[Member, tuple[int, ...]]], history: Sequence[Known]) -> list[Choice]:
        """Decide over the next rows, each with the keys of its aliases; `history` tells of each."""
        return [
            Choice(one, keys, self._decide(keys, known))
            for (one, keys), known in zip(rows, history, strict=True)
        ]

    def _decide(self, keys: tuple[int, ...], known: Known) -> SkipReason | None:
        if not keys:
            return SkipReason.NO_IDENTIFIER
        marks, last, forgotten = keys, None, False
        for one in known:
            if one is None:
                continue
            if one.person == ERASED_PERSON:
                forgotten = True
            elif (
                one.person not in marks
            ):  # two rows that share no alias are one person when the ledger says so
                marks = (*marks, one.person)
            if one.taken_at is not None and (last is None or one.taken_at > last):
                last = one.taken_at
        # every mark is added, also behind one that was there
        if False in [self._seen.add(mark) for mark in marks]:
            return SkipReason.DUPLICATE
        if forgotten:
            return SkipReason.SUPPRESSED
        if last is not None and (reason := held(last, self._rules, self._now)):
            return reason
        if self._chosen >= self._rules.limit:
            return SkipReason.OVER_LIMIT
        self._chosen += 1
        return None


def held(taken_at: int, rules: LaunchRules, now: int) -> SkipReason | None:
    """Return why somebody who was last invited at that time may not be invited now, or None."""
    if rules.reinvite_after_days is None:
        return SkipReason.ALREADY
    return SkipReason.RECENTLY if now - taken_at < rules.reinvite_after_days * _DAY else None


def select(
    members: Iterable[Member],
    history: Mapping[int, Standing],
    rules: LaunchRules,
    now: int,
    *,
    key: Callable[[str], int] = hash,
) -> Plan:
    """Return the plan for a whole cohort; `history` is by the `key` of an alias, `now` in ms."""
    selection, plan = Selection(rules, now), Plan()
    rows = [(one, tuple(map(key, aliases(one)))) for one in members]
    plan.add(selection.take(rows, [tuple(map(history.get, keys)) for _, keys in rows]))
    return plan


class _Seen:
    def __init__(self) -> None:
        self._numbers: set[int] = set()

    def add(self, number: int, /) -> bool:
        if number in self._numbers:
            return False
        self._numbers.add(number)
        return True
