"""Everything that the ledger holds of a person: find it, and erase it so that their aliases keep them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, delete, func, or_, select, update

from connector.domain.launches.eligibility import SkipReason
from connector.domain.launches.launch import InvitationState
from connector.domain.launches.start import SCHEDULE
from connector.domain.people.erasure import ErasureRules
from connector.domain.people.mentions import Names
from connector.domain.people.same_person import ERASED_PERSON
from connector.domain.results.amplitude_user import unusable
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import suppress
from connector.ledger.db.bulk import BulkStatement, storable, types_of
from connector.ledger.db.dialect import lock_people, lock_suppressions
from connector.ledger.db.schema.launches import (
    cohort_mention,
    cohort_message,
    cohort_piece,
    invitation,
    launch,
    launch_source,
)
from connector.ledger.db.schema.people import alias
from connector.ledger.db.schema.results import inbox as inbox_table
from connector.ledger.db.schema.results import run, run_source
from connector.ledger.db.schema.results import sync as sync_table
from connector.ledger.launches.launch_row import (
    PERSONAL,
    finish,
    lock_invitations,
    lock_launches,
    move,
    skip_planned,
)
from connector.ledger.people.person import Person, gather, interviews_of
from connector.ledger.people.scatter import TO_DO, mark
from connector.ledger.results import inbox, syncs
from connector.text.json import dumps, loads

_FEW = 5  # people: a value that fewer have may tell who they are
_PATTERNS = 200  # at once: SQLite takes no condition of more than 1,000 parts
_KEEP_OUT = BulkStatement(
    "INSERT INTO alias (key, person) SELECT key, person FROM {rows} AS r WHERE true "
    "ON CONFLICT (key) DO UPDATE SET person = excluded.person",
    types_of(alias, "key", "person"),
)


def erase(
    c: Connection, person: Person, rules: ErasureRules, now: int
) -> tuple[Counter[str], list[str], set[str]]:
    """Erase a person and keep them out; may be repeated for values that were in flight.

    Returns counts by kind, Koji's ids of their interviews, and the user ids that Amplitude may know them by.
    """
    lock_people(c)
    lock_suppressions(c)
    invited, interviews = _locked(c, person, rules)
    _keep_out(c, person)
    hashes, hashed = person.hashes(), {sync.user_hash for sync in interviews}
    counts: Counter[str] = Counter()
    # the retention pruned the user that Amplitude knows, and this erasure did not name the user
    counts["pruned"] = sum(
        sync.user_hash is not None and sync.user_id is None and sync.user_hash not in hashes
        for sync in interviews
    )
    counts += _erase_invitations(c, invited, now)
    counts += _erase_interviews(c, interviews, now)
    ids = sorted(
        {sync.interview_id for sync in interviews} | {row.interview_id for row in invited if row.interview_id}
    )
    counts["deliveries"] += inbox.erase_bodies(c, [(person.connection, interview_id) for interview_id in ids])
    names = Names(person.emails, {*person.user_ids, *ids, *(row.id for row in invited)})
    counts["deliveries"] += _erase_unreadable(c, person.connection, names)
    counts["launches"] += _erase_launches(c, person, invited)
    # messages that are not decided over, and when a cohort named the person
    counts["deliveries"] += len(_erase_members(c, cohort_piece, cohort_message, person, lock=True))
    c.execute(delete(cohort_mention).where(cohort_mention.c.key.in_(sorted(person.keys))))
    users = person.user_ids | {email for email in person.emails if person.secrets.keyed_hash(email) in hashed}
    return counts, ids, {user for user in users if unusable(user, rules.min_id_length) is None}


def in_flight(
    c: Connection, connection: str, keys: Collection[int], interviews: Sequence[str], up_to: int
) -> bool:
    """Tell whether a send, a start or an unread webhook of a person is not finished yet."""
    sending = (
        select(sync_table.c.interview_id)
        .where(sync_table.c.connection == connection, sync_table.c.interview_id.in_(interviews))
        .where(sync_table.c.sending_since.is_not(None))
    )
    # also a start whose interview came back before its answer, which brings a link
    starting = select(invitation.c.id).where(
        invitation.c.person.in_(keys), invitation.c.sending_since.is_not(None)
    )
    unread = select(inbox_table.c.id).where(
        inbox_table.c.connection == connection, inbox.IS_NEW, inbox_table.c.id <= up_to
    )
    return any(c.execute(query.limit(1)).first() is not None for query in (sending, starting, unread))


def _locked(c: Connection, person: Person, rules: ErasureRules) -> tuple[Sequence[Row[Any]], list[Sync]]:
    """Find a person's invitations and interviews, and lock them in the order of all transactions."""
    gather(c, person, trust_external_id=rules.trust_external_id)
    theirs = invitation.c.person.in_(person.keys)
    # from here on no start begins or is cancelled
    shown = (launch.c.connection == person.connection) & launch.c.examples.is_not(None)
    lock_launches(c, shown | launch.c.id.in_(select(invitation.c.launch_id).where(theirs)))
    lock_invitations(c, theirs)
    invited = c.execute(select(invitation).where(theirs)).all()
    keys = [(person.connection, interview_id) for interview_id in interviews_of(c, person, invited)]
    return invited, list(syncs.load(c, keys).values())


def _keep_out(c: Connection, person: Person) -> None:
    keys = sorted(person.keys)
    c.execute(update(alias).where(alias.c.person.in_(keys)).values(person=ERASED_PERSON))
    _KEEP_OUT.execute(c, [(key, ERASED_PERSON) for key in keys])


