"""Erasures of persons: each lasts until no value of the person is in flight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from connector.domain.lease import Lease
from connector.domain.people.erasure import FORGET_RESPONDENT, Erasure, ErasureRules, Unset
from connector.domain.people.same_person import Member
from connector.ledger.db.queries import first
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema.people import erasure as table
from connector.ledger.db.schema.results import inbox, run
from connector.ledger.people.person import Person
from connector.ledger.people.personal_data import erase, in_flight
from connector.text.json import dumps, loads

_LOOK_AGAIN = 500


class Erasures(Repository):
    """Erasures of persons. Methods that take a lease raise `Conflict` when it was lost."""

    async def begin(
        self, run_id: str, connection: str, member: Member, rules: ErasureRules, now: int
    ) -> None:
        """Keep a person out from now on, erase all that is not in flight, and store what is left to erase."""
        await self._begin(run_id, connection, member, rules, now)
        await self.db.empty_log_now()

    @writes
    def _begin(
        self, c: Connection, run_id: str, connection: str, member: Member, rules: ErasureRules, now: int
    ) -> None:
        person = Person(self.keys, connection)
        person.add(member.user_id, member.email)
        up_to = c.execute(select(func.coalesce(func.max(inbox.c.id), 0))).scalar_one()
        row = {"run_id": run_id, "connection": connection, "created_at": now, "received_up_to": up_to}
        c.execute(insert(table).values(**row, due=now, **self._erased(c, person, rules, now)))
        made = {"id": run_id, "connection": connection, "operation": FORGET_RESPONDENT, "created_at": now}
        c.execute(insert(run).values(**made, total=0))

    @reads
    def find(self, c: Connection, run_id: str) -> Erasure | None:
        """Return the progress of an erasure."""
        row = c.execute(select(table).where(table.c.run_id == run_id)).first()
        if row is None:
            return None
        counts, interviews = loads(row.counts), loads(row.interviews)
        return Erasure(row.run_id, row.connection, row.created_at, row.finished_at, counts, interviews)

    @reads
    def next_due(
        self, c: Connection, connections: Sequence[str], held: Collection[str] = ()
    ) -> tuple[int, str, str] | None:
        """Return the longest due erasure of connections, not `held`: its time (ms), run and connection."""
        query = select(table.c.due, table.c.run_id, table.c.connection).where(
            table.c.due.is_not(None), table.c.connection.in_(connections), table.c.run_id.not_in(held)
        )
        return first(c, query.order_by(table.c.due), tuple)

    async def go_on(self, lease: Lease, run_id: str, rules: ErasureRules, now: int) -> None:
        """Continue a due erasure unless values are in flight."""
        unset = await self._erase_landed(lease, run_id, rules, now)
        # when the log is in use, the erasure is continued later
        if unset is not None and await self.db.empty_log_now():
            await self._end(run_id, unset, now)

    @fenced
    def _erase_landed(self, c: Connection, run_id: str, rules: ErasureRules, now: int) -> bool | None:
        """Erase; return whether to unset user properties, or None while values are in flight."""
        due = select(table).where(table.c.run_id == run_id, table.c.due <= now)
        row = c.execute(due.with_for_update()).first()
        if row is None:
            return None
        values: dict[str, Any] = {"due": now + _LOOK_AGAIN}
        flying = in_flight(c, row.connection, loads(row.keys), loads(row.interviews), row.received_up_to)
        if not flying:
            values |= self._erased(c, self._person(row), rules, now, row)
        c.execute(update(table).where(table.c.run_id == run_id).values(**values))
        return None if flying else bool(self._opened(values["sealed"])["unset"])

    @writes
    def _end(self, c: Connection, run_id: str, unset: bool, now: int) -> None:  # noqa: FBT001
        """Store that all is erased in the ledger; with `unset`, user properties are still to be unset."""
        values = {"unset_due": now} if unset else {"finished_at": now, "sealed": None, "keys": "[]"}
        c.execute(update(table).where(table.c.run_id == run_id).values(due=None, **values))

    @reads
    def due_unset(
        self, c: Connection, connections: Sequence[str], now: int, held: Collection[str]
    ) -> tuple[str, str] | None:
        """Return the run and connection of the erasure, not `held`, whose users are to be unset next."""
        due = select(table.c.run_id, table.c.connection).where(
            table.c.unset_due <= now, table.c.connection.in_(connections), table.c.run_id.not_in(held)
        )
        return first(c, due.order_by(table.c.unset_due), tuple)

    @reads
    def next_unset(self, c: Connection, run_id: str) -> Unset | None:
        """Return the user whose properties are to be unset next. Raises when no key opens it."""
        row = c.execute(select(table.c.sealed).where(table.c.run_id == run_id)).one()
        unset = self._opened(row.sealed)["unset"] if row.sealed else None
        return Unset(run_id, unset[0], len(unset)) if unset else None

    @fenced
    def settle_unset(self, c: Connection, user: Unset, *, due: int | None, refused: bool, now: int) -> None:
        """Store that a user was unset, or that Amplitude refused; with `due` (ms), that it is tried again."""
        this = table.c.run_id == user.run_id
        row = c.execute(select(table).where(this).with_for_update()).first()
        if row is None or row.sealed is None:
            return
        known = self._opened(row.sealed)
        if due is not None or len(known["unset"]) != user.at:
            c.execute(update(table).where(this).values(unset_due=due or now))
            return
        counts = Counter(loads(row.counts))
        counts["refused" if refused else "unset"] += 1
        left = known["unset"][1:]
        values: dict[str, Any] = {"unset_due": None, "sealed": None, "finished_at": now, "keys": "[]"}
        if left:
            values = {"unset_due": now, "sealed": self.keys.seal(dumps({**known, "unset": left}))}
        c.execute(update(table).where(this).values(**values, counts=dumps(dict(counts))))

    def _erased(
        self, c: Connection, person: Person, rules: ErasureRules, now: int, before: Row[Any] | None = None
    ) -> dict[str, Any]:
        """Erase, and return the new values of the erasure's row, which was `before`."""
        counts, interviews, users = erase(c, person, rules, now)
        if before is not None:
            known = Counter(loads(before.counts))
            pruned = max(known.pop("pruned", 0), counts.pop("pruned", 0))
            counts = counts + known + Counter(pruned=pruned)
            interviews = sorted({*interviews, *loads(before.interviews)})
            users |= set(self._opened(before.sealed)["unset"])
        if not rules.can_unset:
            counts["not_unset"] = max(counts["not_unset"], len(users))  # a repetition finds fewer
            users = set()
        named = {"emails": sorted(person.emails), "user_ids": sorted(person.user_ids), "unset": sorted(users)}
        return {
            "keys": dumps(sorted(person.keys)),
            "interviews": dumps(interviews),
            "counts": dumps(dict(counts)),
            "sealed": self.keys.seal(dumps(named)),
        }

    def _person(self, row: Row[Any]) -> Person:
        named = self._opened(row.sealed)
        texts = set(named["emails"]), set(named["user_ids"])
        return Person(self.keys, row.connection, *texts, set(loads(row.keys)))

    def _opened(self, sealed: str) -> dict[str, Any]:
        named: dict[str, Any] = loads(self.keys.open(sealed))
        return named
