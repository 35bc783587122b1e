"""A ledger worked as operations and workers work it, for tests of launches and of erasure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from connector.context import Context
from connector.domain.launches.cohort_message import chunks_of
from connector.domain.launches.credits import Spending
from connector.domain.launches.launch import (
    Invitation,
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
    Phase,
    StartResult,
)
from connector.domain.launches.sample import Method
from connector.domain.lease import Lease
from connector.domain.people.same_person import Member, member
from connector.domain.results.interview import Interview
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.db.schema.results import sync
from connector.ledger.launches.launch_row import load_launch
from connector.ledger.ledger import Ledger
from connector.service import planning
from tests.support.fakes import ManualClock, a_sync

LANE = "koji:1"
HOUR = 3_600_000
DAY = 24 * HOUR
CAP = 1_000
NAMES = ["default"]
EVERY = tuple(InvitationState)
COUNTED = [str(state) for state in EVERY if state is not InvitationState.HOLDOUT]


def who(email: str | None = None, user: str | None = None) -> Member:
    return member(user, email, None)


def persons(*numbers: int) -> list[Member]:
    return [who(f"person-{n:03}@example.com", f"user-{n:03}") for n in numbers]


@dataclass
class Desk:
    """A ledger worked through its ports, as operations and workers work it."""

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
        sample: Method = "first",
        seed: str | None = None,
    ) -> Launch:
        one = Launch(
            id=f"lau_{len(self.made):03}",
            connection="default",
            status=LaunchStatus.PLANNING,
            created_at=self.now,
            options=LaunchOptions(
                max_interviews=limit, reinvite_after_days=days, sample=sample, sample_seed=seed
            ),
            goes_on=goes_on,
            phase=Phase.READ,
            phase_due=self.now,
            single=single,
        )
        await self.ledger.planning.create(one, [text for some in source for text in chunks_of(some)])
        self.made.append(one.id)
        return one

    async def decide(self, *chunks: Sequence[Member], **told: Any) -> Launch:
        one = await self.create(**told)
        return await self.decide_over(one, *chunks)

    async def decide_over(self, one: Launch, *chunks: Sequence[Member]) -> Launch:
        decided = await planning.decide(self.ctx, one, planning.chunks_of(chunks))
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
            lease or self.lease, one, Spending(LANE, cost, cap), self.now
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
                await invitations.not_started(lease, one.id, Spending(LANE, cost, CAP), self.now)
            case "in_doubt":
                await invitations.in_doubt(lease, one.id, "Koji was cut.", self.now)
            case _:
                await invitations.failed(
                    lease,
                    one.id,
                    "refused_by_koji",
                    "No such locale.",
                    Spending(LANE, cost, CAP),
                    self.now,
                )

    async def start_all(self) -> None:
        while one := await self.ledger.invitations.next_waiting(NAMES, single=False):
            assert await self.begin(one) == "sending"
            await self.settle(one, "started")

    async def came_back(
        self, one: Invitation, interview_id: str, *, over: bool = True, anonymous: bool = False
    ) -> None:
        """Let an interview come in with our external id, as intake and reads do."""
        facts = Interview(interview_id, external_id=one.id, invitee=one.email, has_ended=over)
        sync = a_sync(interview_id, facts=facts, stage=None, updated_at=self.now)
        if anonymous:
            facts = facts._replace(anonymous=True).without_respondent()
            sync = sync._replace(facts=facts, reason="anonymous", user_id=None, user_hash=None)
        await self.ledger.syncs.revise([("default", interview_id)], lambda *_: [sync])

    async def left(self, *, at: int | None = None) -> int:
        return await self.ledger.invitations.credits_left(LANE, CAP, self.now if at is None else at)

    async def counts_are_true(self) -> None:
        await counts_are_true(self.ledger)


async def counts_are_true(ledger: Ledger) -> None:
    """Compare what launches say of themselves with the rows of the table."""
    rows = await ledger.db.read(
        lambda c: c.execute(
            select(invitation.c.launch_id, invitation.c.state, func.count())
            .where(invitation.c.state != InvitationState.HOLDOUT)
            .group_by(invitation.c.launch_id, invitation.c.state)
        ).all()
    )
    counted: dict[str, Counter[str]] = {}
    for launch_id, state, n in rows:
        counted.setdefault(launch_id, Counter())[state] = n
    for one in await ledger.db.read(lambda c: c.execute(select(launch)).all()):
        seen = load_launch(one)
        found = counted.pop(one.id, Counter())
        assert {name: getattr(seen, name) for name in COUNTED} == {name: found[name] for name in COUNTED}, (
            seen
        )
        assert seen.to_invite == found.total()
        assert seen.members_total == seen.to_invite + sum(seen.skipped.values()), seen
        match seen.status:
            case LaunchStatus.RUNNING | LaunchStatus.PAUSED if not seen.standing:
                assert seen.left > 0, seen
            case LaunchStatus.FINISHED:
                assert seen.left == 0, seen
            case LaunchStatus.CANCELLED:
                assert seen.waiting == 0, seen
    assert counted == {}, "invitations of no launch"


async def totals_are_true(ledger: Ledger, connections: Iterable[str]) -> None:
    """Compare the counters of interviews with the rows."""
    rows = await ledger.db.read(
        lambda c: c.execute(
            select(sync.c.connection, sync.c.status, sync.c.reason, func.count()).group_by(
                sync.c.connection, sync.c.status, sync.c.reason
            )
        ).all()
    )
    for name in {row[0] for row in rows} | set(connections):
        counted = {(row[1], row[2] or ""): row[3] for row in rows if row[0] == name}
        assert await ledger.counters.totals(name) == counted


def handed(one: Invitation, now: int, **told: Any) -> StartResult:
    values: dict[str, Any] = {
        "interview_id": f"int-{one.id[4:12]}",
        "link": f"https://koji.example/{one.id}",
        "session_token": "st_secret",
        "due": now + HOUR,
        "complete_due": None,
    }
    return StartResult(**(values | told))
