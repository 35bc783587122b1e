"""A launch's counts are those of its rows, whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from connector.domain.launches.launch import Invitation, InvitationState, Launch, LaunchStatus
from connector.domain.people.same_person import Member
from connector.errors import Conflict
from connector.ledger.db.schema.launches import credit, invitation, launch
from connector.ledger.ledger import Ledger
from connector.service import planning
from tests.ledger.desk import CAP, DAY, HOUR, LANE, NAMES, Desk, persons, who
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


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
        await self.desk.ledger.retention.delete_unused_plans(self.desk.now)

    async def time(self) -> None:
        self.desk.clock.advance(self.chance.choice([1, 60, 3600, 40_000]))


async def test_the_counts_are_true_whatever_happens(desk: Desk) -> None:
    await Walk(desk, 0).run(250)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 110))
async def test_the_counts_are_true_whatever_happens_for_long(desk: Desk, seed: int) -> None:
    await Walk(desk, seed).run(600)
