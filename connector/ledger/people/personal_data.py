"""Everything that the ledger holds of a person: found, and erased so that their aliases keep them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, or_, select, update

from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import InvitationState
from connector.domain.launches.start import SCHEDULE
from connector.domain.people.erasure import ErasureRules
from connector.domain.people.mentions import Names
from connector.domain.people.same_person import ERASED_PERSON, Member
from connector.domain.results.amplitude_user import unusable
from connector.domain.results.respondent import external_alias, is_ours
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import suppress
from connector.ledger.access.secrets import Keys
from connector.ledger.db.bulk import BulkStatement, storable
from connector.ledger.db.dialect import lock_people, lock_suppressions
from connector.ledger.db.schema import (
    alias,
    cohort_message,
    cohort_piece,
    cohort_told,
    invitation,
    launch,
    launch_source,
)
from connector.ledger.db.schema import inbox as inbox_table
from connector.ledger.db.schema import sync as sync_table
from connector.ledger.launches.launch_row import finish, lock_invitations, lock_launches, move
from connector.ledger.people.aliases import alias_key, alias_keys, behind
from connector.ledger.results import inbox, syncs
from connector.text.json import dumps, loads

_PATTERNS = 200  # at once: SQLite takes no condition of more than 1,000 parts
_KEEP_OUT = BulkStatement(
    "INSERT INTO alias (key, person) SELECT key, person FROM {rows} AS r WHERE true "
    "ON CONFLICT (key) DO UPDATE SET person = excluded.person",
    {"key": "bigint", "person": "bigint"},
)


@dataclass(slots=True)
class Person:
    """What identifies a person: texts as they stand in the ledger, and the keys of their aliases."""

    emails: set[str] = field(default_factory=set)
    user_ids: set[str] = field(default_factory=set)
    keys: set[int] = field(default_factory=set)

    def add(self, user_id: str | None, email: str | None) -> None:
        """Add what they are called."""
        self.user_ids |= {user_id} if user_id else set()
        self.emails |= {email} if email else set()


def erase(
    c: Connection, keys: Keys, connection: str, person: Person, rules: ErasureRules, now: int
) -> tuple[Counter[str], list[str], set[str]]:
    """Erase a person and keep them out; may be done again for what was in flight.

    Returns counts by place, Koji's ids of their interviews, and the user ids that Amplitude may know them by.
    """
    lock_people(c)
    lock_suppressions(c)
    invited, interviews = _gather(c, keys, connection, person, rules)
    _keep_out(c, person)
    hashes = {keys.keyed_hash(text) for text in person.emails | person.user_ids}
    known = {one for one in person.emails if keys.keyed_hash(one) in {i.user_hash for i in interviews}}
    counts: Counter[str] = Counter()
    # the user that Amplitude knows is gone with the retention, and was not named now
    counts["pruned"] = sum(
        one.user_hash is not None and one.user_id is None and one.user_hash not in hashes
        for one in interviews
    )
    counts += _erase_invitations(c, invited, now)
    counts += _erase_interviews(c, interviews, now)
    ids = sorted(
        {one.interview_id for one in interviews} | {row.interview_id for row in invited if row.interview_id}
    )
    counts["deliveries"] += inbox.erase_bodies(c, [(connection, one) for one in ids])
    names = Names(person.emails, {*person.user_ids, *ids, *(row.id for row in invited)})
    counts["deliveries"] += _erase_unreadable(c, connection, names)
    counts["launches"] += _erase_launches(c, keys, connection, person, invited)
    counts["deliveries"] += _erase_cohort_messages(c, keys, connection, person)
    users = {one for one in person.user_ids | known if unusable(one, rules.min_id_length) is None}
    return counts, ids, users


def in_flight(
    c: Connection, connection: str, keys: Collection[int], interviews: Sequence[str], up_to: int
) -> bool:
    """Tell whether something of a person's is still on its way, which will be erased when it ends."""
    sending = (
        select(sync_table.c.interview_id)
        .where(sync_table.c.connection == connection, sync_table.c.interview_id.in_(interviews))
        .where(sync_table.c.sending_since.is_not(None))
    )
    # also one whose interview came back before the answer to its start, which brings a link
    starting = select(invitation.c.id).where(
        invitation.c.person.in_(keys), invitation.c.sending_since.is_not(None)
    )
    unread = select(inbox_table.c.id).where(
        inbox_table.c.connection == connection, inbox.IS_NEW, inbox_table.c.id <= up_to
    )
    return any(c.execute(query.limit(1)).first() is not None for query in (sending, starting, unread))


