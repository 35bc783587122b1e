"""What the ledger promises about launches and invitations, on both databases."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import func, select

from connector.context import Context
from connector.domain.launches.eligibility import LaunchRules, Selection
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
    Phase,
    StartResult,
)
from connector.domain.lease import Lease
from connector.domain.people.same_person import Member, member
from connector.domain.results.interview import Interview
from connector.domain.results.sync import ListFilter
from connector.errors import Conflict, NotConfigured
from connector.ledger.access.reseal import Tally, reseal
from connector.ledger.db.schema import (
    alias,
    audit,
    audit_outcome,
    credit,
    invitation,
    launch,
    launch_source,
    metadata,
)
from connector.ledger.launches.launch_row import load_launch
from connector.ledger.ledger import Ledger, open_ledger
from connector.ledger.people.aliases import QUEUED
from connector.net.target_client import Targets
from connector.security.sealing import Sealer
from connector.service import planning
from connector.settings.model import Connection, Settings
from tests import postgres
from tests.fakes import NOW, ManualClock, a_sync

LANE = "koji:1"
HOUR = 3_600_000
DAY = 24 * HOUR
CAP = 1_000
NAMES = ["default"]
EVERY = tuple(InvitationState)
COUNTED = [str(state) for state in EVERY]


def who(email: str | None = None, user: str | None = None) -> Member:
    return member(user, email, None)


def persons(*numbers: int) -> list[Member]:
    return [who(f"person-{n:03}@example.com", f"user-{n:03}") for n in numbers]


@dataclass
class Desk:
    """A ledger worked through its ports, as operations and lanes work it."""

    ledger: Ledger
    ctx: Context
    clock: ManualClock
    lease: Lease
    made: list[str] = field(default_factory=list)

    @property
    def now(self) -> int:
        return self.clock.now()

    async def create(
        self,
        *,
        limit: int = CAP,
        days: int | None = None,
        goes_on: bool = True,
        single: bool = False,
        source: Sequence[Sequence[Member]] = (),
    ) -> Launch:
        one = Launch(
            id=f"lau_{len(self.made):03}",
            connection="default",
            status=LaunchStatus.PLANNING,
            created_at=self.now,
            options=LaunchOptions(max_interviews=limit, reinvite_after_days=days),
            goes_on=goes_on,
            phase=Phase.READ,
            phase_due=self.now,
            single=single,
        )
        await self.ledger.planning.create(one, source)
        self.made.append(one.id)
        return one

    async def decide(self, *pieces: Sequence[Member], **told: Any) -> Launch:
        one = await self.create(**told)
        return await self.decide_over(one, *pieces)

    async def decide_over(self, one: Launch, *pieces: Sequence[Member]) -> Launch:
        decided = await planning.decide(self.ctx, one, planning.pieces_of(pieces))
        assert decided is not None
        return decided

    async def plan(self, *members: Member, **told: Any) -> Launch:
        return await self.decide(members, goes_on=False, **told)

    async def launch(self, *members: Member, **told: Any) -> Launch:
        decided = await self.decide(members, **told)
        await planning.activate(self.ctx, decided)
        return await self.find(decided.id)

    async def use(self, plan: Launch) -> Launch:
        used = await self.ledger.planning.use_plan(plan.id, self.now)
        assert used is not None
        await planning.activate(self.ctx, used)
        return await self.find(plan.id)

    async def find(self, launch_id: str) -> Launch:
        found = await self.ledger.launches.find(launch_id)
        assert found is not None
        return found

    async def all_of(self, launch_id: str) -> list[Invitation]:
        return await self.ledger.launches.invitations(launch_id, EVERY, limit=10_000, after=-1)

    async def states(self, launch_id: str) -> list[str]:
        return [str(one.state) for one in await self.all_of(launch_id)]

    async def get(self, invitation_id: str) -> Invitation:
        found = await self.ledger.invitations.find(invitation_id)
        assert found is not None
        return found

    async def waiting(self, *, single: bool = False) -> Invitation:
        found = await self.ledger.invitations.next_waiting(NAMES, single=single)
        assert found is not None
        return found

    async def begin(
        self, one: Invitation, *, cost: int = 3, cap: int = CAP, lease: Lease | None = None
    ) -> str:
        return await self.ledger.invitations.begin_start(
            lease or self.lease, one, credit_lane=LANE, cost=cost, cap=cap, now=self.now
        )

    async def send(self) -> Invitation:
        """Take the next one to Koji, and leave it there."""
        one = await self.waiting()
        assert await self.begin(one) == "sending"
        return one

    async def settle(
        self, one: Invitation, outcome: str, *, cost: int = 3, lease: Lease | None = None
    ) -> None:
        invitations, lease = self.ledger.invitations, lease or self.lease
        match outcome:
            case "started":
                await invitations.started(lease, one.id, handed(one, self.now), self.now)
            case "not_started":
                await invitations.not_started(lease, one.id, credit_lane=LANE, cost=cost, now=self.now)
            case "in_doubt":
                await invitations.in_doubt(lease, one.id, "Koji was cut.", self.now)
            case _:
                await invitations.failed(
                    lease,
                    one.id,
                    "refused_by_koji",
                    "No such locale.",
                    credit_lane=LANE,
                    cost=cost,
                    now=self.now,
                )

    async def start_all(self) -> None:
        while one := await self.ledger.invitations.next_waiting(NAMES, single=False):
            assert await self.begin(one) == "sending"
            await self.settle(one, "started")

    async def came_back(
        self, one: Invitation, interview_id: str, *, over: bool = True, anonymous: bool = False
    ) -> None:
        """Let an interview come in with our external id, as intake and reads do."""
        facts = Interview(interview_id, external_id=one.id, invitee=one.email, over=over)
        sync = a_sync(interview_id, facts=facts, stage=None, updated_at=self.now)
        if anonymous:
            facts = facts._replace(anonymous=True).without_respondent()
            sync = sync._replace(facts=facts, reason="anonymous", user_id=None, user_hash=None)
        await self.ledger.syncs.revise([("default", interview_id)], lambda _: [sync])

    async def left(self, *, at: int | None = None) -> int:
        return await self.ledger.invitations.credits_left(LANE, CAP, self.now if at is None else at)

    async def counts_are_true(self) -> None:
        """Compare what launches say of themselves with the rows of the table."""
        rows = await self.ledger.db.read(
            lambda c: c.execute(
                select(invitation.c.launch_id, invitation.c.state, func.count()).group_by(
                    invitation.c.launch_id, invitation.c.state
                )
            ).all()
        )
        counted: dict[str, Counter[str]] = {}
        for launch_id, state, n in rows:
            counted.setdefault(launch_id, Counter())[state] = n
        for one in await self.ledger.db.read(lambda c: c.execute(select(launch)).all()):
            seen = load_launch(one)
            found = counted.pop(one.id, Counter())
            assert {name: getattr(seen, name) for name in COUNTED} == {
                name: found[name] for name in COUNTED
            }, seen
            assert seen.to_invite == found.total()
            assert seen.members_total == seen.to_invite + sum(seen.skipped.values()), seen
            match seen.status:
                case LaunchStatus.RUNNING | LaunchStatus.PAUSED:
                    assert seen.left > 0, seen
                case LaunchStatus.FINISHED:
                    assert seen.left == 0, seen
                case LaunchStatus.CANCELLED:
                    assert seen.waiting == 0, seen
        assert counted == {}, "invitations of no launch"


def handed(one: Invitation, now: int, **told: Any) -> StartResult:
    values: dict[str, Any] = {
        "interview_id": f"int-{one.id[4:12]}",
        "link": f"https://koji.example/{one.id}",
        "session_token": "st_secret",
        "due": now + HOUR,
        "complete_due": None,
    }
    return StartResult(**(values | told))


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


@pytest.fixture
async def desk(ledger: Ledger, clock: ManualClock) -> Desk:
    connection = Connection(connector_max_interviews_per_launch=CAP)
    ctx = Context(
        settings=Settings(connections={"default": connection}),
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
    return Desk(ledger, ctx, clock, lease)


# planning


async def test_planning_stores_only_people_to_invite_and_counts_the_others(desk: Desk) -> None:
    await desk.launch(*persons(1))
    plan = await desk.plan(
        who(),
        *persons(1, 2, 2, 3),
        who("PERSON-003@example.com "),
        *persons(4, 5),
        limit=2,
    )
    assert (plan.status, plan.phase) == (LaunchStatus.PLANNED, None)
    assert (plan.members_total, plan.to_invite, plan.planned) == (8, 2, 2)
    assert plan.skipped == {
        "no_identifier": 1,
        "already_invited": 1,
        "duplicate_in_cohort": 2,
        "over_limit": 2,
    }
    assert plan.examples == (
        ("user-001", "already_invited"),
        ("user-002", "duplicate_in_cohort"),
        ("user-004", "over_limit"),
        ("user-005", "over_limit"),
    )
    stored = await desk.all_of(plan.id)
    assert [(one.state, one.position, one.user_id, one.email, one.taken_at) for one in stored] == [
        (InvitationState.PLANNED, 2, "user-002", "person-002@example.com", None),
        (InvitationState.PLANNED, 4, "user-003", "person-003@example.com", None),
    ]
    await desk.counts_are_true()


async def test_of_strangers_who_are_not_invited_nothing_is_kept(desk: Desk) -> None:
    await desk.plan(*persons(1), who("late@example.com", "late"), limit=1)
    known = await desk.ledger.db.read(
        lambda c: c.execute(select(func.count()).select_from(alias)).scalar_one()
    )
    assert known == 2
    again = await desk.plan(who("late@example.com"))
    assert again.to_invite == 1


async def test_decisions_go_on_over_the_pieces_of_a_cohort(desk: Desk) -> None:
    one = await desk.decide(persons(1, 2), persons(2, 3), persons(3, 4), limit=3)
    assert (one.members_total, one.planned, one.phase) == (6, 3, Phase.ACTIVATE)
    assert one.skipped == {"duplicate_in_cohort": 2, "over_limit": 1}
    assert [row.position for row in await desk.all_of(one.id)] == [0, 1, 3]


async def test_the_rows_of_a_call_go_when_planning_has_ended(desk: Desk) -> None:
    rows = [Member(None, "nul@example.com", "a\0b"), *persons(1)], persons(2)
    one = await desk.create(source=rows)
    first = await desk.ledger.planning.source(one.id, 0)
    assert first == [Member(None, "nul@example.com", "a\ufffdb"), *persons(1)]
    assert await desk.ledger.planning.source(one.id, 1) == persons(2)
    assert await desk.ledger.planning.source(one.id, 2) is None
    await desk.decide_over(one, *rows)
    kept = select(func.count()).select_from(launch_source)
    assert await desk.ledger.db.read(lambda c: c.execute(kept).scalar_one()) == 0


async def test_an_interrupted_attempt_to_decide_is_forgotten(desk: Desk) -> None:
    one = await desk.create()
    assert await desk.ledger.planning.begin_reading(None, one.id)
    keyed = desk.ledger.aliases.keyed("default", persons(1, 2))
    choices = Selection(LaunchRules(CAP, None), NOW).take(keyed, [()] * len(keyed))
    assert await desk.ledger.planning.add_choices(None, one.id, choices, choices, NOW)
    assert (await desk.find(one.id)).planned == 2
    await desk.decide_over(one, persons(2, 3, 4))
    assert [row.user_id for row in await desk.all_of(one.id)] == ["user-002", "user-003", "user-004"]
    await desk.counts_are_true()


async def test_planning_that_was_called_off_stores_nothing_more(desk: Desk) -> None:
    one = await desk.create()
    launches = desk.ledger.launches
    assert await desk.ledger.planning.begin_reading(None, one.id)
    await launches.cancel(one.id, NOW)
    choices = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(1)), [()]
    )
    assert not await desk.ledger.planning.add_choices(None, one.id, choices, choices, NOW)
    assert await desk.ledger.planning.end(None, one.id, NOW) is None
    assert not await desk.ledger.planning.begin_reading(None, one.id)
    assert await desk.all_of(one.id) == []
    assert (await desk.find(one.id)).status is LaunchStatus.CANCELLED


async def test_planning_that_cannot_succeed_ends_with_its_reason_and_nobody(desk: Desk) -> None:
    one = await desk.create(source=[persons(1)])
    await desk.ledger.planning.begin_reading(None, one.id)
    choices = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(1, 1)), [(), ()]
    )
    await desk.ledger.planning.add_choices(None, one.id, choices, choices, NOW)
    await desk.ledger.planning.end_unplanned(None, one.id, "cohort_not_found", "There is none.", NOW + 5)
    ended = await desk.find(one.id)
    assert (ended.status, ended.phase, ended.error, ended.words, ended.finished_at) == (
        LaunchStatus.CANCELLED,
        None,
        "cohort_not_found",
        "There is none.",
        NOW + 5,
    )
    assert (ended.members_total, ended.to_invite, ended.skipped, ended.examples) == (0, 0, {}, ())
    assert await desk.all_of(one.id) == []
    assert (await desk.plan(*persons(1))).to_invite == 1


async def test_phases_move_only_while_a_launch_is_in_planning(desk: Desk) -> None:
    one, other = await desk.create(), await desk.create()
    launches = desk.ledger.launches
    await desk.ledger.planning.set_phase(
        None, one.id, Phase.POLL, due=NOW + 9, request_id="r1", words="Wait."
    )
    await desk.ledger.planning.set_phase(None, one.id, Phase.POLL, due=NOW + 10, cohort_name="C")
    moved = await desk.find(one.id)
    assert (moved.phase_due, moved.request_id, moved.cohort_name, moved.words) == (
        NOW + 10,
        "r1",
        "C",
        "Wait.",
    )
    assert [found.id for found in await launches.in_phases([Phase.POLL, Phase.READ])] == [other.id, one.id]
    await launches.cancel(one.id, NOW)
    await desk.ledger.planning.set_phase(None, one.id, Phase.READ, due=NOW)
    assert (await desk.find(one.id)).phase is None


async def test_a_plan_takes_nobody_and_is_used_once_within_ten_minutes(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2))
    assert (plan.planned_at, plan.expires_at) == (NOW, NOW + 600_000)
    assert (await desk.launch(*persons(2))).waiting == 1, "a plan takes nobody"
    late = await desk.ledger.planning.use_plan(plan.id, NOW + 600_000)
    assert late is not None
    assert late.status is LaunchStatus.PLANNED
    used = await desk.ledger.planning.use_plan(plan.id, NOW + 599_999)
    assert used is not None
    assert (used.status, used.phase, used.goes_on) == (LaunchStatus.PLANNING, Phase.ACTIVATE, True)
    await planning.activate(desk.ctx, used)
    again = await desk.ledger.planning.use_plan(plan.id, NOW + 599_999)
    assert again is not None
    assert (again.status, again.waiting, again.skipped) == (LaunchStatus.RUNNING, 1, {"already_invited": 1})


async def test_of_many_who_use_a_plan_at_once_nobody_is_let_wait_twice(
    desk: Desk, other_ledger: Ledger
) -> None:
    plan = await desk.plan(*persons(*range(20)))
    await desk.ledger.planning.use_plan(plan.id, NOW)
    rules = planning.rules_of(desk.ctx, plan)

    async def activate(ledger: Ledger) -> None:
        while await ledger.planning.activate(plan.id, rules, NOW, 3):
            pass

    await asyncio.gather(*(activate(ledger) for ledger in (desk.ledger, other_ledger) * 3))
    one = await desk.find(plan.id)
    assert (one.status, one.waiting, one.planned) == (LaunchStatus.RUNNING, 20, 0)
    await desk.counts_are_true()


async def test_who_was_taken_meanwhile_moves_to_the_skipped(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3, 4))
    await desk.launch(who("Person-002@Example.com"), who(user="user-004"))
    used = await desk.use(plan)
    assert (used.status, used.to_invite, used.waiting, used.planned) == (LaunchStatus.RUNNING, 2, 2, 0)
    assert (used.members_total, used.skipped, used.started_at) == (4, {"already_invited": 2}, NOW)
    assert [one.user_id for one in await desk.all_of(plan.id)] == ["user-001", "user-003"]
    await desk.counts_are_true()


async def test_the_cap_counts_once_more_when_a_plan_is_used(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3, 4, 5))
    await desk.ledger.planning.use_plan(plan.id, NOW)
    while await desk.ledger.planning.activate(plan.id, LaunchRules(3, None), NOW, 2):
        pass
    used = await desk.find(plan.id)
    assert (used.waiting, used.skipped) == (3, {"over_limit": 2})


async def test_a_launch_of_which_nobody_is_left_is_finished(desk: Desk) -> None:
    await desk.launch(*persons(1))
    none = await desk.launch(*persons(1), days=30)
    assert (none.status, none.finished_at, none.skipped) == (
        LaunchStatus.FINISHED,
        NOW,
        {"recently_interviewed": 1},
    )
    desk.clock.advance(31 * DAY / 1000)
    still = await desk.launch(*persons(1), days=30)
    assert still.skipped == {"recently_interviewed": 1}, "who waits for a start is asked soon enough"
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.start_all()
    assert (await desk.launch(*persons(1), days=30)).skipped == {"recently_interviewed": 1}
    desk.clock.advance(31 * DAY / 1000)
    assert (await desk.launch(*persons(1), days=30)).waiting == 1


async def test_plans_that_nobody_used_are_deleted(desk: Desk) -> None:
    unused = await desk.plan(*persons(1, 2))
    used = await desk.plan(*persons(3))
    await desk.use(used)
    desk.clock.advance(60)
    young = await desk.plan(*persons(4))
    launches = desk.ledger.launches
    assert await desk.ledger.planning.delete_unused(NOW) == 0
    assert await desk.ledger.planning.delete_unused(NOW + 1) == 1
    assert await launches.find(unused.id) is None
    assert await desk.all_of(unused.id) == []
    assert (await desk.find(young.id)).planned == 1
    assert (await desk.find(used.id)).waiting == 1
    assert await desk.ledger.planning.use_plan(unused.id, NOW) is None
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()


# people and their aliases


async def test_a_person_is_recognised_by_every_alias_ever_seen(desk: Desk) -> None:
    await desk.launch(who("Ada@Example.com"))
    linked = await desk.launch(who("ada@example.com", "u-ada"))
    assert linked.skipped == {"already_invited": 1}, "and its user id is learnt"
    moved = await desk.launch(who("ada@work.example", "u-ada"))
    assert moved.skipped == {"already_invited": 1}
    for known in (who(user="u-ada"), who("ADA@work.example"), who(user="Ada@Example.com")):
        assert (await desk.launch(known)).skipped == {"already_invited": 1}, known
    assert (await desk.launch(who(user="U-ADA"))).waiting == 1, "user ids are not folded"


async def test_after_a_rotation_of_the_key_people_are_recognised_and_tokens_open_with_the_new_key_only(
    desk: Desk, database_url: str
) -> None:
    launched = await desk.launch(who("ada@example.com"))
    await desk.start_all()
    hashed = desk.ledger.keyed_hash("ada@example.com")
    both = Sealer([b"n" * 32, b"k" * 32])
    assert await reseal(desk.ledger, both) == Tally(values=3, old=3)
    assert await reseal(desk.ledger, both) == Tally(values=3)
    new = Sealer([b"n" * 32])
    again = await open_ledger(database_url, new)
    (one,) = await desk.all_of(launched.id)
    assert again.invitations.session_token(one.session_token or "") == "st_secret"
    assert again.keyed_hash("ada@example.com") == hashed
    other = replace(desk, ledger=again, ctx=replace(desk.ctx, ledger=again))
    assert (await other.launch(who("Ada@Example.com"))).skipped == {"already_invited": 1}
    with pytest.raises(NotConfigured):
        desk.ledger.invitations.session_token(one.session_token or "")
    await again.close()


async def test_aliases_are_learnt_from_rows_that_are_skipped_in_the_same_cohort(desk: Desk) -> None:
    one = await desk.launch(who("ada@example.com"), who("ada@example.com", "u-ada"), who(user="u-ada"))
    assert (one.waiting, one.skipped) == (1, {"duplicate_in_cohort": 2})
    assert (await desk.launch(who(user="u-ada"))).skipped == {"already_invited": 1}


async def test_aliases_are_learnt_from_rows_over_the_limit_of_somebody_who_is_known(desk: Desk) -> None:
    plan = await desk.plan(who("ada@example.com"))
    await desk.launch(*persons(1), who("ada@example.com", "u-ada"), limit=1)
    await desk.use(plan)
    assert (await desk.launch(who(user="u-ada"))).skipped == {"already_invited": 1}


async def test_connections_do_not_know_each_others_people(desk: Desk) -> None:
    await desk.launch(*persons(1))
    [(_, mine)], [(_, theirs)] = (
        desk.ledger.aliases.keyed(name, persons(1)) for name in ("default", "other")
    )
    assert len({*mine, *theirs}) == 4
    assert await desk.ledger.aliases.history([(persons(1)[0], theirs)]) == [()]


async def test_history_tells_of_each_member_in_order_what_its_aliases_tell(desk: Desk) -> None:
    await desk.launch(*persons(1, 2))
    await desk.decide(persons(3))  # planned, never taken
    (one, two, three), new = persons(1, 2, 3), who("new@example.com", "new")
    members = [
        new,
        one,
        Member(None, one.email, None),
        Member(one.user_id, two.email, None),  # two people
        Member(two.user_id, "another@example.com", None),  # an alias that is not known yet
        Member(None, None, None),
        three,
        Member("also@example.com", one.email, None),  # three aliases
    ]
    known = await desk.ledger.aliases.history(desk.ledger.aliases.keyed("default", members))
    times = [[None if standing is None else standing.taken_at for standing in told] for told in known]
    assert times == [[], [QUEUED], [QUEUED], [QUEUED] * 2, [QUEUED, None], [], [None], [None, QUEUED, None]]
    first, second = known[1][0], known[4][0]
    assert first is not None
    assert second is not None
    assert known[2] == (first,)
    assert known[3] == (first, second)
    assert first.person != second.person


async def test_two_planned_rows_that_turn_out_to_be_one_person_are_started_once(desk: Desk) -> None:
    for apart in (1, 2, 9):
        both = f"ada-{apart}@example.com", f"u-ada-{apart}"
        between = persons(*range(100 * apart, 100 * apart + apart))
        plan = await desk.plan(who(both[0]), *between, who(user=both[1]))
        assert plan.planned == apart + 2
        # another launch teaches, while neither is taken yet, that the two are one
        taught = await desk.plan(who(*both))
        await desk.ledger.planning.use_plan(plan.id, NOW)
        while await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 2):
            pass
        used = await desk.find(plan.id)
        assert (used.waiting, sum(used.skipped.values())) == (apart + 1, 1)
        assert (await desk.use(taught)).status is LaunchStatus.FINISHED
        await desk.counts_are_true()


async def test_rows_that_a_later_row_of_the_cohort_joins_are_started_once(desk: Desk) -> None:
    for days in (None, 1, 0):
        email, user = f"ada-{days}@example.com", f"u-ada-{days}"
        one = await desk.launch(who(email), who(user=user), who(email, user), days=days)
        assert one.waiting == 1, f"reinvite_after_days {days}"
        await desk.counts_are_true()


async def test_a_row_joins_two_persons_whatever_they_were_invited_by(desk: Desk) -> None:
    await desk.launch(who("ada@example.com", "u-1"))
    await desk.start_all()
    desk.clock.advance(60)
    later = await desk.launch(who("lovelace@example.com", "u-2"))
    await desk.start_all()
    assert later.to_invite == 1
    joined = await desk.launch(who("ada@example.com", "u-2"))
    assert joined.skipped == {"already_invited": 1}
    [newest] = await desk.all_of(later.id)
    for alias_ in (who(user="u-1"), who("ada@example.com"), who("lovelace@example.com"), who(user="u-2")):
        [(_, keys)] = desk.ledger.aliases.keyed("default", [alias_])
        found = await desk.ledger.attribution.of_person(keys)
        assert found is not None
        assert found.id == newest.id, alias_
    known = await desk.ledger.db.read(lambda c: c.execute(select(alias.c.person).distinct()).all())
    assert len(known) == 1


async def test_a_chain_of_rows_makes_one_person(desk: Desk) -> None:
    links = [who(f"a{n}@example.com", f"u{n}") for n in range(6)]
    joins = [who(f"a{n}@example.com", f"u{n + 1}") for n in range(5)]
    chance = random.Random(3)
    chance.shuffle(joins)
    plan = await desk.plan(*links, *joins)
    assert (plan.planned, plan.skipped) == (6, {"duplicate_in_cohort": 5})
    used = await desk.use(plan)
    assert (used.waiting, used.to_invite) == (1, 1)
    [one] = await desk.all_of(plan.id)
    assert one.user_id == "u0", "the first row is the one that stays"


async def test_of_person_tells_nobody_who_may_be_invited(desk: Desk) -> None:
    one = await desk.launch(*persons(1))
    [(_, keys)] = desk.ledger.aliases.keyed("default", persons(1))
    assert await desk.ledger.attribution.of_person(keys) is not None
    await desk.ledger.launches.cancel(one.id, NOW)
    assert await desk.ledger.attribution.of_person(keys) is None
    assert await desk.ledger.attribution.of_person([]) is None


# starts


async def test_the_oldest_running_launch_is_next_in_the_cohorts_order(desk: Desk) -> None:
    old = await desk.launch(*persons(1, 2))
    desk.clock.advance(1)
    new = await desk.launch(*persons(3))
    alone = await desk.launch(*persons(4), single=True)
    seen = []
    for _ in range(3):
        one = await desk.send()
        seen.append((one.launch_id, one.user_id))
        await desk.settle(one, "started")
    assert seen == [(old.id, "user-001"), (old.id, "user-002"), (new.id, "user-003")]
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    assert (await desk.waiting(single=True)).launch_id == alone.id
    assert await desk.ledger.invitations.next_waiting(["other"], single=True) is None


async def test_a_start_is_committed_with_its_credits_before_it_happens(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    desk.clock.advance(60)
    one = await desk.waiting()
    assert await desk.begin(one, cost=3, cap=5) == "sending"
    assert await desk.begin(one, cost=1, cap=5) == "gone"
    stored = await desk.get(one.id)
    assert (stored.state, stored.sending_since, stored.taken_at) == (
        InvitationState.SENDING,
        desk.now,
        desk.now,
    )
    assert await desk.begin(await desk.waiting(), cost=3, cap=5) == "held"
    assert await desk.left() == CAP - 3
    seen = await desk.find(launched.id)
    assert (seen.sending, seen.waiting, seen.left) == (1, 1, 2)
    assert await desk.left(at=NOW + DAY) == CAP, "another day has its own"
    await desk.counts_are_true()


async def test_nobody_is_sent_to_of_a_launch_that_stands_still(desk: Desk) -> None:
    paused = await desk.launch(*persons(1))
    one = await desk.waiting()
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW) == 1
    assert await desk.begin(one) == "gone"
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None
    await desk.ledger.launches.cancel(paused.id, NOW)
    assert await desk.begin(one) == "gone"
    assert await desk.left() == CAP
    await desk.counts_are_true()


async def test_what_a_person_was_handed(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    desk.clock.advance(2)
    await desk.ledger.invitations.started(
        desk.lease, one.id, handed(one, desk.now, complete_due=desk.now + DAY), desk.now
    )
    got = await desk.get(one.id)
    assert (got.state, got.sending_since, got.started_at, got.taken_at) == (
        InvitationState.STARTED,
        None,
        desk.now,
        desk.now,
    )
    assert (got.due, got.complete_due) == (desk.now + HOUR, desk.now + DAY)
    assert got.link == f"https://koji.example/{one.id}"
    assert await desk.ledger.attribution.of_interview("default", got.interview_id or "") == got
    assert await desk.ledger.attribution.of_interview("other", got.interview_id or "") is None
    seen = await desk.find(launched.id)
    assert (seen.status, seen.invited, seen.finished_at) == (LaunchStatus.FINISHED, 1, desk.now)
    assert await desk.left() == CAP - 3
    await desk.settle(one, "failed")
    assert await desk.get(one.id) == got, "only who is being sent to is settled"
    assert await desk.left() == CAP - 3


async def test_a_session_token_is_sealed_in_the_table(desk: Desk) -> None:
    await desk.launch(*persons(1, 2))
    one = await desk.send()
    await desk.settle(one, "started")
    other = await desk.send()
    await desk.ledger.invitations.started(
        desk.lease, other.id, handed(other, NOW, session_token=None, interview_id=None), NOW
    )
    rows = await desk.ledger.db.read(lambda c: c.execute(select(invitation)).all())
    assert not any("st_secret" in str(value) for row in rows for value in row)
    sealed = (await desk.get(one.id)).session_token
    assert sealed is not None
    assert desk.ledger.invitations.session_token(sealed) == "st_secret"
    assert (await desk.get(other.id)).session_token is None


async def test_a_start_that_did_not_happen_is_put_back_with_the_credits_of_its_day(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    began = desk.now
    one = await desk.send()
    desk.clock.advance(DAY / 1000)
    await desk.settle(one, "not_started")
    assert (await desk.left(at=began), await desk.left()) == (CAP, CAP)
    back = await desk.waiting()
    assert (back.id, back.sending_since, back.taken_at) == (one.id, None, began)
    assert (await desk.find(launched.id)).waiting == 2
    await desk.settle(one, "not_started")
    assert await desk.left() == CAP, "credits are given back once"
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.counts_are_true()


async def test_a_start_of_unknown_outcome_is_taken_and_paid(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "in_doubt")
    doubt = await desk.get(one.id)
    assert (doubt.state, doubt.words, doubt.sending_since, doubt.taken_at) == (
        InvitationState.IN_DOUBT,
        "Koji was cut.",
        None,
        NOW,
    )
    assert await desk.left() == CAP - 3
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.settle(one, "not_started")
    assert (await desk.get(one.id)).state is InvitationState.IN_DOUBT


async def test_whom_koji_refused_may_be_invited_again(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "failed")
    refused = await desk.get(one.id)
    assert (refused.state, refused.reason, refused.words, refused.taken_at) == (
        InvitationState.FAILED,
        "refused_by_koji",
        "No such locale.",
        None,
    )
    assert await desk.left() == CAP
    seen = await desk.find(launched.id)
    assert (seen.status, seen.failed, seen.to_invite) == (LaunchStatus.FINISHED, 1, 1)
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()


async def test_what_a_dead_owner_left_is_in_doubt(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    one = await desk.send()
    heir = await desk.ledger.leases.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    invitations = desk.ledger.invitations
    assert await invitations.recover(heir, ["other"], NOW + 30_001) == 0
    assert await invitations.recover(heir, NAMES, NOW + 30_001) == 1
    assert await invitations.recover(heir, NAMES, NOW + 30_001) == 0
    doubt = await desk.get(one.id)
    assert (doubt.state, doubt.sending_since, doubt.words) == (
        InvitationState.IN_DOUBT,
        None,
        "The connector stopped before Koji's answer.",
    )
    assert await desk.left() == CAP - 3
    seen = await desk.find(launched.id)
    assert (seen.in_doubt, seen.waiting, seen.sending) == (1, 1, 0)
    await desk.counts_are_true()


async def test_whoever_lost_the_lease_changes_nothing(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    plan = await desk.create()
    one, other = await desk.send(), await desk.waiting()
    heir = await desk.ledger.leases.acquire(LANE, "heir", NOW + 30_001, 30_000)
    assert heir is not None
    invitations, lost = desk.ledger.invitations, desk.lease
    choices = Selection(LaunchRules(CAP, None), NOW).take(
        desk.ledger.aliases.keyed("default", persons(9)), [()]
    )
    before = await desk.find(launched.id), await desk.find(plan.id), await desk.all_of(launched.id)
    tries: list[Callable[[], Awaitable[object]]] = [
        lambda: desk.begin(other),
        *(
            lambda outcome=outcome: desk.settle(one, outcome)
            for outcome in ("started", "not_started", "in_doubt", "failed")
        ),
        lambda: invitations.recover(lost, NAMES, NOW),
        lambda: invitations.polled(lost, one.id, None, NOW),
        lambda: invitations.completing(lost, one.id, NOW),
        lambda: desk.ledger.planning.begin_reading(lost, plan.id),
        lambda: desk.ledger.planning.add_choices(lost, plan.id, choices, choices, NOW),
        lambda: desk.ledger.planning.set_phase(lost, plan.id, Phase.POLL, due=NOW),
        lambda: desk.ledger.planning.end(lost, plan.id, NOW),
        lambda: desk.ledger.planning.end_unplanned(lost, plan.id, "cohort_empty", "Nobody.", NOW),
    ]
    for attempt in tries:
        with pytest.raises(Conflict):
            await attempt()
    assert before == (await desk.find(launched.id), await desk.find(plan.id), await desk.all_of(launched.id))
    assert await desk.left() == CAP - 3
    await desk.settle(one, "started", lease=heir)
    assert await desk.begin(other, lease=heir) == "sending"
    await desk.counts_are_true()


# calling off and going on


async def test_calling_off_frees_who_is_not_sent_to(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2, 3, 4))
    done = await desk.send()
    await desk.settle(done, "started")
    sending = await desk.send()
    called_off = await desk.ledger.launches.cancel(launched.id, NOW + 5)
    assert called_off is not None
    assert (called_off.status, called_off.cancelled, called_off.sending, called_off.waiting) == (
        LaunchStatus.CANCELLED,
        2,
        1,
        0,
    )
    assert called_off.finished_at == NOW + 5
    assert await desk.states(launched.id) == ["started", "sending", "cancelled", "cancelled"]
    await desk.settle(sending, "started")
    assert (await desk.find(launched.id)).invited == 2
    assert await desk.ledger.launches.cancel(launched.id, NOW + 9) == await desk.find(launched.id)
    assert (await desk.find(launched.id)).finished_at == NOW + 5
    assert (await desk.launch(*persons(1, 2, 3, 4))).waiting == 2
    assert await desk.ledger.launches.cancel("lau_unknown", NOW) is None
    await desk.counts_are_true()


async def test_a_start_that_did_not_happen_is_called_off_with_its_launch(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.launches.cancel(launched.id, NOW)
    await desk.settle(one, "not_started")
    seen = await desk.find(launched.id)
    assert (seen.waiting, seen.cancelled) == (0, 1), (
        "nobody ever starts who waits in a launch that was called off"
    )
    assert await desk.left() == CAP
    assert (await desk.launch(*persons(1))).waiting == 1
    await desk.counts_are_true()


async def test_a_plan_that_was_called_off_cannot_be_used(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2))
    await desk.ledger.launches.cancel(plan.id, NOW)
    used = await desk.ledger.planning.use_plan(plan.id, NOW)
    assert used is not None
    assert (used.status, used.cancelled) == (LaunchStatus.CANCELLED, 2)
    assert not await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 10)
    await desk.counts_are_true()


async def running(desk: Desk) -> int:
    """Count the running launches."""
    where = ListFilter(status="running")
    found = [await desk.ledger.launches.listed(name, where, limit=100, after=None) for name in NAMES]
    return sum(map(len, found))


async def test_calling_off_in_the_middle_of_the_second_look(desk: Desk) -> None:
    plan = await desk.plan(*persons(1, 2, 3))
    launches = desk.ledger.launches
    await desk.ledger.planning.use_plan(plan.id, NOW)
    assert await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 2)
    assert await desk.ledger.invitations.next_waiting(NAMES, single=False) is None, "nobody before all are"
    await launches.cancel(plan.id, NOW)
    assert not await desk.ledger.planning.activate(plan.id, LaunchRules(CAP, None), NOW, 2)
    assert (await desk.find(plan.id)).cancelled == 3
    assert (await desk.launch(*persons(1, 2, 3))).waiting == 3
    await desk.counts_are_true()


async def test_a_pause_holds_the_running_and_ends_one_by_one(desk: Desk) -> None:
    first, second = await desk.launch(*persons(1)), await desk.launch(*persons(2))
    plan = await desk.plan(*persons(3))
    assert await desk.ledger.launch_pauses.pause(["other"], "koji_key", NOW) == 0
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_credits", NOW) == 2
    assert await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW) == 0
    assert (await desk.find(plan.id)).status is LaunchStatus.PLANNED
    assert await running(desk) == 0
    resumed = await desk.ledger.launches.resume(first.id, None, NOW)
    assert resumed is not None
    assert (resumed.status, resumed.pause_reason) == (LaunchStatus.RUNNING, None)
    assert (await desk.find(second.id)).pause_reason == "koji_credits"
    assert await running(desk) == 1
    assert await desk.ledger.launches.resume("lau_unknown", None, NOW) is None


async def test_a_pause_ends_when_the_last_one_is_settled(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)
    await desk.settle(one, "started")
    seen = await desk.find(launched.id)
    assert (seen.status, seen.pause_reason) == (LaunchStatus.FINISHED, None)


async def doubtful(desk: Desk, *numbers: int) -> tuple[Launch, Invitation]:
    launched = await desk.launch(*persons(*numbers))
    one = await desk.send()
    await desk.settle(one, "in_doubt")
    return launched, one


async def test_trying_a_doubtful_start_again(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1)
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    unchanged = await desk.ledger.launches.resume(launched.id, None, NOW)
    assert unchanged is not None
    assert (unchanged.status, unchanged.in_doubt) == (LaunchStatus.FINISHED, 1)
    again = await desk.ledger.launches.resume(launched.id, "retry", NOW + DAY)
    assert again is not None
    assert (again.status, again.in_doubt, again.waiting, again.finished_at) == (
        LaunchStatus.RUNNING,
        0,
        1,
        None,
    )
    waiting = await desk.waiting()
    assert (waiting.id, waiting.words, waiting.taken_at) == (one.id, None, NOW + DAY)
    await desk.start_all()
    assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
    await desk.counts_are_true()


async def test_giving_up_a_doubtful_start(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1, 2)
    await desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)
    given_up = await desk.ledger.launches.resume(launched.id, "give_up", NOW)
    assert given_up is not None
    assert (given_up.status, given_up.failed, given_up.in_doubt) == (LaunchStatus.RUNNING, 1, 0)
    lost = await desk.get(one.id)
    assert (lost.state, lost.reason) == (InvitationState.FAILED, "outcome_unknown")
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}, "still taken"
    await desk.came_back(one, "int-1", over=False)
    back = await desk.get(one.id)
    assert (back.state, back.reason, back.words) == (InvitationState.STARTED, None, None)
    await desk.counts_are_true()


async def test_doubtful_starts_of_a_launch_that_was_called_off_are_not_tried_again(desk: Desk) -> None:
    launched, _ = await doubtful(desk, 1, 2)
    await desk.ledger.launches.cancel(launched.id, NOW)
    seen = await desk.ledger.launches.resume(launched.id, "retry", NOW)
    assert seen is not None
    assert (seen.status, seen.in_doubt, seen.cancelled) == (LaunchStatus.CANCELLED, 1, 1)
    seen = await desk.ledger.launches.resume(launched.id, "give_up", NOW)
    assert seen is not None
    assert (seen.status, seen.failed) == (LaunchStatus.CANCELLED, 1)
    await desk.counts_are_true()


# what comes back, what stays silent, and what is forgotten


async def test_an_interview_that_comes_back_belongs_to_its_invitation(desk: Desk) -> None:
    states = ("started", "in_doubt", "failed", "sending", "waiting", "expired")
    for number, (before, over) in enumerate(product(states, (True, False))):
        launched = await desk.launch(*persons(number))
        one = await desk.waiting()
        if before != "waiting":
            assert await desk.begin(one) == "sending"
        if before == "expired":
            await desk.settle(one, "started")
            await desk.ledger.invitations.polled(desk.lease, one.id, None, desk.now)
        elif before not in {"waiting", "sending"}:
            await desk.settle(one, before)
        await desk.came_back(one, f"int-back-{number}", over=over)
        back = await desk.get(one.id)
        assert (str(back.state), back.interview_id, back.due, back.reason) == (
            "completed" if over else "started",
            f"int-back-{number}",
            None,
            None,
        ), before
        assert back.taken_at is not None
        assert (await desk.launch(*persons(number))).skipped == {"already_invited": 1}
        assert (await desk.find(launched.id)).status is LaunchStatus.FINISHED
        await desk.counts_are_true()


async def test_an_answer_to_the_start_that_comes_after_the_interview_changes_little(desk: Desk) -> None:
    launched = await desk.launch(*persons(1))
    one = await desk.send()
    await desk.came_back(one, "int-back")
    await desk.settle(one, "started")
    back = await desk.get(one.id)
    assert (back.state, back.interview_id, back.session_token, back.due) == (
        InvitationState.COMPLETED,
        "int-back",
        None,
        None,
    )
    assert (back.link, back.sending_since) == (f"https://koji.example/{one.id}", None)
    assert (await desk.find(launched.id)).completed == 1
    assert await desk.ledger.invitations.recover(desk.lease, NAMES, NOW) == 0
    await desk.counts_are_true()


async def test_a_start_whose_interview_came_back_first_is_settled_by_any_answer(desk: Desk) -> None:
    for number, outcome in enumerate(("in_doubt", "not_started", "failed")):
        await desk.launch(*persons(number))
        one = await desk.send()
        await desk.came_back(one, f"int-back-{number}")
        await desk.settle(one, outcome)
        assert (await desk.get(one.id)).state is InvitationState.COMPLETED
        assert await desk.ledger.invitations.recover(desk.lease, NAMES, NOW) == 0, outcome
    await desk.counts_are_true()


async def test_a_started_interview_that_another_replaced_is_neither_read_nor_ended(desk: Desk) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.ledger.invitations.started(desk.lease, one.id, handed(one, NOW, complete_due=NOW + HOUR), NOW)
    await desk.came_back(one, "another", over=False)
    back = await desk.get(one.id)
    assert (back.state, back.interview_id, back.session_token) == (InvitationState.STARTED, "another", None)
    assert await desk.ledger.invitations.next_due(NAMES) is None
    await desk.came_back(one, "another", over=True)
    await desk.came_back(one, "another", over=False)
    assert (await desk.get(one.id)).state is InvitationState.COMPLETED
    await desk.counts_are_true()


async def test_an_interview_of_another_connection_or_of_a_strangers_id_binds_nothing(desk: Desk) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "started")
    facts = Interview("int-x", external_id=one.id, invitee="somebody", over=True)
    sync = a_sync("int-x", facts=facts, stage=None, connection="other")
    await desk.ledger.syncs.revise([("other", "int-x")], lambda _: [sync])
    assert (await desk.get(one.id)).state is InvitationState.STARTED
    assert await desk.ledger.attribution.invited("other", [one.id]) == {}
    ours = await desk.ledger.attribution.invited("default", [one.id, "inv_x", "somebody"])
    assert {name: whom.invitee for name, whom in ours.items()} == {one.id: "user-001"}


async def test_what_links_an_anonymous_interview_to_a_person_goes_and_the_person_stays_taken(
    desk: Desk,
) -> None:
    await desk.launch(*persons(1))
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.came_back(one, "int-back")
    desk.clock.advance(3600)
    await desk.came_back(one, "int-back", anonymous=True)
    left = await desk.get(one.id)
    assert (left.interview_id, left.link, left.session_token, left.updated_at % DAY) == (None, None, None, 0)
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.counts_are_true()


async def test_silent_interviews_are_due_until_they_expire_and_a_late_answer_revives_them(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2))
    first, second = await desk.send(), None
    await desk.settle(first, "started")
    desk.clock.advance(1)
    second = await desk.send()
    await desk.ledger.invitations.started(
        desk.lease, second.id, handed(second, desk.now, complete_due=desk.now), desk.now
    )
    invitations = desk.ledger.invitations
    assert await invitations.next_due(NAMES) == desk.now
    assert await invitations.due(NAMES, desk.now, complete=False) is None
    ending = await invitations.due(NAMES, desk.now, complete=True)
    assert ending is not None
    assert ending.id == second.id
    await invitations.completing(desk.lease, second.id, None)
    assert await invitations.next_due(NAMES) == NOW + HOUR
    silent = await invitations.due(NAMES, NOW + HOUR, complete=False)
    assert silent is not None
    assert silent.id == first.id
    await invitations.polled(desk.lease, first.id, NOW + DAY, desk.now)
    assert ((await desk.get(first.id)).polls, (await desk.get(first.id)).due) == (1, NOW + DAY)
    await invitations.polled(desk.lease, first.id, None, desk.now)
    await invitations.polled(desk.lease, first.id, None, desk.now)
    gone = await desk.get(first.id)
    assert (gone.state, gone.due, gone.complete_due) == (InvitationState.EXPIRED, None, None)
    seen = await desk.find(launched.id)
    assert (seen.expired, seen.started, seen.invited) == (1, 1, 2)
    assert (await desk.launch(*persons(1))).skipped == {"already_invited": 1}
    await desk.came_back(first, "int-late")
    await invitations.polled(desk.lease, first.id, None, desk.now)
    assert (await desk.get(first.id)).state is InvitationState.COMPLETED
    await desk.counts_are_true()


async def test_pruning_removes_names_and_keeps_nobody_invitable_twice(desk: Desk) -> None:
    launched = await desk.launch(*persons(1, 2, 3, 4, 5), who(), *persons(1))
    for outcome in ("started", "in_doubt", "failed", "started"):
        await desk.settle(await desk.send(), outcome)
    done = (await desk.all_of(launched.id))[3]
    await desk.came_back(done, "int-back")
    later = NOW + 91 * DAY
    desk.clock.advance(91 * DAY / 1000)
    await desk.ledger.retention.prune(NOW + 1, later)
    left = await desk.all_of(launched.id)
    assert [(str(one.state), one.user_id, one.email, one.link, one.session_token) for one in left[:4]] == [
        (state, None, None, None, None) for state in ("started", "in_doubt", "failed", "completed")
    ]
    assert (left[4].state, left[4].email) == (InvitationState.WAITING, "person-005@example.com")
    assert (await desk.find(launched.id)).examples == ()
    assert await desk.ledger.attribution.invited("default", [left[0].id]) == {}
    again = await desk.launch(*persons(1, 2, 3, 4, 5))
    assert (again.waiting, again.skipped) == (1, {"already_invited": 4})
    assert [one.user_id for one in await desk.all_of(again.id)] == ["user-003"]
    assert await desk.ledger.retention.prune(NOW + 1, later) == 0
    await desk.counts_are_true()


async def test_downloads_are_counted_for_a_month(desk: Desk) -> None:
    launches = desk.ledger.launches
    for at in (NOW - 33 * DAY, NOW - DAY, NOW):
        await launches.note_download("amplitude:1", at)
    await launches.note_download("amplitude:2", NOW)
    assert await launches.downloads("amplitude:1", NOW - 40 * DAY) == [NOW - DAY, NOW]
    assert await launches.downloads("amplitude:1", NOW) == [NOW]


async def test_a_doubtful_start_of_whom_nothing_is_known_any_more_is_not_tried_again(desk: Desk) -> None:
    launched, one = await doubtful(desk, 1)
    await desk.ledger.retention.prune(NOW + 1, NOW + 91 * DAY)
    seen = await desk.ledger.launches.resume(launched.id, "retry", NOW + 91 * DAY)
    assert seen is not None
    assert (seen.in_doubt, seen.waiting) == (1, 0), "a link for nobody would be paid"
    seen = await desk.ledger.launches.resume(launched.id, "give_up", NOW + 91 * DAY)
    assert seen is not None
    assert (seen.failed, (await desk.get(one.id)).reason) == (1, "outcome_unknown")


# everything together


async def test_the_counts_are_true_when_two_processes_change_launches_at_once(
    desk: Desk, other_ledger: Ledger
) -> None:
    chance = random.Random(4)
    other = replace(desk, ledger=other_ledger)
    launched = [await desk.launch(*persons(*range(at, at + 15))) for at in range(0, 60, 15)]
    over = asyncio.Event()

    async def start() -> None:
        while (one := await desk.ledger.invitations.next_waiting(NAMES, single=False)) or not over.is_set():
            if one is not None and await desk.begin(one) == "sending":
                outcome = chance.choice(
                    ["started", "started", "started", "not_started", "in_doubt", "failed"]
                )
                await desk.settle(one, outcome)
            await asyncio.sleep(0)

    async def meddle() -> None:
        for number in range(40):
            one = chance.choice(launched)
            match number % 4:
                case 0:
                    await other_ledger.launch_pauses.pause(NAMES, "koji_key", NOW)
                case 1 | 2:
                    await other_ledger.launches.resume(one.id, chance.choice([None, "retry", "give_up"]), NOW)
                case _ if number > 30:
                    await other_ledger.launches.cancel(one.id, NOW)
        for one in launched:
            await other_ledger.launches.resume(one.id, None, NOW)

    async def come_back() -> None:
        for number in range(40):
            found = await desk.all_of(chance.choice(launched).id)
            one = chance.choice([one for one in found if one.state != "cancelled"] or found)
            await other.came_back(one, f"int-{number}", over=number % 2 == 0)

    async def act() -> None:
        await asyncio.gather(meddle(), come_back())
        over.set()

    await asyncio.gather(start(), act())
    await desk.counts_are_true()
    assert {(await desk.find(one.id)).status for one in launched} <= {
        LaunchStatus.FINISHED,
        LaunchStatus.CANCELLED,
    }


class Walk:
    """Everything that can happen to launches, in any order; after each step the ledger must be in order."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.chance = random.Random(seed)
        self.did: list[str] = []
        self.interviews = 0
        self.spent = 0
        self.steps: dict[Callable[[], Awaitable[None]], int] = {
            self.plan: 6,
            self.use: 4,
            self.activate: 10,
            self.begin: 20,
            self.settle: 20,
            self.comes_back: 6,
            self.silent: 4,
            self.cancel: 2,
            self.resume: 5,
            self.pause: 2,
            self.crash: 2,
            self.prune: 1,
            self.tidy: 1,
            self.time: 4,
        }

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            [step] = self.chance.choices(list(self.steps), list(self.steps.values()))
            self.did.append(step.__name__)
            try:
                await step()
                await self.is_in_order()
            except (AssertionError, Conflict):
                print("after", " ".join(self.did))
                raise

    async def is_in_order(self) -> None:
        desk = self.desk
        await desk.counts_are_true()
        rows = await desk.ledger.db.read(lambda c: c.execute(select(invitation)).all())
        taken = Counter(row.person for row in rows if row.taken_at is not None)
        assert set(taken.values()) <= {1}, "somebody is invited twice"
        for row in rows:
            assert (row.state == "sending") <= (row.sending_since is not None)
            assert (row.state in {"planned", "cancelled"}) <= (row.taken_at is None)
            assert (row.state not in {"planned", "cancelled", "failed"}) <= (row.taken_at is not None)
            assert (row.due is not None) <= (row.state == "started")
        spent = await desk.ledger.db.read(lambda c: c.execute(select(credit.c.n)).scalars().all())
        assert sum(spent) == self.spent
        assert min(spent, default=0) >= 0

    async def any_launch(self, *statuses: LaunchStatus) -> Launch | None:
        found = [await self.desk.find(one) for one in await self.known()]
        fitting = [one for one in found if not statuses or one.status in statuses]
        return self.chance.choice(fitting) if fitting else None

    async def known(self) -> list[str]:
        ids = await self.desk.ledger.db.read(lambda c: c.execute(select(launch.c.id)).scalars().all())
        return sorted(ids)

    async def any_invitation(self, *states: str) -> Invitation | None:
        ids = await self.desk.ledger.db.read(
            lambda c: c.execute(select(invitation.c.id).where(invitation.c.state.in_(states))).scalars().all()
        )
        return await self.desk.get(self.chance.choice(sorted(ids))) if ids else None

    def someone(self) -> Member:
        number = self.chance.randrange(40)
        email = f"person-{number:03}@example.com"
        written = self.chance.choice([email, email.upper(), f" {email}"])
        return who(written, self.chance.choice([None, f"user-{number:03}"]))

    async def plan(self) -> None:
        goes_on = self.chance.random() < 0.6
        people = [self.someone() for _ in range(self.chance.randint(1, 9))]
        limit = self.chance.choice([2, 5, CAP])
        await self.desk.decide(people[:3], people[3:], goes_on=goes_on, limit=limit)

    async def use(self) -> None:
        if one := await self.any_launch(LaunchStatus.PLANNED):
            await self.desk.ledger.planning.use_plan(one.id, self.desk.now)

    async def activate(self) -> None:
        if one := await self.any_launch(LaunchStatus.PLANNING):
            rules = planning.rules_of(self.desk.ctx, one)
            await self.desk.ledger.planning.activate(
                one.id, rules, self.desk.now, self.chance.choice([2, 50])
            )

    async def begin(self) -> None:
        if one := await self.desk.ledger.invitations.next_waiting(NAMES, single=False):
            assert await self.desk.begin(one, cap=10 * CAP) == "sending"
            self.spent += 3

    async def settle(self) -> None:
        outcome = self.chance.choice(["started", "started", "started", "not_started", "in_doubt", "failed"])
        if one := await self.any_invitation("sending"):
            await self.desk.settle(one, outcome)
            self.spent -= 3 * (outcome in {"not_started", "failed"})

    async def comes_back(self) -> None:
        if one := await self.any_invitation(
            "sending", "started", "in_doubt", "expired", "completed", "failed", "waiting"
        ):
            self.interviews += 1
            again = self.chance.random() < 0.3 and one.interview_id
            interview_id = again or f"int-{self.interviews}"
            over = self.chance.random() < 0.6
            if one.state is InvitationState.FAILED and one.taken_at is None:
                return  # somebody else may have been invited in their place
            await self.desk.came_back(one, interview_id, over=over)
            if self.chance.random() < 0.2:
                await self.desk.came_back(one, interview_id, anonymous=True)

    async def silent(self) -> None:
        if one := await self.any_invitation("started", "completed", "waiting"):
            due = self.chance.choice([None, self.desk.now + HOUR])
            if one.due is not None or due is None:
                await self.desk.ledger.invitations.polled(self.desk.lease, one.id, due, self.desk.now)
            await self.desk.ledger.invitations.completing(self.desk.lease, one.id, None)

    async def cancel(self) -> None:
        if one := await self.any_launch():
            await self.desk.ledger.launches.cancel(one.id, self.desk.now)

    async def resume(self) -> None:
        if one := await self.any_launch():
            how = self.chance.choice([None, "retry", "give_up"])
            await self.desk.ledger.launches.resume(one.id, how, self.desk.now)

    async def pause(self) -> None:
        await self.desk.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)

    async def crash(self) -> None:
        """Let another process take the lane; what this one still says is refused."""
        before = self.desk.lease
        self.desk.clock.advance(31)
        heir = await self.desk.ledger.leases.acquire(LANE, "heir", self.desk.now, 30_000)
        assert heir is not None
        if one := await self.any_invitation("sending"):
            with pytest.raises(Conflict):
                await self.desk.settle(one, "started", lease=before)
        self.desk.lease = heir
        await self.desk.ledger.invitations.recover(heir, NAMES, self.desk.now)
        assert await self.any_invitation("sending") is None

    async def prune(self) -> None:
        await self.desk.ledger.retention.prune(self.desk.now - DAY, self.desk.now)

    async def tidy(self) -> None:
        await self.desk.ledger.planning.delete_unused(self.desk.now - HOUR)

    async def time(self) -> None:
        self.desk.clock.advance(self.chance.choice([1, 60, 3600, 40_000]))


@pytest.mark.parametrize("seed", range(2))
async def test_the_counts_are_true_whatever_happens(desk: Desk, seed: int) -> None:
    await Walk(desk, seed).run(250)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 110))
async def test_the_counts_are_true_whatever_happens_for_long(desk: Desk, seed: int) -> None:
    await Walk(desk, seed).run(600)
