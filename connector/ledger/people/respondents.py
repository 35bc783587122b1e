"""Find the respondents of interviews that were erased."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, select

from connector.domain.people.same_person import ERASED_PERSON
from connector.domain.results.interview import Interview
from connector.domain.results.respondent import People, is_ours, names_of
from connector.ledger.access.secrets import Keys
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.launches import invitation
from connector.ledger.people.aliases import alias_key, forgotten, is_erased

Mention = tuple[str, Interview]
"""An interview of a connection that names, or may name, its respondent."""
_ANY = f"SELECT 1 FROM alias WHERE person = {ERASED_PERSON} LIMIT 1"  # noqa: S608 - a constant of ours


class Respondents(Repository):
    """The respondents that interviews name."""

    @reads
    def known(self, c: Connection, mentions: Sequence[Mention]) -> People:
        """Return what a decision over interviews must know of their respondents."""
        return known(c, self.keys, mentions)


def known(c: Connection, keys: Keys, mentions: Iterable[Mention]) -> People:
    """Return what a decision over interviews must know of their respondents.

    A transaction that stores the decision shares the suppressions: no person is erased before its end.
    """
    people = People(keys.keyed_hash, partial(alias_key, keys.people))
    if c.exec_driver_sql(_ANY).first() is None:  # on the driver, because it runs for every batch of webhooks
        return people
    names = {(connection, name) for connection, interview in mentions for name in names_of(interview)}
    key_of = {name: people.alias_key(*name) for name in names if not is_ours(name[1])}
    erased_keys = forgotten(c, key_of.values())
    invited: set[str] = set()
    if ours := {external_id for _, external_id in names if is_ours(external_id)}:
        query = select(invitation.c.id).where(invitation.c.id.in_(ours), is_erased(invitation.c.person))
        invited.update(c.execute(query).scalars())
    erased = frozenset(name for name in names if key_of.get(name) in erased_keys or name[1] in invited)
    return people._replace(erased=erased)
