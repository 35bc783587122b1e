"""What the ledger promises about somebody who was forgotten, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Text, event, func, select, update

from connector.context import Context
from connector.domain.events.event import EventType, Hook
from connector.domain.launches.eligibility import Selection
from connector.domain.launches.launch import LaunchStatus
from connector.domain.lease import Lease
from connector.domain.people.erasure import Erasure, ErasureRules
from connector.domain.people.same_person import Member
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance
from connector.errors import NotConfigured
from connector.ledger.access.reseal import SEALED, reseal
from connector.ledger.db.schema import (
    audit,
    audit_outcome,
    launch,
    metadata,
    sync,
)
from connector.ledger.ledger import Ledger
from connector.net.target_client import Targets
from connector.security.sealing import Sealer
from connector.service import planning
from connector.settings.model import Connection, Settings
from connector.settings.rules import sync_rules
from tests import postgres
from tests.conftest import SEALER
from tests.contract.test_ledger_callbacks import a_callback
from tests.contract.test_ledger_launches import CAP, DAY, LANE, NAMES, Desk, who
from tests.fakes import NOW, ManualClock, a_delivery, a_settlement, a_sync

EMAIL, USER, NAME = "ann@example.com", "user-ann-1", "Ann Forgotten"
ANN = Member(USER, EMAIL, NAME)
JO = Member("user-joann-1", "joann@example.com", "Joann Kept")
RULES = ErasureRules(trust_external_id=True, can_unset=True, min_id_length=5)
OURS = Connection(connector_trust_external_id=True)
Dump = Mapping[str, list[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def one_postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield a database for all tests of this module: making one takes longer than most of them."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(one_postgres_url: str) -> str:
    """Return the URL of that database, emptied."""
    with psycopg.connect(one_postgres_url, autocommit=True) as connection:
        for table in metadata.sorted_tables:
            if table in (audit, audit_outcome):  # they refuse, and nothing here writes to them
                continue
            found = connection.execute("SELECT to_regclass(%s)", [table.name]).fetchone()
            if found != (None,):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
    return one_postgres_url


class ForgettingDesk(Desk):
    """A desk at which people are forgotten too."""

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
        self.eraser = self.eraser or await self.ledger.leases.acquire("forgetting", "me", self.now, 3_600_000)
        assert self.eraser is not None
        self.clock.advance(0.5)
        await self.ledger.erasures.go_on(self.eraser, {"default": rules, "second": rules}, self.now)

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
        while one := await self.ledger.erasures.due_unset([*NAMES, "second"], self.now):
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

    async def heard(self, *interviews: Interview, name: str = "default", **told: Any) -> list[Sync]:
        """Let interviews come in with a delivery each, as the intake does."""
        for one in interviews:
            body = json.dumps({"interview_id": one.interview_id, "told": list(one)})
            await self.ledger.inbox.accept(a_delivery(one.interview_id, connection=name, body=body))
        new = await self.ledger.inbox.take_new([name], 100)
        settings = OURS.model_copy(update={"name": name})
        heard = [
            Observation(rules=sync_rules(settings), interview=one, at=self.now, **told) for one in interviews
        ]

        def revise(before: Mapping[tuple[str, str], Sync]) -> list[Sync]:
            return [advance(before.get(one.key), one, self.ledger.keyed_hash) for one in heard]

        return await self.ledger.syncs.revise(
            [one.key for one in heard], revise, done=[delivery.id for delivery in new]
        )

    async def of(self, interview_id: str) -> Sync:
        found = await self.ledger.syncs.find("default", interview_id)
        assert found is not None
        return found

    async def totals_are_true(self) -> None:
        """Compare the counters with the rows."""
        rows = await self.ledger.db.read(
            lambda c: c.execute(
                select(sync.c.connection, sync.c.status, sync.c.reason, func.count()).group_by(
                    sync.c.connection, sync.c.status, sync.c.reason
                )
            ).all()
        )
        for name in {row[0] for row in rows} | set(NAMES):
            counted = {(row[1], row[2] or ""): row[3] for row in rows if row[0] == name}
            assert await self.ledger.counters.totals(name) == counted

    async def all_true(self) -> None:
        await self.counts_are_true()
        await self.totals_are_true()


@pytest.fixture
async def desk(ledger: Ledger, clock: ManualClock) -> ForgettingDesk:
    connection = Connection(connector_max_interviews_per_launch=CAP)
    second = connection.model_copy(update={"name": "second"})
    ctx = Context(
        settings=Settings(connections={"default": connection, "second": second}),
        clock=clock,
        ledger=ledger,
        koji={},
        amplitude={},
        amplitude_users={},
        amplitude_elsewhere={},
        amplitude_cohorts={},
        targets=Targets(allow_private=False),
    )
    lease = await ledger.leases.acquire(LANE, "me", clock.now(), 30_000)
    assert lease is not None
    return ForgettingDesk(ledger, ctx, clock, lease)


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


async def live(desk: ForgettingDesk, one: Member, mark: str) -> None:
    """Let somebody leave traces in every table that can hold them."""
    launched = await desk.launch(one, single=True)
    (invited,) = await desk.all_of(launched.id)
    assert await desk.begin(await desk.waiting(single=True)) == "sending"
    await desk.settle(invited, "started")
    facts = interview(f"int-{mark}-ours", None, external_id=invited.id, invitee=one.user_id, over=True)
    await desk.heard(facts, interview(f"int-{mark}", one.email), interview(f"low-{mark}", one.email))
    await desk.heard(interview(f"id-{mark}", None, external_id=one.user_id))
    await desk.plan(one, days=0)
    await desk.plan(one)
    await desk.launch(one)
    await desk.ledger.inbox.accept(a_delivery(None, body=json.dumps({"said": f"I am {one.email}, hello."})))
    await desk.create(source=[[one, who(f"stranger-{mark}@example.com")]])


async def test_no_table_holds_anything_of_a_forgotten_person_and_nobody_else_changes(
    desk: ForgettingDesk,
) -> None:
    await live(desk, JO, "jo")
    before = await desk.dump()
    await live(desk, ANN, "ann")
    assert {table for table, _, _ in await desk.traces(EMAIL, USER, NAME)} == {
        "inbox", "invitation", "launch", "launch_source", "sync",
    }  # fmt: skip
    done = await desk.forget(email=EMAIL)
    texts = (f'"{EMAIL}', f" {EMAIL}", f"'{EMAIL}", USER, NAME, "st_secret", "theme of int-ann")
    jos = await desk.traces(*texts)
    assert {text for _, _, text in jos} <= {"st_secret"}
    assert done.counts["unset"] == 2
    await desk.all_true()
    after = await desk.dump()
    for table in ("inbox", "sync", "invitation", "launch", "launch_source", "secret"):
        for row in before[table]:
            assert row in after[table], table
    assert after["alias"] == [row for row in after["alias"] if row["person"] == 0 or row in before["alias"]]


async def test_forgetting_a_stranger_changes_nothing_but_keeps_them_out(desk: ForgettingDesk) -> None:
    await live(desk, JO, "jo")
    before = except_for(await desk.dump(), "alias", "forgetting", "run", "lane")
    done = await desk.forget(email="nobody@example.com", user_id="nobody")
    assert except_for(await desk.dump(), "alias", "forgetting", "run", "lane") == before
    assert done.interviews == []
    plan = await desk.plan(who("NOBODY@example.com"), who(None, "nobody"), JO, days=0)
    assert plan.skipped["suppressed"] == 2


async def test_a_second_forgetting_changes_nothing(desk: ForgettingDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.forget(email=EMAIL)
    before = except_for(await desk.dump(), "alias", "forgetting", "run", "lane")
    calls: tuple[dict[str, Any], ...] = (
        {"email": EMAIL},
        {"user_id": USER},
        {"email": EMAIL.upper(), "user_id": USER},
    )
    for whom in calls:
        again = await desk.forget(**whom)
        assert set(again.counts) <= {"unset"}
    after = except_for(await desk.dump(), "alias", "forgetting", "run", "lane")
    assert after == before


async def test_aliases_that_a_third_row_joined_are_one_person(desk: ForgettingDesk) -> None:
    by_email = await desk.launch(who(EMAIL))
    by_id = await desk.launch(who(None, USER))
    joining = await desk.plan(ANN, days=0)
    assert (joining.to_invite, joining.skipped) == (0, {"recently_interviewed": 1})
    await desk.forget(email=EMAIL)
    for one in (by_email, by_id):
        assert await desk.states(one.id) == ["cancelled"]
        assert (await desk.find(one.id)).status is LaunchStatus.FINISHED
    assert await desk.traces(EMAIL, USER) == []
    await desk.all_true()


@pytest.mark.parametrize("first", ["prune", "forget"])
async def test_what_is_pruned_is_forgotten_too_and_stays_out(desk: ForgettingDesk, first: str) -> None:
    await live(desk, ANN, "ann")
    (one,) = [row for row in await desk.all_of(desk.made[0]) if row.user_id]
    desk.clock.advance(40 * DAY / 1000)
    later = desk.now - DAY

    async def prune() -> None:
        await desk.ledger.retention.prune(later, desk.now)

    async def forget() -> None:
        await desk.forget(email=EMAIL)
        desk.clock.advance(2 * DAY / 1000)

    for step in (prune, forget) if first == "prune" else (forget, prune):
        await step()
    await desk.all_true()
    for late in (
        interview("late-1", EMAIL.title()),
        interview("late-2", None, external_id=USER),
        interview("late-3", None, external_id=one.id),
        interview("int-ann"),
    ):
        (seen,) = await desk.heard(late) or [await desk.of(late.interview_id)]
        assert seen.reason == "suppressed", late
    plan = await desk.plan(who(EMAIL), who(None, USER), days=0)
    assert plan.to_invite == 0
    assert "suppressed" in plan.skipped
    await desk.all_true()
    assert await desk.traces(NAME, "theme of late") == []


# in flight


async def test_a_send_in_flight_is_settled_before_its_user_is_unset(desk: ForgettingDesk) -> None:
    await desk.heard(interview("int-1"), interview("int-2", JO.email))
    amplitude = await desk.ledger.leases.acquire("amplitude:1", "me", desk.now, 3_600_000)
    assert amplitude is not None
    taken = await desk.ledger.sending.begin(amplitude, NAMES, desk.now, 10)
    assert len(taken) == 2
    run_id = await desk.erase(email=EMAIL)
    for _ in range(2):
        await desk.look()
        assert await desk.ledger.erasures.due_unset(NAMES, desk.now) is None
        assert (await desk.found(run_id)).finished_at is None
    settled = [a_settlement(one.sync) for one in taken]
    await desk.ledger.sending.settle(amplitude, settled, desk.now, 0)
    await desk.look()
    assert await desk.unset() == [EMAIL]
    assert (await desk.found(run_id)).finished_at is not None
    assert (await desk.of("int-1")).status is SyncStatus.SYNCED
    assert (await desk.of("int-2")).user_id == JO.email
    assert await desk.traces(f'"{EMAIL}') == []
    await desk.all_true()


@pytest.mark.parametrize("outcome", ["started", "failed", "in_doubt", "not_started"])
async def test_a_start_in_flight_ends_and_is_never_tried_again(desk: ForgettingDesk, outcome: str) -> None:
    launched = await desk.launch(ANN, JO)
    one = await desk.send()
    run_id = await desk.erase(user_id=USER)
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    await desk.settle(one, outcome)
    # before anybody looks again, people and the lane go on
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    while (following := await desk.waiting()).email != JO.email:
        assert await desk.begin(following) == "gone"
    await desk.look()
    await desk.unset()
    assert (await desk.found(run_id)).finished_at is not None
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    assert (await desk.waiting()).email == JO.email
    assert await desk.traces(f'"{EMAIL}', USER, NAME, "st_secret", "https://koji.example") == []
    expected = outcome if outcome in ("started", "failed") else "cancelled"
    assert await desk.states(launched.id) == [expected, "waiting"]
    await desk.all_true()


async def test_a_start_whose_interview_came_back_before_its_answer_leaves_no_link(
    desk: ForgettingDesk,
) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.came_back(one, "int-1")
    run_id = await desk.erase(email=EMAIL)
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    await desk.settle(one, "started")
    await desk.look()
    await desk.unset()
    assert (await desk.found(run_id)).finished_at is not None
    assert (await desk.get(one.id)).link is None
    await desk.all_true()


async def test_a_forgotten_person_may_not_be_started_after_a_crash(desk: ForgettingDesk) -> None:
    launched = await desk.launch(ANN)
    await desk.send()
    await desk.erase(email=EMAIL)
    await desk.ledger.invitations.recover(desk.lease, NAMES, desk.now)
    assert await desk.states(launched.id) == ["in_doubt"]
    await desk.ledger.launches.resume(launched.id, "retry", desk.now)
    assert await desk.begin(await desk.waiting()) == "gone"
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    await desk.all_true()


async def test_who_turns_out_to_be_forgotten_is_not_started_any_more(desk: ForgettingDesk) -> None:
    launched = await desk.launch(who(None, USER))
    await desk.forget(email=EMAIL)
    assert await desk.states(launched.id) == ["waiting"]
    plan = await desk.plan(ANN, days=0)
    assert plan.skipped == {"suppressed": 1}
    assert await desk.begin(await desk.waiting()) == "gone"
    assert await desk.states(launched.id) == ["cancelled"]
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    await desk.all_true()


async def test_unread_deliveries_are_waited_for_and_erased(desk: ForgettingDesk) -> None:
    await desk.ledger.inbox.accept(a_delivery("int-1", body=json.dumps({"email": EMAIL})))
    run_id = await desk.erase(email=EMAIL)
    await desk.ledger.inbox.accept(a_delivery("int-2", body=json.dumps({"email": JO.email})))
    await desk.look()
    assert (await desk.found(run_id)).finished_at is None
    new = await desk.ledger.inbox.take_new(NAMES, 1)
    facts = a_sync("int-1", facts=interview("int-1"))
    await desk.ledger.syncs.revise([("default", "int-1")], lambda _: [facts], done=[new[0].id])
    await desk.look()
    assert (await desk.found(run_id)).finished_at is not None  # what came in since is nobody's concern
    assert [row for row in await desk.traces(EMAIL) if row[0] != "inbox"] == []
    assert [one.body for one in await desk.ledger.inbox.received("default", "int-1")] == [None]


# whom it must not touch


async def test_bodies_that_name_others_stay(desk: ForgettingDesk) -> None:
    others: list[Any] = [
        {"email": "joann@example.com"},
        {"email": "mary.ann@example.com"},
        {"email": "x+ann@example.com"},
        {"email": "ann@example.community"},
        {"email": "ann@example.com.test"},
        {"user_id": "A1"},
        {"user_id": "a12"},
        {"launch_id": "lau_a1"},
        {"user_id": 'x"a1"x'},
    ]
    theirs: list[Any] = [
        {"email": EMAIL},
        {"email": EMAIL.upper()},
        {"said": "write to <ann@example.com>."},
        {"said": "mail:\nann@example.com\nbye"},
        {"user_id": "a1"},
        {"invitations": [{"user_id": "a1"}]},
        {"a1": True},
    ]
    for body in (*others, *theirs):
        await desk.ledger.inbox.accept(a_delivery(None, body=json.dumps(body)))
    done = await desk.forget(email=EMAIL, user_id="a1")
    bodies = [one.body for one in (await desk.ledger.inbox.unreadable("default", limit=100))[::-1]]
    assert [body is not None for body in bodies] == [True] * len(others) + [False] * len(theirs)
    assert done.counts["deliveries"] == len(theirs)


@pytest.mark.parametrize(
    "user_id",
    ['say "hi"', "50%_off\\", "jürgen/1", "日本", "a'; DROP TABLE sync; --", "nul\0byte", "😀-user"],
)
async def test_odd_user_ids_are_found_wherever_they_stand(desk: ForgettingDesk, user_id: str) -> None:
    odd = Member(user_id, None, "Odd One")
    await desk.launch(odd, JO)
    await desk.plan(odd)
    await desk.create(source=[[odd, JO]])
    if "\0" not in user_id:
        escaped = json.dumps({"user": {"id": user_id}}).replace("/", "\\/")
        await desk.ledger.inbox.accept(a_delivery(None, body=escaped))
    await desk.ledger.inbox.accept(a_delivery(None, body=json.dumps({"user": {"id": "5000_off"}})))
    await desk.forget(user_id=user_id)
    seen = [one.body is None for one in await desk.ledger.inbox.unreadable("default", limit=10)]
    assert seen == ([False, True] if "\0" not in user_id else [False])
    assert await desk.traces("Odd One", user_id) == []
    members = await desk.ledger.planning.source(desk.made[-1], 0)
    assert members == [JO]
    await desk.all_true()


async def test_an_address_is_found_in_another_letter_case_and_form(desk: ForgettingDesk) -> None:
    composed, apart = "J\u00fcrgen@example.com", "ju\u0308rgen@example.com"
    await desk.plan(Member(composed.upper(), None, "Odd One"))
    await desk.launch(Member(composed.upper(), None, "Odd One"))
    await desk.plan(Member(composed.upper(), None, "Odd One"))  # as an example, by its user id
    await desk.create(source=[[Member(None, composed.upper(), "Odd One"), JO]])
    for form in (composed, composed.upper(), apart):
        await desk.ledger.inbox.accept(a_delivery(None, body=json.dumps({"said": f"I am {form}."})))
    await desk.forget(email=apart)
    assert [one.body for one in await desk.ledger.inbox.unreadable("default", limit=10)] == [None] * 3
    assert await desk.traces("rgen@example.com", "Odd One") == []


async def test_a_person_of_very_many_interviews_is_forgotten(desk: ForgettingDesk) -> None:
    facts = [interview(f"int-{n:04}") for n in range(1_200)]
    syncs = [a_sync(one.interview_id, EMAIL, facts=one) for one in facts]
    await desk.ledger.syncs.revise([("default", one.interview_id) for one in facts], lambda _: syncs)
    done = await desk.forget(email=EMAIL)
    assert done.counts["interviews"] == 1_200
    await desk.totals_are_true()


async def test_other_connections_keep_what_is_theirs(desk: ForgettingDesk) -> None:
    await desk.heard(interview("int-1"), name="second")
    one = await desk.create(source=[[ANN, JO]])
    await desk.ledger.db.write(
        lambda c: c.execute(update(launch).where(launch.c.id == one.id).values(connection="second"))
    )
    await desk.ledger.inbox.accept(a_delivery(None, connection="second", body=json.dumps({"said": EMAIL})))
    before = except_for(await desk.dump(), "alias", "forgetting", "run", "lane")
    await desk.forget(email=EMAIL, user_id=USER)
    assert except_for(await desk.dump(), "alias", "forgetting", "run", "lane") == before


async def test_who_answered_in_somebodys_place_is_not_forgotten_with_them(desk: ForgettingDesk) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.heard(interview("int-1", JO.email, external_id=one.id, invitee=USER))
    await desk.heard(interview("int-2", JO.email))
    await desk.forget(email=EMAIL)
    assert (await desk.of("int-1")).reason == "suppressed"
    assert (await desk.of("int-2")).user_id == JO.email
    plan = await desk.plan(JO)
    assert plan.to_invite == 1


async def test_an_invited_person_stays_when_who_answered_in_their_place_is_forgotten(
    desk: ForgettingDesk,
) -> None:
    await desk.launch(JO)
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.heard(interview("int-1", EMAIL, external_id=one.id, invitee=JO.user_id, over=True))
    done = await desk.forget(email=EMAIL)
    assert (await desk.of("int-1")).reason == "suppressed"
    assert "unset" not in done.counts
    invited = await desk.get(one.id)
    assert (invited.email, invited.user_id) == (JO.email, JO.user_id)
    assert (await desk.plan(JO)).skipped == {"already_invited": 1}
    await desk.all_true()


async def test_an_interview_is_found_by_each_name_that_stands_in_it(desk: ForgettingDesk) -> None:
    await desk.heard(interview("both", EMAIL, external_id=USER))
    await desk.heard(interview("as-id", None, external_id="eve@example.com", quality_score=1.0))
    await desk.forget(user_id=USER)
    assert (await desk.of("both")).reason == "suppressed"
    await desk.forget(email="EVE@example.com")
    assert (await desk.of("as-id")).reason == "suppressed"
    assert await desk.traces(USER, EMAIL, "eve@") == []


async def test_every_interview_that_came_back_with_their_external_id_is_theirs(desk: ForgettingDesk) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    ours = {"external_id": one.id, "invitee": USER, "quality_score": 1.0}
    await desk.heard(interview("first", None, **ours), interview("second", JO.email, **ours))
    await desk.heard(interview("last", None, **ours), interview("own", JO.email))
    await desk.forget(email=EMAIL)
    for interview_id in ("first", "second", "last"):
        assert (await desk.of(interview_id)).reason == "suppressed"
    assert (await desk.of("own")).user_id == JO.email
    assert await desk.traces(USER, "theme of first", "theme of second", "theme of last") == []


async def test_an_interview_that_lost_our_external_id_makes_nobody_somebody_else(
    desk: ForgettingDesk,
) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    started = (await desk.get(one.id)).interview_id or ""
    await desk.heard(interview(started, JO.email), interview("own", JO.email))
    done = await desk.forget(email=EMAIL)
    assert (await desk.of("own")).user_id == JO.email
    assert done.counts["unset"] == 1  # Ann's own user id
    assert (await desk.plan(JO)).to_invite == 1


async def test_an_untrusted_external_id_makes_nobody_somebody_else(desk: ForgettingDesk) -> None:
    await desk.heard(interview("claimed", JO.email, external_id=USER), interview("own", JO.email))
    await desk.forget(user_id=USER, rules=RULES._replace(trust_external_id=False))
    assert (await desk.of("claimed")).reason == "suppressed"
    assert (await desk.of("own")).user_id == JO.email
    assert (await desk.plan(JO)).to_invite == 1


# what is told


async def test_what_could_not_be_unset_is_told_also_after_a_second_look(desk: ForgettingDesk) -> None:
    await desk.heard(interview("int-1"))
    await desk.ledger.inbox.accept(a_delivery("unread"))
    without = RULES._replace(can_unset=False)
    run_id = await desk.erase(email=EMAIL, rules=without)
    new = await desk.ledger.inbox.take_new(NAMES, 10)
    await desk.ledger.syncs.revise([], lambda _: [], done=[one.id for one in new])
    for _ in range(2):
        await desk.look(rules=without)
    assert (await desk.found(run_id)).counts["not_unset"] == 1


async def test_a_second_look_counts_nothing_twice(desk: ForgettingDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.ledger.inbox.accept(a_delivery("unread"))
    run_id = await desk.erase(email=EMAIL)
    first = (await desk.found(run_id)).counts
    new = await desk.ledger.inbox.take_new(NAMES, 10)
    await desk.ledger.syncs.revise([], lambda _: [], done=[one.id for one in new])
    await desk.look()
    assert (await desk.found(run_id)).counts == first
    assert (await desk.unset()) == sorted([EMAIL, USER])


# sealed


async def test_every_sealed_column_is_sealed_anew(desk: ForgettingDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.launch(JO)
    one = await desk.send()
    await desk.settle(one, "started")
    hook = Hook("hook_1", "default", EventType.INTERVIEW_SYNCED, "https://hooks.example.com/1", desk.now)
    await desk.ledger.hooks.subscribe(hook, "whsec_c2VjcmV0")
    await desk.ledger.callbacks.add(a_callback())
    await desk.erase(email=EMAIL)  # stays open: its row is sealed
    sealed = {column.table.name + "." + column.name for _, column in SEALED}
    assert await opened_by(desk, SEALER) == sealed
    fresh = Sealer([b"n" * 32])
    await reseal(desk.ledger, Sealer([b"n" * 32, b"k" * 32]))
    assert await opened_by(desk, fresh) == sealed
    assert await opened_by(desk, SEALER) == set()


async def opened_by(desk: ForgettingDesk, sealer: Sealer) -> set[str]:
    """Return the columns of texts, in all tables, that hold a value which a sealer opens."""
    found = set()
    texts = {
        table.name: [one.name for one in table.c if isinstance(one.type, Text)]
        for table in metadata.tables.values()
    }
    for table, rows in (await desk.dump()).items():
        for row in rows:
            for name in texts[table]:
                try:
                    sealer.open(str(row[name]).encode())
                except NotConfigured:
                    continue
                found.add(f"{table}.{name}")
    return found


# at once


async def test_planning_that_asked_before_and_decided_after_invites_nobody(desk: ForgettingDesk) -> None:
    one = await desk.create(goes_on=False)
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", [ANN, JO])
    history = await desk.ledger.aliases.history(keyed)
    choices = Selection(planning.rules_of(desk.ctx, one), desk.now).take(keyed, history)
    await desk.forget(email=EMAIL)
    assert await desk.ledger.planning.add_choices(None, one.id, choices, choices, desk.now)
    planned = await desk.ledger.planning.end(None, one.id, desk.now)
    assert planned is not None
    assert (planned.to_invite, planned.skipped) == (1, {"suppressed": 1})
    assert await desk.traces(f'"{EMAIL}', USER, NAME) == []
    await desk.all_true()


async def test_planning_that_asked_before_shows_nobody_as_an_example_after(desk: ForgettingDesk) -> None:
    await desk.launch(ANN, JO)
    one = await desk.create(goes_on=False)
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", [ANN, JO])
    history = await desk.ledger.aliases.history(keyed)
    choices = Selection(planning.rules_of(desk.ctx, one), desk.now).take(keyed, history)
    await desk.forget(email=EMAIL)
    assert await desk.ledger.planning.add_choices(None, one.id, choices, [], desk.now)
    planned = await desk.ledger.planning.end(None, one.id, desk.now)
    assert planned is not None
    assert planned.examples == ((JO.user_id, "already_invited"),)
    assert await desk.traces(USER) == []
    await desk.all_true()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_an_interview_that_comes_in_while_its_person_is_forgotten_is_not_kept(
    desk: ForgettingDesk, other_ledger: Ledger
) -> None:
    for at in range(12):
        email = f"racer-{at}@example.com"
        syncs = [a_sync(f"int-{at}-{n}", email, facts=interview(f"int-{at}-{n}", email)) for n in range(4)]
        await asyncio.gather(
            desk.erase(email=email),
            *(
                other_ledger.syncs.revise([("default", one.interview_id)], lambda _, one=one: [one])  # type: ignore[misc]
                for one in syncs
            ),
        )
    await desk.all_true()
    rows = (await desk.dump())["sync"]
    assert {row["reason"] for row in rows} == {"suppressed"}
    assert await desk.traces("racer-") == []


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_news_of_a_known_interview_does_not_stop_a_forgetting(
    desk: ForgettingDesk, other_ledger: Ledger
) -> None:
    errors: list[str] = []  # a deadlock ends after a second, and what it stopped is tried again
    for one in (desk.ledger, other_ledger):
        event.listen(one.db._write_engine, "handle_error", lambda told: errors.append(repr(told)))
    for at in range(8):
        email = f"racer-{at}@example.com"
        facts = [interview(f"int-{at}-{n}", email) for n in range(8)]
        syncs = [a_sync(one.interview_id, email, facts=one, stage=None) for one in facts]
        keys = [("default", one.interview_id) for one in syncs]
        await desk.ledger.syncs.revise(keys, lambda _, syncs=syncs: syncs)  # type: ignore[misc]
        await asyncio.gather(
            desk.erase(email=email),
            *(
                other_ledger.syncs.revise([key], lambda _, one=one: [one])  # type: ignore[misc]
                for key, one in zip(keys, syncs, strict=True)
            ),
        )
    assert errors == []
    await desk.all_true()
    assert await desk.traces("racer-") == []


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_starts_that_begin_while_their_person_is_forgotten_are_counted_once(
    desk: ForgettingDesk, other_ledger: Ledger
) -> None:
    for at in range(25):
        person = who(f"racer-{at}@example.com")
        launched = await desk.launch(person)
        one = await desk.waiting()
        await asyncio.gather(
            desk.erase(email=person.email or ""),
            other_ledger.invitations.begin_start(
                desk.lease, one, credit_lane=LANE, cost=1, cap=CAP, now=desk.now
            ),
        )
        assert await desk.states(launched.id) in (["cancelled"], ["sending"])
        await desk.counts_are_true()
        if await desk.states(launched.id) == ["sending"]:
            await desk.settle(one, "not_started")


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_plans_that_are_used_or_called_off_while_somebody_is_forgotten_add_up(
    desk: ForgettingDesk, other_ledger: Ledger
) -> None:
    for at in range(12):
        person = who(f"racer-{at}@example.com")
        plan = await desk.plan(person, who(f"other-{at}@example.com"))
        if at % 2:
            await desk.ledger.planning.use_plan(plan.id, desk.now)
            rules = planning.rules_of(desk.ctx, plan)
            await asyncio.gather(
                desk.erase(email=person.email or ""),
                other_ledger.planning.activate(plan.id, rules, desk.now, 10),
            )
        else:
            await asyncio.gather(
                desk.erase(email=person.email or ""), other_ledger.launches.cancel(plan.id, desk.now)
            )
        await desk.counts_are_true()
    assert await desk.traces("racer-") == []
