"""Recognise persons by keyed hashes of their aliases, each of which points to one person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Column, ColumnElement, Connection, exists, select, update

from connector.domain.launches.eligibility import STORED, Choice, Known, Standing
from connector.domain.people.same_person import (
    ERASED_PERSON,
    OPTED_OUT,
    KeyedMember,
    Member,
    aliases,
    first_key,
)
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.launches import invitation
from connector.ledger.db.schema.people import alias

QUEUED = 9_000_000_000_000_000
"""The time of an invitation that still waits: too late for any reinvitation."""

_LAST = (
    "(SELECT max(CASE WHEN i.state IN ('waiting', 'sending') THEN 9000000000000000 ELSE i.taken_at END) "
    "FROM invitation AS i WHERE i.person = {person} AND i.taken_at IS NOT NULL)"
)
_TAKEN = BulkStatement(
    "SELECT {returns} FROM {rows} AS r",
    {"person": "bigint"},
    returns=["r.person", _LAST.replace("{person}", "r.person")],
)
_IS_ONE = (
    "a.person IN (r.a, r.b, r.c) AND (r.b IS NULL OR b.person = a.person) "
    "AND (r.c IS NULL OR c.person = a.person)"
)
_HISTORY = BulkStatement(
    "SELECT {returns} FROM {rows} AS r LEFT JOIN alias AS a ON a.key = r.a LEFT JOIN alias AS b "
    "ON b.key = r.b LEFT JOIN alias AS c ON c.key = r.c "
    "WHERE coalesce(a.person, b.person, c.person) IS NOT NULL",
    {"place": "integer", "a": "bigint", "b": "bigint", "c": "bigint"},
    returns=[
        "r.place",
        "a.person",
        # nearly always all aliases are of one person, and no second query is needed
        f"CASE WHEN {_IS_ONE} THEN {_LAST.replace('{person}', 'a.person')} END",
    ],
    at_once=4_096,
)
_PERSONS = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN alias AS a ON a.key = r.key",
    {"key": "bigint"},
    returns=["a.key", "a.person"],
)
_INSERT = BulkStatement(
    "INSERT INTO alias (key, person) SELECT key, person FROM {rows} AS r WHERE true ON CONFLICT (key) DO "
    "NOTHING",
    {"key": "bigint", "person": "bigint"},
)
_UNLEARN = BulkStatement(
    "DELETE FROM alias WHERE person IN (SELECT person FROM {rows} AS r) AND person NOT IN (0, 1) "
    "AND NOT EXISTS (SELECT 1 FROM invitation AS i WHERE i.person = alias.person) "
    "AND NOT EXISTS (SELECT 1 FROM invitation AS i WHERE i.register = alias.person)",
    {"person": "bigint"},
)


_ENDED: Final = frozenset({ERASED_PERSON, OPTED_OUT})
_PADS: Final = tuple((None,) * (3 - n) for n in range(4))  # a member has up to 3 aliases


def alias_keys(key: bytes, connection: str, member: Member) -> tuple[int, ...]:
    """Return the keys of a member's aliases: 64 bits that only this ledger can make again."""
    return tuple([alias_key(key, connection, name) for name in aliases(member)])


def alias_key(key: bytes, connection: str, name: str) -> int:
    """Return the key of one alias."""
    salted = f"{connection}\0{name}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(salted, digest_size=8, key=key).digest(), "big", signed=True)


class Aliases(Repository):
    """The aliases of members, and the persons behind them."""

    def keyed(self, connection: str, members: Sequence[Member]) -> list[KeyedMember]:
        """Return members with the keys of their aliases, without the database."""
        return [(member, alias_keys(self.keys.people, connection, member)) for member in members]

    @reads
    def history(self, c: Connection, members: Sequence[KeyedMember]) -> list[Known]:
        """Return what is known of each member, in their order.

        Nothing when no alias is known, one standing when all are one person, otherwise one for each alias.
        """
        asked = [keys for _, keys in members]
        known: list[Known] = [()] * len(asked)
        # sorted, because neighbours lie on one page
        rows = sorted([(keys[0], place, keys) for place, keys in enumerate(asked) if keys])
        unsure: list[int] = []
        for place, person, at in _HISTORY.fetch(
            c, [(place, *keys, *_PADS[len(keys)]) for _, place, keys in rows]
        ):
            if at is None:  # the aliases are of several persons, or of a person who was never invited
                unsure.append(place)
            else:
                known[place] = (Standing(person, at),)
        if unsure:
            persons = behind(c, [key for place in unsure for key in asked[place]])
            taken = _TAKEN.fetch(c, [(person,) for person in sorted(set(persons.values()))])
            standing = {person: Standing(person, at) for person, at in taken}
            for place in unsure:
                standings = tuple([standing[persons[k]] if k in persons else None for k in asked[place]])
                known[place] = standings[:1] if len(set(standings)) == 1 else standings
        return known


def behind(c: Connection, keys: Iterable[int]) -> dict[int, int]:
    """Return the person behind each known alias."""
    asked = [(key,) for key in sorted(set(keys))]
    return {row[0]: row[1] for row in _PERSONS.fetch(c, asked)} if asked else {}


def forgotten(c: Connection, keys: Iterable[int]) -> set[int]:
    """Return the keys that are aliases of erased persons."""
    return {key for key, person in behind(c, keys).items() if person == ERASED_PERSON}


def is_erased(person: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that the person of an invitation was erased."""
    return exists().where(alias.c.key == person, alias.c.person == ERASED_PERSON)


def unlearn(c: Connection, persons: Iterable[int]) -> None:
    """Delete the aliases of persons who have no invitation. The caller has locked the people."""
    _UNLEARN.execute(c, [(person,) for person in sorted(set(persons))])


def learn(c: Connection, choices: Sequence[Choice], of: Column[int] = invitation.c.person) -> dict[int, int]:
    """Let the aliases of each member point to one person; return the person by key.

    A member who is not stored teaches new aliases only of a known person: nothing is kept of a new one.
    A member with aliases of two known persons makes them one; when one of the two was erased or opted out,
    both count so. `of` is the column of invitations that refers to these persons. The caller has locked the
    people.
    """
    stored = behind(c, [key for choice in choices for key in choice.keys])
    persons = dict(stored)
    joined: dict[int, int] = {}

    def current(person: int) -> int:
        while person in joined:
            person = joined[person]
        return person

    for choice in choices:
        known = list(dict.fromkeys(current(persons[key]) for key in choice.keys if key in persons))
        if not known and choice.reason not in STORED:
            continue
        person = next((one for one in known if one in _ENDED), known[0] if known else first_key(choice.keys))
        joined.update({other: person for other in known if other != person})
        persons.update(dict.fromkeys(choice.keys, person))
    learnt = {key: current(person) for key, person in persons.items()}
    if joined:  # locked in the order of their ids, as everywhere
        joined_invitations = select(invitation.c.id).where(of.in_(joined))
        c.execute(joined_invitations.order_by(invitation.c.id).with_for_update())
    for other in joined:
        person = current(other)
        c.execute(update(alias).where(alias.c.person == other).values(person=person))
        # the invitations of such a person keep the alias by which the erasure or the no is looked up
        if person not in _ENDED:
            c.execute(update(invitation).where(of == other).values({of: person}))
    if new := [(key, person) for key, person in sorted(learnt.items()) if key not in stored]:
        _INSERT.execute(c, new)
    return learnt