def _gather(
    c: Connection, keys: Keys, connection: str, person: Person, rules: ErasureRules
) -> tuple[Sequence[Row[Any]], list[Sync]]:
    """Find everything that is a person's, and keep it: each alias may lead to more."""
    known = -1
    while len(person.keys) > known:
        known = len(person.keys)
        for user_id in person.user_ids:
            person.keys.update(alias_keys(keys.people, connection, Member(user_id, None, None)))
        for email in person.emails:
            person.keys.update(alias_keys(keys.people, connection, Member(None, email, None)))
        persons = set(behind(c, person.keys).values()) - {ERASED_PERSON}
        person.keys |= persons
        person.keys.update(c.execute(select(alias.c.key).where(alias.c.person.in_(persons))).scalars())
        # a person is named after one of the aliases, also once those lead nowhere any more
        theirs = invitation.c.person.in_(person.keys)
        invited = c.execute(select(invitation).where(theirs)).all()
        for row in invited:
            person.add(row.user_id, row.email)
        found = _interviews(c, keys, connection, person, invited)
        for one in syncs.find_many(c, connection, found).values():
            facts = one.facts
            trusted = rules.trust_external_id and facts is not None and not is_ours(facts.external_id)
            named = {one.respondent, one.external if trusted else None}
            if facts is None or facts.invitee is not None or person.keys.isdisjoint(named):
                continue  # another person may have answered in the place of the invitee
            person.add(facts.external_id if trusted else None, facts.respondent_email)
            person.add(one.user_id, None)
    # locked in order, once all is known: no start of theirs begins or is called off from here on (PostgreSQL)
    shown = (launch.c.connection == connection) & launch.c.examples.is_not(None)
    lock_launches(c, shown | launch.c.id.in_(select(invitation.c.launch_id).where(theirs)))
    lock_invitations(c, theirs)
    invited = c.execute(select(invitation).where(theirs)).all()
    ids = _interviews(c, keys, connection, person, invited)
    return invited, list(syncs.load(c, [(connection, one) for one in ids]).values())


def _interviews(
    c: Connection, keys: Keys, connection: str, person: Person, invited: Sequence[Row[Any]]
) -> list[str]:
    """Return the ids of their interviews, in order."""
    hashes = [keys.keyed_hash(text) for text in person.emails | person.user_ids]
    respondents = {
        *person.keys,
        *(alias_key(keys.people, connection, external_alias(row.id)) for row in invited),
    }
    on_it = sync_table.c.connection == connection
    found: set[str] = set()
    for theirs in (
        # keys are of one connection; asked for it too, SQLite would read all that it has
        sync_table.c.respondent.in_(respondents),
        sync_table.c.external.in_(respondents),
        on_it & sync_table.c.user_hash.in_(hashes),
        on_it & sync_table.c.interview_id.in_([row.interview_id for row in invited if row.interview_id]),
    ):
        found.update(c.execute(select(sync_table.c.interview_id).where(theirs)).scalars())
    return sorted(found)


def _keep_out(c: Connection, person: Person) -> None:
    keys = sorted(person.keys)
    c.execute(update(alias).where(alias.c.person.in_(keys)).values(person=ERASED_PERSON))
    _KEEP_OUT.execute(c, [(key, ERASED_PERSON) for key in keys])