def _erase_invitations(c: Connection, invited: Sequence[Row[Any]], now: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in invited:
        cleared: dict[str, Any] = dict.fromkeys(
            (*PERSONAL, "interview_id", "due", "register", "cell", "segment")
        )
        match row.state:
            case InvitationState.SENDING:
                continue  # erased when the start has ended
            case InvitationState.PLANNED:
                c.execute(delete(invitation).where(invitation.c.id == row.id))
                skip_planned(c, row.launch_id, SkipReason.SUPPRESSED)
                counts["cancelled"] += 1
                continue
            case InvitationState.WAITING:
                move(c, row.launch_id, row.state, InvitationState.CANCELLED)
                finish(c, row.launch_id, now)
                counts["cancelled"] += 1
                cleared |= {"state": InvitationState.CANCELLED, "taken_at": None}
            case InvitationState.STARTED if row.started_at is not None:
                cleared["due"] = row.started_at + SCHEDULE[-1]  # it can no longer be read: it only expires
        counts["invitations"] += row.pruned_at is None or row.link is not None or row.interview_id is not None
        erased = update(invitation).where(invitation.c.id == row.id)
        c.execute(erased.values(**cleared, pruned_at=row.pruned_at or now, scatter=TO_DO))
    return counts


def _erase_interviews(c: Connection, interviews: Sequence[Sync], now: int) -> Counter[str]:
    left = [sync for sync in interviews if sync.facts is None or not sync.facts.suppressed or sync.user_hash]
    before = {(sync.connection, sync.interview_id): sync for sync in left}
    syncs.save(c, before, [suppress(sync)._replace(updated_at=now) for sync in left])
    mark(c, list(before))
    return Counter(interviews=len(left))


def _naming(
    c: Connection, query: Select[Any], column: ColumnElement[Any], names: Names, *, whole: bool = True
) -> list[Row[Any]]:
    """Return the rows whose column perhaps names a person, each once; all selected values are hashable."""
    likely: dict[Row[Any], None] = {}
    patterns = names.patterns(whole=whole)
    for start in range(0, len(patterns), _PATTERNS):
        chunk = patterns[start : start + _PATTERNS]
        matching = query.where(or_(*(func.lower(column).like(pattern) for pattern in chunk)))
        likely.update(dict.fromkeys(c.execute(matching).all()))
    return list(likely)


def _erase_unreadable(c: Connection, connection: str, names: Names) -> int:
    query = select(inbox_table.c.id, inbox_table.c.body).where(
        inbox_table.c.connection == connection, inbox.IS_UNREADABLE
    )
    rows = _naming(c, query, inbox_table.c.body, names, whole=False)
    theirs = [row.id for row in rows if names.are_in(row.body)]
    locked = select(inbox_table.c.id).where(inbox_table.c.id.in_(theirs)).order_by(inbox_table.c.id)
    c.execute(update(inbox_table).where(inbox_table.c.id.in_(locked.with_for_update())).values(body=None))
    return len(theirs)


def _erase_launches(c: Connection, person: Person, invited: Sequence[Row[Any]]) -> int:
    """Remove a person from examples, rare values, undecided members, and the metadata of their own launch."""
    changed: set[str] = set()
    query = select(launch.c.id, launch.c.examples).where(launch.c.connection == person.connection)
    names = Names(person.emails, person.user_ids)
    for row in _naming(c, query, launch.c.examples, names):
        examples = loads(row.examples)
        left = [example for example in examples if not person.is_named(example[0])]
        if len(left) < len(examples):
            shown = storable(dumps(left)) if left else None
            c.execute(update(launch).where(launch.c.id == row.id).values(examples=shown))
            changed.add(row.id)
    for row in invited:
        for column, value in ((launch.c.available, row.cell), (launch.c.cohort_segments, row.segment)):
            of_launch = launch.c.id == row.launch_id
            counts = loads(c.execute(select(column).where(of_launch)).scalar_one() or "{}")
            if counts.get(value, _FEW) < _FEW:
                del counts[value]
                c.execute(update(launch).where(of_launch).values({column: dumps(counts)}))
    changed |= _erase_members(c, launch_source, launch, person)
    _erase_members(c, run_source, run, person)
    alone = select(launch.c.id, launch.c.options).where(
        launch.c.id.in_({row.launch_id for row in invited}), launch.c.single
    )
    for launch_id, text in c.execute(alone).all():
        options = loads(text)
        if options["metadata"]:
            emptied = dumps({**options, "metadata": {}})
            c.execute(update(launch).where(launch.c.id == launch_id).values(options=emptied))
            changed.add(launch_id)
    return len(changed)


def _erase_members(
    c: Connection, chunks: Table, parent: Table, person: Person, *, lock: bool = False
) -> set[Any]:
    """Remove a person from undecided members; with `lock` lock the parents in the order of their ids.

    `chunks` has three columns: the parent's id, a position, and members as JSON.
    """
    owner, position, members = chunks.c.values()
    theirs = select(chunks).join(parent, parent.c.id == owner).where(parent.c.connection == person.connection)
    if lock:
        theirs = theirs.order_by(parent.c.id).with_for_update(of=parent)
    changed: set[Any] = set()
    for row in _naming(c, theirs, members, Names(person.emails, person.user_ids)):
        before = loads(getattr(row, members.name))
        left = [member for member in before if not person.is_named(*member[:2])]
        if len(left) < len(before):
            chunk = update(chunks).where(owner == row[0], position == row.position)
            c.execute(chunk.values({members: dumps(left)}))
            changed.add(row[0])
    return changed
