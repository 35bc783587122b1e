"""Whom the book recognises: keyed hashes of aliases, each pointing to one person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, update

from connector.eligibility import Choice, Member, Standing, aliases
from connector.ledger.batch import Batch
from connector.ledger.schema import alias, invitation

QUEUED = 9_000_000_000_000_000
"""When somebody was invited who still waits: later than any reinvitation could allow."""

_LAST = (
    "(SELECT max(CASE WHEN i.state IN ('waiting', 'sending') THEN 9000000000000000 ELSE i.taken_at END) "
    "FROM invitation AS i WHERE i.person = {person} AND i.taken_at IS NOT NULL)"
)
_TAKEN = Batch(
    "SELECT {returns} FROM {rows} AS r",
    {"person": "bigint"},
    returns=["r.person", _LAST.replace("{person}", "r.person")],
)
_HISTORY = Batch(
    "SELECT {returns} FROM {rows} AS r JOIN alias AS a ON a.key = r.key",
    {"key": "bigint"},
    returns=[
        "a.key",
        "a.person",
        f"CASE WHEN a.key = a.person THEN {_LAST.replace('{person}', 'a.person')} END",
    ],
)
_PERSONS = Batch(
    "SELECT {returns} FROM {rows} AS r JOIN alias AS a ON a.key = r.key",
    {"key": "bigint"},
    returns=["a.key", "a.person"],
)
_INSERT = Batch(
    "INSERT INTO alias (key, person) SELECT key, person FROM {rows} AS r WHERE true ON CONFLICT (key) DO "
    "NOTHING",
    {"key": "bigint", "person": "bigint"},
)


def alias_keys(key: bytes, connection: str, member: Member) -> tuple[int, ...]:
    """Return the keys of a member's aliases: 64 bits that only this book can make again."""
    salted = f"{connection}\0"
    return tuple(
        int.from_bytes(
            hashlib.blake2b((salted + one).encode("utf-8", "replace"), digest_size=8, key=key).digest(),
            "big",
            signed=True,
        )
        for one in aliases(member)
    )


def history(connection: Connection, keys: Iterable[int]) -> dict[int, Standing]:
    """Return what is known of aliases, by key; sorted, because neighbours lie on one page."""
    asked = [(key,) for key in sorted(set(keys))]
    if not asked or not (found := _HISTORY.fetch(connection, asked)):
        return {}
    # a person is named after one alias, which nearly always is asked for too: it brings the answer along
    standing = {key: Standing(person, at) for key, person, at in found if key == person}
    if others := [(person,) for person in sorted({row[1] for row in found} - standing.keys())]:
        standing |= {person: Standing(person, at) for person, at in _TAKEN.fetch(connection, others)}
    return {key: standing[person] for key, person, _ in found}


def learn(connection: Connection, choices: Sequence[Choice]) -> dict[int, int]:
    """Let the aliases of each row point to one person; return the person by key.

    A row that is not invited teaches new aliases only of somebody who is known already: of others nothing is
    kept. Rows that join two known persons make them one. The caller has the people locked.
    """
    asked = sorted({(key,) for choice in choices for key in choice.keys})
    stored: Mapping[int, int] = {row[0]: row[1] for row in _PERSONS.fetch(connection, asked)} if asked else {}
    persons = dict(stored)
    joined: dict[int, int] = {}

    def now_in(person: int) -> int:
        while person in joined:
            person = joined[person]
        return person

    for choice in choices:
        known = list(dict.fromkeys(now_in(persons[key]) for key in choice.keys if key in persons))
        if not known and choice.reason is not None:
            continue
        person = known[0] if known else choice.keys[0]
        joined.update(dict.fromkeys(known[1:], person))
        persons.update(dict.fromkeys(choice.keys, person))
    found = {key: now_in(person) for key, person in persons.items()}
    for other in joined:
        _join(connection, other, now_in(other))
    if new := [(key, person) for key, person in sorted(found.items()) if key not in stored]:
        _INSERT.execute(connection, new)
    return found


def _join(connection: Connection, other: int, person: int) -> None:
    connection.execute(update(alias).where(alias.c.person == other).values(person=person))
    connection.execute(update(invitation).where(invitation.c.person == other).values(person=person))
