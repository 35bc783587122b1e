"""Erasures of persons: each goes on while something of theirs is in flight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from connector.domain.lease import Lease
from connector.domain.people.erasure import FORGET_RESPONDENT, Erasure, ErasureRules, Unset
from connector.domain.people.same_person import Member
from connector.ledger.db.repository import Repository, fenced, reads, writes
from connector.ledger.db.schema import forgetting as table
from connector.ledger.db.schema import inbox, run
from connector.ledger.people.personal_data import Person, erase, in_flight
from connector.text.json import dumps, loads

_LOOK_AGAIN = 500


class Erasures(Repository):
    """The persons who are forgotten. Methods that take a lease raise `Conflict` when it was lost."""

    async def begin(self, run_id: str, connection: str, whom: Member, rules: ErasureRules, now: int) -> None:
        """Keep a person out from now on, erase what is not in flight, and remember the rest to be done."""
        await self._begin(run_id, connection, whom, rules, now)
        await self.db.empty_log_now()

    @writes
    def _begin(
        self, c: Connection, run_id: str, connection: str, whom: Member, rules: ErasureRules, now: int
    ) -> None:
        person = Person()
        person.add(whom.user_id, whom.email)
        up_to = c.execute(select(func.coalesce(func.max(inbox.c.id), 0))).scalar_one()
        row = {"run_id": run_id, "connection": connection, "created_at": now, "received_up_to": up_to}
        c.execute(insert(table).values(**row, due=now, **self._erased(c, connection, person, rules, now)))
        made = {"id": run_id, "connection": connection, "operation": FORGET_RESPONDENT, "created_at": now}
        c.execute(insert(run).values(**made, total=0))

    @reads
    def find(self, c: Connection, run_id: str) -> Erasure | None:
        """Return how far an erasure is."""
        row = c.execute(select(table).where(table.c.run_id == run_id)).first()
        if row is None:
            return None
        counts, interviews = loads(row.counts), loads(row.interviews)
        return Erasure(row.run_id, row.connection, row.created_at, row.finished_at, counts, interviews)

    @reads
    def next_due(self, c: Connection, connections: Sequence[str]) -> int | None:
        """Return when the next erasure of connections is to be looked at again (ms)."""
        due: int | None = c.execute(
            select(func.min(table.c.due)).where(table.c.connection.in_(connections))
        ).scalar()
        return due

    async def go_on(self, lease: Lease, rules: Mapping[str, ErasureRules], now: int) -> None:
        """Erase what is no longer in flight of the longest due; `rules` are by connection."""
        landed = await self._erase_landed(lease, rules, now)
        # when the log is in use, the erasure is looked at again
        if landed is not None and await self.db.empty_log_now():
            await self._end(*landed, now)

    @fenced
    def _erase_landed(
        self, c: Connection, rules: Mapping[str, ErasureRules], now: int
    ) -> tuple[str, bool] | None:
        """Erase what has landed; unless something is in flight, return the run, and whether to unset."""
        due = select(table).where(table.c.due <= now, table.c.connection.in_(rules))
        row = c.execute(due.order_by(table.c.due).limit(1).with_for_update()).first()
        if row is None:
            return None
        values: dict[str, Any] = {"due": now + _LOOK_AGAIN}
        flying = in_flight(c, row.connection, loads(row.keys), loads(row.interviews), row.received_up_to)
        if not flying:
            values |= self._erased(c, row.connection, self._person(row), rules[row.connection], now, row)
        c.execute(update(table).where(table.c.run_id == row.run_id).values(**values))
        return None if flying else (row.run_id, bool(self._opened(values["sealed"])["unset"]))

    @writes
    def _end(self, c: Connection, run_id: str, unset: bool, now: int) -> None:  # noqa: FBT001
        """Note that all is erased; `unset` when user properties are still to be taken back."""
        values = {"unset_due": now} if unset else {"finished_at": now, "sealed": None, "keys": "[]"}
        c.execute(update(table).where(table.c.run_id == run_id).values(due=None, **values))

    @reads
    def due_unset(self, c: Connection, connections: Sequence[str], now: int) -> Unset | None:
        """Return whose user properties are to be taken back next."""
        due = select(table).where(table.c.unset_due <= now, table.c.connection.in_(connections))
        row = c.execute(due.order_by(table.c.unset_due).limit(1)).first()
        if row is None:
            return None
        unset = self._opened(row.sealed)["unset"]
        return Unset(row.run_id, row.connection, unset[0], len(unset))

    @fenced
    def settle_unset(self, c: Connection, one: Unset, *, due: int | None, refused: bool, now: int) -> None:
        """Note that it was done or refused; with `due` (ms), that it is tried again then."""
        this = table.c.run_id == one.run_id
        row = c.execute(select(table).where(this).with_for_update()).first()
        if row is None or row.sealed is None:
            return
        told = self._opened(row.sealed)
        if due is not None or len(told["unset"]) != one.at:
            c.execute(update(table).where(this).values(unset_due=due or now))
            return
        counts = Counter(loads(row.counts))
        counts["refused" if refused else "unset"] += 1
        left = told["unset"][1:]
        values: dict[str, Any] = {"counts": dumps(dict(counts)), "unset_due": now if left else None}
        values["sealed"] = self._sealed({**told, "unset": left}) if left else None
        if not left:
            values |= {"finished_at": now, "keys": "[]"}
        c.execute(update(table).where(this).values(**values))

    def _erased(
        self,
        c: Connection,
        connection: str,
        person: Person,
        rules: ErasureRules,
        now: int,
        before: Row[Any] | None = None,
    ) -> dict[str, Any]:
        """Erase, and return what is to be remembered together with what was before."""
        counts, interviews, users = erase(c, self.keys, connection, person, rules, now)
        if before is not None:
            known = Counter(loads(before.counts))
            pruned = max(known.pop("pruned", 0), counts.pop("pruned", 0))
            counts = counts + known + Counter(pruned=pruned)
            interviews = sorted({*interviews, *loads(before.interviews)})
            users |= set(self._opened(before.sealed)["unset"])
        if not rules.can_unset:
            counts["not_unset"] = max(counts["not_unset"], len(users))  # a second look finds fewer
            users = set()
        told = {"emails": sorted(person.emails), "user_ids": sorted(person.user_ids), "unset": sorted(users)}
        return {
            "keys": dumps(sorted(person.keys)),
            "interviews": dumps(interviews),
            "counts": dumps(dict(counts)),
            "sealed": self._sealed(told),
        }

    def _person(self, row: Row[Any]) -> Person:
        told = self._opened(row.sealed)
        return Person(set(told["emails"]), set(told["user_ids"]), set(loads(row.keys)))

    def _sealed(self, told: Mapping[str, Any]) -> str:
        return self.keys.seal(dumps(told))

    def _opened(self, sealed: str) -> dict[str, Any]:
        told: dict[str, Any] = loads(self.keys.open(sealed))
        return told
