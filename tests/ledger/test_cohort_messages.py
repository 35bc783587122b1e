"""Messages of the cohort webhook in the ledger: kept once, decided over, and known to an older database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from connector.domain.launches.cohort_message import CohortMessage, chunks_of
from connector.domain.launches.credits import Spending, day_of
from connector.domain.launches.eligibility import UNLIMITED, LaunchRules, Selection
from connector.domain.launches.launch import RESTORED, InvitationState, Launch, LaunchOptions, LaunchStatus
from connector.domain.lease import Lease
from connector.domain.people.erasure import ErasureRules as ForgettingRules
from connector.domain.people.same_person import Member
from connector.domain.results.sync import ListFilter
from connector.errors import Conflict
from connector.ledger.db.schema.launches import cohort_mention
from connector.ledger.ledger import Ledger
from connector.workers.launches.cohort_webhook import CohortWebhookWorker
from tests.ledger.desk import Desk

pytestmark = pytest.mark.contract

NOW = 1_790_000_000_000
OPTIONS = LaunchOptions(max_interviews=100)
EVERY = tuple(InvitationState)


def a_message(number: int, *, in_cohort: bool = True, at: int = NOW, received_at: int = NOW) -> CohortMessage:
    return CohortMessage(
        0, "default", f"message-{number}", "c-1", "Cohort", in_cohort, computed_at=at, received_at=received_at
    )


def people(*numbers: int) -> list[Member]:
    return [Member(f"user-{n}", f"person-{n}@example.com", None) for n in numbers]


async def a_lease(ledger: Ledger) -> Lease:
    lease = await ledger.leases.acquire("cohorts", "me", NOW, 60_000)
    assert lease is not None
    return lease


async def stored(ledger: Ledger, message: CohortMessage, members: Sequence[Member]) -> CohortMessage:
    assert await ledger.cohort_inbox.accept(message, chunks_of(members))
    found = await ledger.cohort_inbox.next_open(["default"])
    assert found is not None
    return found


async def decide(
    ledger: Ledger, lease: Lease, message: CohortMessage, *, above: int = 25, now: int = NOW
) -> None:
    """Decide over a whole message as the lane does."""
    messages, people = ledger.cohort_inbox, ledger.cohort_members
    while (chunk := await messages.chunk(message)) is not None:
        keyed = ledger.aliases.keyed("default", chunk[1])
        gone = await messages.overtaken(message, keyed)
        keyed = [one for one in keyed if one[1][0] not in gone]
        if message.in_cohort:
            history = await ledger.aliases.history(keyed)
            choices, _ = Selection(LaunchRules(10**9, None), now).take(keyed, history)
            await people.invite(lease, message, chunk[0], choices, choices, OPTIONS, now)
        else:
            await people.dismiss(lease, message, chunk[0], keyed, now)
    await people.decided(lease, message, above, now)
    again = await messages.next_open(["default"])
    while again is not None and again.stage == "activating":
        if not await people.activate(lease, again, UNLIMITED, now, 2):
            break


async def the_launch(ledger: Ledger) -> Launch:
    (found,) = await ledger.launches.listed("default", ListFilter(), limit=10, after=None)
    return found


async def told_of(ledger: Ledger) -> set[int]:
    """Return the keys of whom a cohort's messages told of."""
    return set(await ledger.db.read(lambda c: c.execute(select(cohort_mention.c.key)).scalars().all()))


async def forget(ledger: Ledger, *, user_id: str | None = None, email: str | None = None) -> None:
    await ledger.erasures.begin(
        "run-1", "default", Member(user_id, email, None), ForgettingRules(False, False, 5), NOW
    )


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("whom", [{"user_id": "user-1"}, {"email": "person-1@example.com"}])
async def test_forgetting_a_person_removes_when_cohorts_told_of_them(
    ledger: Ledger, whom: dict[str, str], entered: bool
) -> None:
    """By whichever alias, whether the last message let them in or out."""
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1), people(1, 2)))
    other = a_message(2)._replace(cohort_id="c-2")
    await decide(ledger, lease, await stored(ledger, other, people(1, 2)))
    if not entered:
        await decide(
            ledger, lease, await stored(ledger, a_message(3, in_cohort=False, at=NOW + 1), people(1, 2))
        )
    keys = {keys[0] for _, keys in ledger.aliases.keyed("default", people(1, 2))}
    assert await told_of(ledger) == keys
    await forget(ledger, **whom)
    ((_, left),) = ledger.aliases.keyed("default", people(2))
    assert await told_of(ledger) == {left[0]}
    await decide(ledger, lease, await stored(ledger, a_message(4, at=NOW + 2), people(1, 2)))
    assert await told_of(ledger) == {left[0]}, "what comes later tells nothing of them either"


async def test_somebody_who_left_unknown_is_forgotten_by_each_alias_that_was_told(ledger: Ledger) -> None:
    """Nobody was invited, so that no alias leads to another: the message itself is what joined them."""
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1, in_cohort=False), people(1, 2)))
    await forget(ledger, user_id="user-1", email="person-1@example.com")
    ((_, left),) = ledger.aliases.keyed("default", people(2))
    assert await told_of(ledger) == {left[0]}


async def test_a_message_is_kept_once_for_each_connection(ledger: Ledger) -> None:
    chunks = chunks_of(people(1))
    assert await ledger.cohort_inbox.accept(a_message(1), chunks)
    assert not await ledger.cohort_inbox.accept(a_message(1), chunks)
    assert await ledger.cohort_inbox.accept(a_message(1)._replace(connection="shop"), chunks)


