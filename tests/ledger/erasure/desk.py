"""A desk at which people are erased too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from connector.domain.lease import Lease
from connector.domain.people.erasure import Erasure, ErasureRules
from connector.domain.people.same_person import Member
from connector.domain.results.interview import Interview
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, with_respondent
from connector.ledger.db.schema import metadata
from connector.ledger.ledger import Ledger
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from tests.ledger.desk import NAMES, Desk, totals_are_true, who
from tests.support.fakes import NOW, a_webhook

EMAIL, USER, NAME = "ann@example.com", "user-ann-1", "Ann Forgotten"
ANN = Member(USER, EMAIL, NAME)
JO = Member("user-joann-1", "joann@example.com", "Joann Kept")
RULES = ErasureRules(trust_external_id=True, can_unset=True, min_id_length=5)
OURS = Connection(connector_trust_external_id=True)
Dump = Mapping[str, list[Mapping[str, Any]]]


class ErasureDesk(Desk):
    """A desk at which people are erased too."""

    runs = 0
    eraser: Lease | None = None

    async def erase(self, *, rules: ErasureRules = RULES, name: str = "default", **whom: str) -> str:
        self.runs += 1
        run_id = f"run_{self.runs:03}"
        member = Member(whom.get("user_id"), whom.get("email"), None)
        await self.ledger.erasures.begin(run_id, name, member, rules, self.now)
        return run_id

    async def look(self, *, rules: ErasureRules = RULES) -> None:
        """Look again, as the lane does."""
        self.eraser = self.eraser or await self.ledger.leases.acquire("erasure", "me", self.now, 3_600_000)
        assert self.eraser is not None
        self.clock.advance(0.5)
        due = await self.ledger.erasures.next_due(["default", "second"])
        if due is not None and due[0] <= self.now:
            await self.ledger.erasures.go_on(self.eraser, due[1], rules, self.now)

    async def found(self, run_id: str) -> Erasure:
        one = await self.ledger.erasures.find(run_id)
        assert one is not None
        return one

    async def forget(self, *, rules: ErasureRules = RULES, **whom: str) -> Erasure:
        """Forget somebody to the end, what is to be unset included."""
        run_id = await self.erase(rules=rules, **whom)
        await self.look(rules=rules)
        await self.unset()
        one = await self.found(run_id)
        assert one.finished_at is not None
        return one

    async def unset(self) -> list[str]:
        assert self.eraser is not None
        done = []
        while due := await self.ledger.erasures.due_unset([*NAMES, "second"], self.now, ()):
            one = await self.ledger.erasures.next_unset(due[0])
            assert one is not None
            done.append(one.user_id)
            await self.ledger.erasures.settle_unset(self.eraser, one, due=None, refused=False, now=self.now)
        return done

    async def dump(self) -> Dump:
        """Return every row of every table."""
        return {
            table.name: [
                dict(row._mapping)
                for row in await self.ledger.db.read(lambda c, of=table: c.execute(select(of)).all())  # type: ignore[misc]
            ]
            for table in metadata.sorted_tables
        }

    async def traces(self, *texts: str) -> list[tuple[str, str, str]]:
        """Return (table, column, text) wherever a text is found, in whatever letter case."""
        return [
            (table, column, text)
            for table, rows in (await self.dump()).items()
            for row in rows
            for column, value in row.items()
            for text in texts
            if isinstance(value, str) and text.lower() in value.lower()
        ]

    async def observe(self, *interviews: Interview, name: str = "default", **told: Any) -> list[Sync]:
        """Let interviews come in with a delivery each, as the intake does."""
        for one in interviews:
            body = json.dumps({"interview_id": one.interview_id, "told": list(one)})
            await self.ledger.inbox.accept(a_webhook(one.interview_id, connection=name, body=body))
        new = await self.ledger.inbox.take_new([name], 100)
        settings = OURS.model_copy(update={"name": name})
        observed = [
            Observation(rules=sync_rules(settings), interview=one, at=self.now, **told) for one in interviews
        ]

        def revise(before: Mapping[tuple[str, str], Sync], people: People) -> list[Sync]:
            return [advance(before.get(one.key), one, people) for one in observed]

        return await self.ledger.syncs.revise(
            [one.key for one in observed],
            revise,
            observations=observed,
            done=[delivery.id for delivery in new],
        )

    async def store(self, *syncs: Sync, done: Sequence[int] = (), ledger: Ledger | None = None) -> None:
        """Store syncs, with what their transaction knows of the respondents."""
        rules = sync_rules(OURS)
        observed = [Observation(rules=rules, interview=one.facts, at=self.now) for one in syncs if one.facts]
        await (ledger or self.ledger).syncs.revise(
            [("default", one.interview_id) for one in syncs],
            lambda _, people: [with_respondent(one, people) for one in syncs],
            observations=observed,
            done=done,
        )

    async def of(self, interview_id: str) -> Sync:
        found = await self.ledger.syncs.find("default", interview_id)
        assert found is not None
        return found

    async def totals_are_true(self) -> None:
        await totals_are_true(self.ledger, NAMES)

    async def all_true(self) -> None:
        await self.counts_are_true()
        await self.totals_are_true()


def interview(interview_id: str, email: str | None = EMAIL, **told: Any) -> Interview:
    """Return an interview that is ready to be sent."""
    whole: dict[str, Any] = {
        "ready": True,
        "respondent_email": email,
        "email_given": email is not None,
        "themes": (f"theme of {interview_id}",),
        "quality_score": 4.5,
        "completed_at": NOW - 60_000,
        "transcript_url": f"https://koji.example/{interview_id}",
    }
    return Interview(interview_id, **(whole | told))


def except_for(dump: Dump, *tables: str) -> Dump:
    return {name: rows for name, rows in dump.items() if name not in tables}


async def live(desk: ErasureDesk, one: Member, mark: str) -> None:
    """Let somebody leave traces in every table that can hold them."""
    launched = await desk.launch(one, single=True)
    (invited,) = await desk.all_of(launched.id)
    assert await desk.begin(await desk.waiting(single=True)) == "sending"
    await desk.settle(invited, "started")
    facts = interview(f"int-{mark}-ours", None, external_id=invited.id, invitee=one.user_id, has_ended=True)
    await desk.observe(facts, interview(f"int-{mark}", one.email), interview(f"low-{mark}", one.email))
    await desk.observe(interview(f"id-{mark}", None, external_id=one.user_id))
    await desk.plan(one, days=0)
    await desk.plan(one)
    await desk.launch(one)
    await desk.ledger.inbox.accept(a_webhook(None, body=json.dumps({"said": f"I am {one.email}, hello."})))
    await desk.create(source=[[one, who(f"stranger-{mark}@example.com")]])
