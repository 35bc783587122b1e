"""The register of asking: recognise people over all connections, and what each was asked.

Its aliases lie beside those of the connections, under keys that no connection has. E-mails count everywhere,
user ids in their Amplitude project.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, exists, select, update

from connector.domain.events.event import EventType
from connector.domain.launches.eligibility import Choice, SkipReason
from connector.domain.launches.launch import InvitationState
from connector.domain.launches.rest import LATELY, Asked, Recorded
from connector.domain.people.same_person import OPTED_OUT, Member, aliases
from connector.ledger.access.secrets import Keys
from connector.ledger.db.bulk import BulkStatement
from connector.ledger.db.dialect import lock_people
from connector.ledger.db.queries import insert_once
from connector.ledger.db.repository import Repository, reads, writes
from connector.ledger.db.schema.launches import invitation
from connector.ledger.db.schema.people import alias
from connector.ledger.events import events
from connector.ledger.launches.launch_row import finish, lock_invitations, move
from connector.ledger.people.aliases import alias_key, behind, learn
from connector.security.opt_out_token import OptOut

_EVERYWHERE = ""  # no connection has this name
_FILLED_AT_ONCE = 500
_NOTHING = Recorded()
_NOBODY = Member(None, None, None)
_ASKED = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN invitation AS i "
    "ON i.register = r.person AND i.taken_at IS NOT NULL",
    {"person": "bigint"},
    returns=["r.person", "i.connection", "i.state", "i.taken_at", "i.updated_at"],
)


class Register(Repository):
    """The register of asking."""

    _is_filled = False

    def keys_of(self, project: str, member: Member) -> tuple[int, ...]:
        """Return the keys of a member in the register; `project` names what the user id is an id of."""
        return register_keys(self.keys, project, member)

    @reads
    def recorded(
        self, c: Connection, project: str, members: Sequence[Member], *, with_asked: bool, alone: bool
    ) -> Sequence[Recorded]:
        """Return what is recorded of each member, without their invitations unless `with_asked`.

        Beside a connection that is `alone`, the register then adds only who opted out.
        """
        if (
            alone
            and not with_asked
            and not c.execute(select(exists().where(alias.c.person == OPTED_OUT))).scalar()
        ):
            return [_NOTHING] * len(members)
        keys = [register_keys(self.keys, project, member) for member in members]
        persons = behind(c, [key for each in keys for key in each])
        asked = asked_of(c, persons.values()) if with_asked else {}
        return [record({persons.get(key) for key in each}, asked) for each in keys]

    @writes
    def opt_out(self, c: Connection, said_no: OptOut, now: int) -> bool:
        """Invite a person no more, on any connection, and call off what waits; False when that was done."""
        lock_people(c)
        person = behind(c, [said_no.person]).get(said_no.person, said_no.person)
        if person == OPTED_OUT:
            return False
        c.execute(update(alias).where(alias.c.person == person).values(person=OPTED_OUT))
        insert_once(c, alias, key=said_no.person, person=OPTED_OUT)  # a restored ledger may not know them
        theirs = (invitation.c.register == person) & (invitation.c.state == InvitationState.WAITING)
        lock_invitations(c, theirs)
        called_off = (
            update(invitation)
            .where(theirs)
            .values(
                state=InvitationState.CANCELLED, reason=SkipReason.OPTED_OUT, taken_at=None, updated_at=now
            )
        )
        for launch_id in c.execute(called_off.returning(invitation.c.launch_id)).scalars().all():
            move(c, launch_id, "waiting", "cancelled")
            finish(c, launch_id, now)
        query = select(invitation.c.connection).where(invitation.c.id == said_no.invitation_id)
        if (name := c.execute(query).scalar()) is not None:
            kind = EventType.PERSON_OPTED_OUT
            events.tell(c, [events.Happened(kind, name, now, said_no.invitation_id, {})])
        return True

    @reads
    def asked_lately(self, c: Connection, launch_id: str) -> int:
        """Count the people of a launch that another connection invited within 7 days before."""
        other = invitation.alias()
        lately = (other.c.taken_at <= invitation.c.created_at) & (
            other.c.taken_at > invitation.c.created_at - LATELY
        )
        theirs = (other.c.register == invitation.c.register) & (other.c.connection != invitation.c.connection)
        people = select(invitation.c.id).where(
            invitation.c.launch_id == launch_id, exists().where(theirs, lately)
        )
        return len(c.execute(people).all())

    @writes
    def learn(self, c: Connection, project: str, member: Member) -> None:
        """Add new aliases of a known person."""
        lock_people(c)
        keys = register_keys(self.keys, project, member)
        enroll(c, [Choice(member, (), SkipReason.ALREADY, register=keys)])

    async def fill(self, projects: Mapping[str, str]) -> None:
        """Record invitations from before the register; `projects` are by connection."""
        while not self._is_filled:
            self._is_filled = not await self._fill(projects)

    @writes
    def _fill(self, c: Connection, projects: Mapping[str, str]) -> bool:
        """Record some of those invitations; return whether there may be more."""
        lock_people(c)
        before = select(invitation).where(invitation.c.register.is_(None), invitation.c.pruned_at.is_(None))
        rows = c.execute(before.limit(_FILLED_AT_ONCE)).all()
        for row in rows:
            project = projects.get(row.connection, row.connection)
            keys = register_keys(self.keys, project, Member(row.user_id, row.email, None))
            known = enroll(c, [Choice(_NOBODY, (), None, register=keys)]) if keys else {}
            person = known[keys[0]] if keys else row.person
            c.execute(update(invitation).where(invitation.c.id == row.id).values(register=person))
        return len(rows) == _FILLED_AT_ONCE


def register_keys(keys: Keys, project: str, member: Member) -> tuple[int, ...]:
    """Return the keys of a member in the register, in the order of its aliases."""
    names = aliases(member)
    scopes = [_EVERYWHERE if name.startswith("email:") else project for name in names]
    return tuple([alias_key(keys.people, *each) for each in zip(scopes, names, strict=True)])


def enroll(c: Connection, choices: Sequence[Choice]) -> dict[int, int]:
    """Record members by their keys in the register, as `learn` does; return the person of each key."""
    recorded = [choice._replace(keys=choice.register) for choice in choices]
    return learn(c, recorded, of=invitation.c.register)


def asked_of(c: Connection, persons: Iterable[int]) -> Mapping[int, Sequence[Asked]]:
    """Return the invitations of persons, on all connections."""
    asked: defaultdict[int, list[Asked]] = defaultdict(list)
    rows = [(person,) for person in sorted(set(persons) - {OPTED_OUT})]
    for person, connection, state, at, changed_at in _ASKED.fetch(c, rows) if rows else ():
        asked[person].append(Asked(connection, InvitationState(state), at, changed_at))
    return asked


def record(persons: Collection[int | None], asked: Mapping[int, Sequence[Asked]]) -> Recorded:
    """Return what is recorded of a member whose aliases are of these persons; None is of an unknown alias."""
    known = [person for person in persons if person is not None]
    if not known:
        return _NOTHING
    invitations = [each for person in known for each in asked.get(person, ())]
    return Recorded(OPTED_OUT in known, invitations, len(persons) > 1)
