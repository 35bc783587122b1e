"""Forgetting as the rest of the connector sees it (`forgetting.Forgettings`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from connector.domain.lease import Lease
from connector.domain.people.erasure import Erasure, ErasureRules, Unset
from connector.domain.people.same_person import Member
from connector.domain.results.interview import Interview
from connector.ledger.access.secrets import Open, Seal
from connector.ledger.db.dialect import empty_log
from connector.ledger.db.repository import Store
from connector.ledger.db.schema import forgetting as table
from connector.ledger.db.schema import inbox, run
from connector.ledger.people.erasure import Person, forget, in_flight
from connector.ledger.people.respondents import is_forgotten
from connector.ledger.runtime import leases
from connector.text.json import dumps, loads

_LOOK_AGAIN = 500


class ForgettingBook:
    """`forgetting.Forgettings` on the book's tables."""

    def __init__(self, store: Store, url: str, tombstone_key: bytes, seal: Seal, unseal: Open) -> None:
        self._store = store
        self._url = url
        self._key = tombstone_key
        self._seal = seal
        self._unseal = unseal

    async def begin(self, run_id: str, connection: str, whom: Member, rules: ErasureRules, now: int) -> None:
        """Keep a person out, and erase what is not in flight."""

        def work(c: Connection) -> None:
            person = Person()
            person.add(whom.user_id, whom.email)
            up_to = c.execute(select(func.coalesce(func.max(inbox.c.id), 0))).scalar_one()
            row = {"run_id": run_id, "connection": connection, "created_at": now, "received_up_to": up_to}
            c.execute(insert(table).values(**row, due=now, **self._erased(c, connection, person, rules, now)))
            c.execute(
                insert(run).values(
                    id=run_id, connection=connection, operation="forget_respondent", created_at=now, total=0
                )
            )

        await self._store.write(work)
        await asyncio.to_thread(empty_log, self._url)

    async def find(self, run_id: str) -> Erasure | None:
        """Return how far a forgetting is."""
        row = await self._store.read(
            lambda c: c.execute(select(table).where(table.c.run_id == run_id)).first()
        )
        if row is None:
            return None
        return Erasure(
            row.run_id,
            row.connection,
            row.created_at,
            row.finished_at,
            loads(row.counts),
            loads(row.interviews),
        )

    async def next_due(self, connections: Sequence[str]) -> int | None:
        """Return when the next forgetting of connections is to be looked at again."""
        mine = select(func.min(table.c.due)).where(table.c.connection.in_(connections))
        due: int | None = await self._store.read(lambda c: c.execute(mine).scalar())
        return due

    async def go_on(self, lease: Lease, rules: Mapping[str, ErasureRules], now: int) -> None:
        """Erase what is no longer in flight of the longest due."""

        def work(c: Connection) -> tuple[str, bool] | None:
            leases.fence(c, lease)
            mine = select(table).where(table.c.due <= now, table.c.connection.in_(rules))
            row = c.execute(mine.order_by(table.c.due).limit(1).with_for_update()).first()
            return None if row is None else self._again(c, row, rules[row.connection], now)

        if (landed := await self._store.write(work)) is None:
            return
        if not await asyncio.to_thread(empty_log, self._url):
            return  # somebody reads it; it is looked at again
        run_id, unset = landed
        values = {"unset_due": now} if unset else {"finished_at": now, "sealed": None, "keys": "[]"}
        erased = update(table).where(table.c.run_id == run_id).values(due=None, **values)
        await self._store.write(lambda c: c.execute(erased))

    def _again(self, c: Connection, row: Row[Any], rules: ErasureRules, now: int) -> tuple[str, bool] | None:
        """Erase what has landed; unless something is in flight, return the run, and whether to unset."""
        values: dict[str, Any] = {"due": now + _LOOK_AGAIN}
        flying = in_flight(c, row.connection, loads(row.keys), loads(row.interviews), row.received_up_to)
        if not flying:
            values |= self._erased(c, row.connection, self._person(row), rules, now, row)
        c.execute(update(table).where(table.c.run_id == row.run_id).values(**values))
        return None if flying else (row.run_id, bool(self._opened(values["sealed"])["unset"]))

    async def due_unset(self, connections: Sequence[str], now: int) -> Unset | None:
        """Return whose user properties are to be taken back next."""
        mine = select(table).where(table.c.unset_due <= now, table.c.connection.in_(connections))
        row = await self._store.read(lambda c: c.execute(mine.order_by(table.c.unset_due).limit(1)).first())
        if row is None:
            return None
        unset = self._opened(row.sealed)["unset"]
        return Unset(row.run_id, row.connection, unset[0], len(unset))

    async def settle_unset(
        self, lease: Lease, one: Unset, *, due: int | None, refused: bool, now: int
    ) -> None:
        """Note that it was done or refused, or that it is tried again."""

        def work(c: Connection) -> None:
            leases.fence(c, lease)
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

        await self._store.write(work)

    async def is_forgotten(self, connection: str, interview: Interview) -> bool:
        """Tell whether an interview's respondent was forgotten."""
        return await self._store.read(lambda c: is_forgotten(c, self._key, connection, interview))

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
        counts, interviews, users = forget(c, self._key, connection, person, rules, now)
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
        return self._seal(dumps(told).encode()).decode("ascii")

    def _opened(self, sealed: str) -> dict[str, Any]:
        told: dict[str, Any] = loads(self._unseal(sealed.encode("ascii")).decode())
        return told
