"""Find what the ledger holds of a person under all their aliases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, false, func, or_, select

from connector.domain.launches.launch import Invitation
from connector.domain.people.mentions import Names
from connector.domain.people.same_person import ERASED_PERSON, Member
from connector.domain.people.user_id import is_placeholder, whole
from connector.domain.results.respondent import external_alias, is_ours
from connector.domain.results.sync import Sync
from connector.ledger.access.secrets import Keys
from connector.ledger.db.repository import Repository, reads
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.people import alias
from connector.ledger.db.schema.results import sync as sync_table
from connector.ledger.launches.launch_row import load_invitation, load_launch
from connector.ledger.people.aliases import alias_key, alias_keys, behind, forgotten
from connector.ledger.results import syncs


@dataclass(slots=True)
class Person:
    """The identifiers of a person on a connection: texts as the ledger holds them, and alias keys."""

    secrets: Keys
    connection: str
    emails: set[str] = field(default_factory=set)
    user_ids: set[str] = field(default_factory=set)
    keys: set[int] = field(default_factory=set)

    def add(self, user_id: str | None, email: str | None) -> None:
        """Add identifiers."""
        self.user_ids |= {user_id} if user_id else set()
        self.emails |= {email} if email else set()

    def keys_of(self, user_id: str | None, email: str | None) -> tuple[int, ...]:
        """Return the alias keys of identifiers."""
        named = None if user_id is None or is_placeholder(user_id) else whole(user_id)
        member = Member(named, email, None)
        return alias_keys(self.secrets.people, self.connection, member)

    def hashes(self) -> set[str]:
        """Return the keyed hashes of the identifiers."""
        return {self.secrets.keyed_hash(text) for text in self.emails | self.user_ids}

    def is_named(self, user_id: str | None, email: str | None = None) -> bool:
        """Tell whether identifiers are the person's."""
        return not self.keys.isdisjoint(self.keys_of(user_id, email))


class History(NamedTuple):
    """What is known of a person on a connection; of an erased person only that they are `suppressed`."""

    person: Person
    suppressed: bool = True
    invitations: Sequence[Invitation] = ()
    interviews: Sequence[Sync] = ()


class Skip(NamedTuple):
    """A launch that did not invite a person, as far as its examples still say so; times are in ms."""

    launch_id: str
    cohort_name: str | None
    reason: str
    at: int
    begun_at: int


class Persons(Repository):
    """Persons, by an e-mail or user id of theirs."""

    @reads
    def find(self, c: Connection, connection: str, member: Member, *, trust_external_id: bool) -> History:
        """Return what is known of the person behind a member's aliases."""
        person = Person(self.keys, connection)
        person.add(member.user_id, member.email)
        if forgotten(c, person.keys_of(member.user_id, member.email)):
            return History(person)
        invited = gather(c, person, trust_external_id=trust_external_id)
        interviews = syncs.find_many(c, connection, interviews_of(c, person, invited))
        if forgotten(c, person.keys):  # under an alias that was not named
            return History(person)
        columns = Invitation._fields
        invitations = [load_invitation([getattr(row, name) for name in columns]) for row in invited]
        return History(person, suppressed=False, invitations=invitations, interviews=[*interviews.values()])

    @reads
    def skips(self, c: Connection, person: Person) -> list[Skip]:
        """Return the skips of a person that `find` returned, newest first."""
        patterns = Names(person.emails, person.user_ids).patterns(whole=True)
        names_them = or_(false(), *(func.lower(launch.c.examples).like(pattern) for pattern in patterns))
        # of all connections: with this one in the condition, SQLite would read all its launches
        query = select(launch).where(launch.c.examples.is_not(None), names_them)
        launches = map(load_launch, c.execute(query.order_by(launch.c.created_at.desc())))
        return [
            Skip(one.id, one.cohort_name, example.reason, one.planned_at or one.created_at, one.created_at)
            for one in launches
            for example in one.examples
            if one.connection == person.connection and person.is_named(example.user_id)
        ]


def gather(c: Connection, person: Person, *, trust_external_id: bool) -> Sequence[Row[Any]]:
    """Add the identifiers in a person's invitations and interviews, until there are no more.

    Return the rows of the invitations.
    """
    known, invited = -1, list[Row[Any]]()
    while len(person.keys) > known:
        known = len(person.keys)
        for user_id in person.user_ids:
            person.keys.update(person.keys_of(user_id, None))
        for email in person.emails:
            person.keys.update(person.keys_of(None, email))
        persons = set(behind(c, person.keys).values()) - {ERASED_PERSON}
        person.keys |= persons
        person.keys.update(c.execute(select(alias.c.key).where(alias.c.person.in_(persons))).scalars())
        # a person's number is the key of one of their aliases, also after an erasure
        invited = [*c.execute(select(invitation).where(invitation.c.person.in_(person.keys)))]
        for row in invited:
            person.add(row.user_id, row.email)
        for sync in syncs.find_many(c, person.connection, interviews_of(c, person, invited)).values():
            facts = sync.facts
            trusted = trust_external_id and facts is not None and not is_ours(facts.external_id)
            named = {sync.respondent, sync.external if trusted else None}
            if facts is None or facts.invitee is not None or person.keys.isdisjoint(named):
                continue  # another person may have answered instead of the invitee
            person.add(facts.external_id if trusted else None, facts.respondent_email)
            person.add(sync.user_id, None)
    return invited


def interviews_of(c: Connection, person: Person, invited: Sequence[Row[Any]]) -> list[str]:
    """Return the ids of a person's interviews, in order."""
    key, connection = person.secrets.people, person.connection
    respondents = person.keys | {alias_key(key, connection, external_alias(row.id)) for row in invited}
    on_it = sync_table.c.connection == connection
    ids: set[str] = set()
    for theirs in (
        # keys are of one connection; with it in the condition, SQLite would read all its syncs
        sync_table.c.respondent.in_(respondents),
        sync_table.c.external.in_(respondents),
        on_it & sync_table.c.user_hash.in_(person.hashes()),
        on_it & sync_table.c.interview_id.in_([row.interview_id for row in invited if row.interview_id]),
    ):
        ids.update(c.execute(select(sync_table.c.interview_id).where(theirs)).scalars())
    return sorted(ids)
