"""Which of the people whom interviews name were erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, select

from connector.domain.people.same_person import ERASED_PERSON
from connector.domain.results.interview import Interview
from connector.domain.results.respondent import People, is_ours, names_of
from connector.ledger.access.secrets import Keys
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema import invitation
from connector.ledger.people.aliases import alias_key, forgotten, is_gone

Mention = tuple[str, Interview]
"""An interview of a connection that names, or may name, its respondent."""
_ANY = f"SELECT 1 FROM alias WHERE person = {ERASED_PERSON} LIMIT 1"  # noqa: S608 - a constant of ours


class Respondents(Repository):
    """The people whom interviews name."""

    @reads
    def known(self, c: Connection, mentions: Sequence[Mention]) -> People:
        """Return what a decision over these interviews must know of the people."""
        return known(c, self.keys, mentions)


def known(c: Connection, keys: Keys, mentions: Iterable[Mention]) -> People:
    """Return what a decision over these interviews must know of the people.

    A transaction that stores the decision shares the suppressions: no person can be erased until its end.
    """
    people = People(keys.keyed_hash, partial(alias_key, keys.people))
    if c.exec_driver_sql(_ANY).first() is None:  # on the driver: asked for every batch of webhooks
        return people
    names = {(connection, name) for connection, interview in mentions for name in names_of(interview)}
    key_of = {one: people.alias_key(*one) for one in names if not is_ours(one[1])}
    gone = forgotten(c, key_of.values())
    invited = _erased_invitations(c, {name for _, name in names if is_ours(name)})
    erased = frozenset(one for one in names if key_of.get(one) in gone or one[1] in invited)
    return people._replace(erased=erased)


def _erased_invitations(c: Connection, ids: Collection[str]) -> set[str]:
    """Return those of our invitations whose person was erased."""
    if not ids:
        return set()
    query = select(invitation.c.id).where(invitation.c.id.in_(ids), is_gone(invitation.c.person))
    return set(c.execute(query).scalars())
