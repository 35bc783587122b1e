"""Which of the people whom interviews name were erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from sqlalchemy import Connection, select

from connector.domain.people.respondent import People, is_ours, names_of
from connector.domain.people.same_person import ERASED_PERSON
from connector.domain.results.interview import Interview
from connector.ledger.access.secrets import keyed_hash
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.schema import invitation, sync
from connector.ledger.people.aliases import alias_key, forgotten, is_gone
from connector.ledger.results.syncs import KEY, load

UNKNOWN = 0
"""The respondent of a row that was stored before this column was."""

_PIECE = 500
_ANYBODY = f"SELECT 1 FROM alias WHERE person = {ERASED_PERSON} LIMIT 1"  # noqa: S608 - a constant of ours
_SET = BulkStatement(
    "UPDATE sync SET {changes} FROM {rows} AS r "
    "WHERE sync.connection = r.connection AND sync.interview_id = r.interview_id",
    {**KEY, "respondent": "bigint", "external": "bigint"},
    key=KEY,
)


def people_of(c: Connection, key: bytes, mentions: Iterable[tuple[str, Interview]]) -> People:
    """Return what is known of the people whom interviews of connections name.

    A transaction that decides by it shares the suppressions: no person can be erased until its end.
    """
    people = People(partial(keyed_hash, key), partial(alias_key, key))
    if not _is_any_erased(c):
        return people
    names = {(connection, name) for connection, interview in mentions for name in names_of(interview)}
    keys = {one: alias_key(key, *one) for one in names if not is_ours(one[1])}
    gone = forgotten(c, keys.values())
    invited = _erased_invitations(c, {name for _, name in names if is_ours(name)})
    return people._replace(
        erased=frozenset(one for one in names if keys.get(one) in gone or one[1] in invited)
    )


def _erased_invitations(c: Connection, ids: Collection[str]) -> set[str]:
    if not ids:
        return set()
    query = select(invitation.c.id).where(invitation.c.id.in_(ids), is_gone(invitation.c.person))
    return set(c.execute(query).scalars())


def fill(c: Connection, key: bytes) -> int:
    """Note whose some interviews are that were stored before this was noted; return how many."""
    query = select(sync.c.connection, sync.c.interview_id).where(sync.c.respondent == UNKNOWN).limit(_PIECE)
    keys = [(connection, interview_id) for connection, interview_id in c.execute(query)]
    people = People(partial(keyed_hash, key), partial(alias_key, key))
    values = [
        (*of, *people.keys_of(of[0], one.facts or Interview(of[1]))) for of, one in load(c, keys).items()
    ]
    if values:
        _SET.execute(c, values)
    return len(values)


def _is_any_erased(c: Connection) -> bool:
    # on the driver: asked for every batch of webhooks
    return c.exec_driver_sql(_ANYBODY).first() is not None