async def test_the_earlier_computed_message_is_next_and_a_begun_one_before_all(ledger: Ledger) -> None:
    await ledger.cohort_inbox.accept(a_message(1, at=NOW + 5), chunks_of(people(1)))
    first = await stored(ledger, a_message(2, at=NOW), people(2))
    assert first.computed_at == NOW
    lease = await a_lease(ledger)
    await ledger.cohort_members.dismiss(lease, first, 0, [], NOW)
    await ledger.cohort_inbox.accept(a_message(3, at=NOW - 5), chunks_of(people(3)))
    begun = await ledger.cohort_inbox.next_open(["default"])
    assert begun is not None
    assert begun.id == first.id


async def test_people_wait_counted_or_held_and_resuming_approves_them(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1), people(1, 2, 3)), above=3)
    one = await the_launch(ledger)
    assert (one.status, one.waiting, one.standing, one.members_total) == (LaunchStatus.RUNNING, 3, True, 3)
    await decide(ledger, lease, await stored(ledger, a_message(2, at=NOW + 1), people(4)), above=3)
    one = await the_launch(ledger)
    assert (one.status, one.pause_reason, one.waiting) == (LaunchStatus.PAUSED, "approval", 4)
    resumed = await ledger.launches.resume(one.id, None, NOW)
    assert resumed is not None
    assert (resumed.status, resumed.pause_reason) == (LaunchStatus.RUNNING, None)
    await decide(ledger, lease, await stored(ledger, a_message(3, at=NOW + 2), people(5, 6, 7)), above=3)
    one = await the_launch(ledger)
    assert (one.status, one.waiting) == (LaunchStatus.RUNNING, 7), "whoever was approved is not counted"


async def test_a_restored_launch_stays_one_until_a_person_looked(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1), people(1)), above=3)
    await ledger.launch_pauses.pause_one(None, (await the_launch(ledger)).id, RESTORED, NOW)
    await decide(ledger, lease, await stored(ledger, a_message(2, at=NOW + 1), people(2, 3, 4, 5)), above=3)
    one = await the_launch(ledger)
    assert (one.status, one.pause_reason, one.waiting) == (LaunchStatus.PAUSED, "restored", 5)
    resumed = await ledger.launches.resume(one.id, None, NOW)
    assert resumed is not None
    assert (resumed.status, resumed.waiting) == (LaunchStatus.RUNNING, 5)


async def test_whoever_left_later_is_not_invited_by_what_was_computed_before(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    left = await stored(ledger, a_message(1, in_cohort=False, at=NOW + 9), people(1))
    await decide(ledger, lease, left)
    await decide(ledger, lease, await stored(ledger, a_message(2), people(1, 2)))
    one = await the_launch(ledger)
    assert (one.members_total, one.waiting) == (1, 1)
    await decide(ledger, lease, await stored(ledger, a_message(3, in_cohort=False, at=NOW + 1), people(2)))
    one = await the_launch(ledger)
    assert (one.waiting, one.cancelled, one.status) == (0, 1, LaunchStatus.RUNNING)


async def test_so_many_start_in_a_day(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1), people(1, 2, 3)))
    launch = await the_launch(ledger)
    outcomes = []
    for now in (NOW, NOW, NOW, NOW + 86_400_000):
        one = await ledger.invitations.next_waiting(["default"], single=False)
        assert one is not None
        begun = await ledger.invitations.begin_start(lease, one, Spending("k", 1, 99, 2), now)
        outcomes.append(begun)
        if len(outcomes) == 1:  # what surely did not happen takes nobody's place
            await ledger.invitations.not_started(lease, one.id, Spending("k", 1, 99, 2), now)
            assert await ledger.invitations.credits_left(f"launch:{launch.id}", 2, now) == 2
    assert outcomes == ["sending", "sending", "sending", "sending"]
    assert day_of(NOW) != day_of(NOW + 86_400_000)
    assert (
        await ledger.invitations.next_waiting(["default"], single=False, except_launches=[launch.id]) is None
    )


async def test_a_launch_that_is_full_starts_nobody(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    await decide(ledger, lease, await stored(ledger, a_message(1), people(1)))
    one = await ledger.invitations.next_waiting(["default"], single=False)
    assert one is not None
    begun = await ledger.invitations.begin_start(lease, one, Spending("k", 1, 99, 0), NOW)
    assert begun == "full"
    assert (await the_launch(ledger)).waiting == 1


async def test_whoever_lost_the_lease_decides_nothing(ledger: Ledger) -> None:
    lease = await a_lease(ledger)
    message = await stored(ledger, a_message(1), people(1))
    assert await ledger.leases.acquire("cohorts", "other", NOW + 120_000, 60_000) is not None
    with pytest.raises(Conflict):
        await decide(ledger, lease, message)
    assert await ledger.launches.listed("default", ListFilter(), limit=10, after=None) == []


async def test_nobody_is_lost_whose_decision_was_not_stored(ledger: Ledger, desk: Desk) -> None:
    """An owner that overslept decides again once it holds the lane again."""
    worker = CohortWebhookWorker(desk.ctx)
    overslept = await ledger.leases.acquire(worker.name, "me", NOW, 1)
    other = await ledger.leases.acquire(worker.name, "other", NOW + 2, 1)
    assert overslept is not None
    assert other is not None
    await stored(ledger, a_message(1), people(1, 2, 3))
    with pytest.raises(Conflict):
        await worker.drain(overslept)
    lease = await ledger.leases.acquire(worker.name, "me", NOW + 4, 60_000)
    assert lease is not None
    await worker.recover(lease)
    while await worker.drain(lease) is not None:
        pass
    one = await the_launch(ledger)
    assert (one.waiting, one.skipped) == (3, {})