def _erase_invitations(c: Connection, invited: Sequence[Row[Any]], now: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in invited:
        match row.state:
            case InvitationState.SENDING:
                continue  # what is in flight finishes first
            case InvitationState.PLANNED:
                c.execute(delete(invitation).where(invitation.c.id == row.id))
                _skip(c, row.launch_id)
                counts["cancelled"] += 1
                continue
            case InvitationState.WAITING:
                move(c, row.launch_id, row.state, InvitationState.CANCELLED)
                finish(c, row.launch_id, now)
                counts["cancelled"] += 1
        gone: dict[str, Any] = dict.fromkeys(
            (
                "user_id",
                "email",
                "name",
                "link",
                "session_token",
                "interview_id",
                "words",
                "complete_due",
                "due",
            )
        )
        if row.state == InvitationState.WAITING:
            gone |= {"state": InvitationState.CANCELLED, "taken_at": None}
        if row.state == InvitationState.STARTED and row.started_at is not None:
            gone["due"] = row.started_at + SCHEDULE[-1]  # there is nothing left to read, only to expire
        counts["invitations"] += row.pruned_at is None or row.link is not None or row.interview_id is not None
        erased = update(invitation).where(invitation.c.id == row.id)
        c.execute(erased.values(**gone, pruned_at=row.pruned_at or now))
    return counts


def _skip(c: Connection, launch_id: str) -> None:
    row = c.execute(select(launch.c.skipped).where(launch.c.id == launch_id).with_for_update()).one()
    skipped = Counter(loads(row.skipped))
    skipped[SkipReason.SUPPRESSED] += 1
    changed = {"planned": launch.c.planned - 1, "skipped": dumps(dict(skipped))}
    c.execute(update(launch).where(launch.c.id == launch_id).values(**changed))


def _erase_interviews(c: Connection, interviews: Sequence[Sync], now: int) -> Counter[str]:
    left = [one for one in interviews if one.facts is None or not one.facts.suppressed or one.user_hash]
    before = {(one.connection, one.interview_id): one for one in left}
    erased = [suppress(one)._replace(updated_at=now) for one in left]
    syncs.save(c, before, erased)
    return Counter(interviews=len(erased))


def _naming(
    c: Connection,
    query: Select[Any],
    column: ColumnElement[Any],
    names: Names,
    *,
    whole: bool = True,
) -> list[Row[Any]]:
    """Return rows whose column perhaps names a person, each once; what a query selects is hashable."""
    found: dict[Row[Any], None] = {}
    patterns = names.patterns(whole=whole)
    for start in range(0, len(patterns), _PATTERNS):
        chunk = patterns[start : start + _PATTERNS]
        likely = query.where(or_(*(func.lower(column).like(one) for one in chunk)))
        found.update(dict.fromkeys(c.execute(likely).all()))
    return list(found)


def _erase_unreadable(c: Connection, connection: str, names: Names) -> int:
    query = select(inbox_table.c.id, inbox_table.c.body).where(
        inbox_table.c.connection == connection, inbox.IS_UNREADABLE
    )
    rows = _naming(c, query, inbox_table.c.body, names, whole=False)
    theirs = [row.id for row in rows if names.are_in(row.body)]
    kept = select(inbox_table.c.id).where(inbox_table.c.id.in_(theirs)).order_by(inbox_table.c.id)
    c.execute(update(inbox_table).where(inbox_table.c.id.in_(kept.with_for_update())).values(body=None))
    return len(theirs)


def _erase_launches(
    c: Connection, keys: Keys, connection: str, person: Person, invited: Sequence[Row[Any]]
) -> int:
    """Remove them from launches: as an example, as a member that is not decided over yet, as the only one."""
    changed: set[str] = set()
    names = Names(person.emails, person.user_ids)

    def are_others(user_id: str | None, email: str | None) -> bool:
        return person.keys.isdisjoint(alias_keys(keys.people, connection, Member(user_id, email, None)))

    on_it = launch.c.connection == connection
    query = select(launch.c.id, launch.c.examples).where(on_it)
    for row in _naming(c, query, launch.c.examples, names):
        examples = loads(row.examples)
        left = [one for one in examples if are_others(one[0], None)]
        if len(left) < len(examples):
            shown = storable(dumps(left)) if left else None
            c.execute(update(launch).where(launch.c.id == row.id).values(examples=shown))
            changed.add(row.id)
    query = select(launch_source).join(launch, launch.c.id == launch_source.c.launch_id).where(on_it)
    for row in _naming(c, query, launch_source.c.members, names):
        members = loads(row.members)
        left = [one for one in members if are_others(one[0], one[1])]
        if len(left) < len(members):
            chunk = (launch_source.c.launch_id == row.launch_id) & (launch_source.c.position == row.position)
            c.execute(update(launch_source).where(chunk).values(members=dumps(left)))
            changed.add(row.launch_id)
    alone = select(launch.c.id, launch.c.options).where(
        launch.c.id.in_({row.launch_id for row in invited}), launch.c.single
    )
    for launch_id, text in c.execute(alone).all():
        options = loads(text)
        if options["metadata"]:
            told = dumps({**options, "metadata": {}})
            c.execute(update(launch).where(launch.c.id == launch_id).values(options=told))
            changed.add(launch_id)
    return len(changed)


def _erase_cohort_messages(c: Connection, keys: Keys, connection: str, person: Person) -> int:
    """Remove them from messages that are not decided over, and when a cohort told of them."""
    on_it = cohort_message.c.connection == connection
    query = select(cohort_piece).join(cohort_message, cohort_message.c.id == cohort_piece.c.message)
    query = query.where(on_it).order_by(cohort_message.c.id).with_for_update(of=cohort_message)
    changed: set[int] = set()
    names = Names(person.emails, person.user_ids)
    for row in _naming(c, query, cohort_piece.c.members, names):
        members = loads(row.members)
        left = [
            one
            for one in members
            if person.keys.isdisjoint(alias_keys(keys.people, connection, Member(*one)))
        ]
        if len(left) < len(members):
            chunk = (cohort_piece.c.message == row.message) & (cohort_piece.c.position == row.position)
            c.execute(update(cohort_piece).where(chunk).values(members=dumps(left)))
            changed.add(row.message)
    c.execute(delete(cohort_told).where(cohort_told.c.key.in_(sorted(person.keys))))
    return len(changed)
