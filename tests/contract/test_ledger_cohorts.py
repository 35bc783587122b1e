"""Messages of the cohort webhook in the book: kept once, decided over, and known to an older database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from connector.domain.launches.cohort_message import CohortMessage, pieces_of
from connector.domain.launches.credits import day_of
from connector.domain.launches.eligibility import Choice, LaunchRules, Selection
from connector.domain.launches.launch import (
    InvitationState,
    Launch,
    LaunchOptions,
    LaunchStatus,
)
from connector.domain.lease import Lease
from connector.domain.people.erasure import ErasureRules as ForgettingRules
from connector.domain.people.same_person import Member
from connector.domain.results.sync import ListFilter
from connector.errors import Conflict
from connector.ledger.db.schema import cohort_told
from connector.ledger.ledger import Book

NOW = 1_790_000_000_000
OPTIONS = LaunchOptions(max_interviews=100)
EVERY = tuple(InvitationState)


def a_message(number: int, *, in_cohort: bool = True, at: int = NOW, received_at: int = NOW) -> CohortMessage:
    return CohortMessage(
        0, "default", f"message-{number}", "c-1", "Cohort", in_cohort, computed_at=at, received_at=received_at
    )


def people(*numbers: int) -> list[Member]:
    return [Member(f"user-{n}", f"person-{n}@example.com", None) for n in numbers]


async def a_lease(book: Book) -> Lease:
    lease = await book.acquire("cohorts", "me", NOW, 60_000)
    assert lease is not None
    return lease


async def stored(book: Book, message: CohortMessage, members: Sequence[Member]) -> CohortMessage:
    assert await book.cohort_messages.accept(message, pieces_of(members))
    found = await book.cohort_messages.next_open(["default"])
    assert found is not None
    return found


async def decide(
    book: Book, lease: Lease, message: CohortMessage, *, above: int = 25, now: int = NOW
) -> None:
    """Decide over a whole message as the lane does."""
    messages = book.cohort_messages
    while (piece := await messages.piece(message)) is not None:
        keyed = book.launches.keyed("default", piece[1])
        gone = await messages.overtaken(message, keyed)
        keyed = [one for one in keyed if one[1][0] not in gone]
        if message.in_cohort:
            history = await book.launches.history(keyed)
            choices: list[Choice] = Selection(LaunchRules(10**9, None), now).take(keyed, history)
            await messages.invite(lease, message, piece[0], choices, choices, OPTIONS, now)
        else:
            await messages.dismiss(lease, message, piece[0], keyed, now)
    await messages.decided(lease, message, above, now)
    again = await messages.next_open(["default"])
    while again is not None and again.stage == "activating":
        if not await messages.activate(lease, again, now, 2):
            break


async def the_launch(book: Book) -> Launch:
    (found,) = await book.launches.listed("default", ListFilter(), limit=10, after=None)
    return found


async def told_of(book: Book) -> set[int]:
    """Return the keys of whom a cohort's messages told of."""
    return set(await book.read(lambda c: c.execute(select(cohort_told.c.key)).scalars().all()))


async def forget(book: Book, *, user_id: str | None = None, email: str | None = None) -> None:
    await book.forgettings.begin(
        "run-1", "default", Member(user_id, email, None), ForgettingRules(False, False, 5), NOW
    )


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("whom", [{"user_id": "user-1"}, {"email": "person-1@example.com"}])
async def test_forgetting_a_person_removes_when_cohorts_told_of_them(
    book: Book, whom: dict[str, str], entered: bool
) -> None:
    """By whichever alias, whether the last message let them in or out."""
    lease = await a_lease(book)
    await decide(book, lease, await stored(book, a_message(1), people(1, 2)))
    other = a_message(2)._replace(cohort_id="c-2")
    await decide(book, lease, await stored(book, other, people(1, 2)))
    if not entered:
        await decide(book, lease, await stored(book, a_message(3, in_cohort=False, at=NOW + 1), people(1, 2)))
    keys = {keys[0] for _, keys in book.launches.keyed("default", people(1, 2))}
    assert await told_of(book) == keys
    await forget(book, **whom)
    ((_, left),) = book.launches.keyed("default", people(2))
    assert await told_of(book) == {left[0]}
    await decide(book, lease, await stored(book, a_message(4, at=NOW + 2), people(1, 2)))
    assert await told_of(book) == {left[0]}, "what comes later tells nothing of them either"


async def test_somebody_who_left_unknown_is_forgotten_by_each_alias_that_was_told(book: Book) -> None:
    """Nobody was invited, so that no alias leads to another: the message itself is what joined them."""
    lease = await a_lease(book)
    await decide(book, lease, await stored(book, a_message(1, in_cohort=False), people(1, 2)))
    await forget(book, user_id="user-1", email="person-1@example.com")
    ((_, left),) = book.launches.keyed("default", people(2))
    assert await told_of(book) == {left[0]}


async def test_a_message_is_kept_once_for_each_connection(book: Book) -> None:
    pieces = pieces_of(people(1))
    assert await book.cohort_messages.accept(a_message(1), pieces)
    assert not await book.cohort_messages.accept(a_message(1), pieces)
    assert await book.cohort_messages.accept(a_message(1)._replace(connection="shop"), pieces)


async def test_the_earlier_computed_message_is_next_and_a_begun_one_before_all(book: Book) -> None:
    await book.cohort_messages.accept(a_message(1, at=NOW + 5), pieces_of(people(1)))
    first = await stored(book, a_message(2, at=NOW), people(2))
    assert first.computed_at == NOW
    lease = await a_lease(book)
    await book.cohort_messages.dismiss(lease, first, 0, [], NOW)
    await book.cohort_messages.accept(a_message(3, at=NOW - 5), pieces_of(people(3)))
    begun = await book.cohort_messages.next_open(["default"])
    assert begun is not None
    assert begun.id == first.id


async def test_people_wait_counted_or_held_and_resuming_approves_them(book: Book) -> None:
    lease = await a_lease(book)
    await decide(book, lease, await stored(book, a_message(1), people(1, 2, 3)), above=3)
    one = await the_launch(book)
    assert (one.status, one.waiting, one.standing, one.members_total) == (LaunchStatus.RUNNING, 3, True, 3)
    await decide(book, lease, await stored(book, a_message(2, at=NOW + 1), people(4)), above=3)
    one = await the_launch(book)
    assert (one.status, one.pause_reason, one.waiting) == (LaunchStatus.PAUSED, "approval", 4)
    resumed = await book.launches.resume(one.id, None, NOW)
    assert resumed is not None
    assert (resumed.status, resumed.pause_reason) == (LaunchStatus.RUNNING, None)
    await decide(book, lease, await stored(book, a_message(3, at=NOW + 2), people(5, 6, 7)), above=3)
    one = await the_launch(book)
    assert (one.status, one.waiting) == (LaunchStatus.RUNNING, 7), "whoever was approved is not counted"


async def test_whoever_left_later_is_not_invited_by_what_was_computed_before(book: Book) -> None:
    lease = await a_lease(book)
    left = await stored(book, a_message(1, in_cohort=False, at=NOW + 9), people(1))
    await decide(book, lease, left)
    await decide(book, lease, await stored(book, a_message(2), people(1, 2)))
    one = await the_launch(book)
    assert (one.members_total, one.waiting) == (1, 1)
    await decide(book, lease, await stored(book, a_message(3, in_cohort=False, at=NOW + 1), people(2)))
    one = await the_launch(book)
    assert (one.waiting, one.cancelled, one.status) == (0, 1, LaunchStatus.RUNNING)


async def test_so_many_start_in_a_day(book: Book) -> None:
    lease = await a_lease(book)
    await decide(book, lease, await stored(book, a_message(1), people(1, 2, 3)))
    launch = await the_launch(book)
    outcomes = []
    for now in (NOW, NOW, NOW, NOW + 86_400_000):
        one = await book.invitations.next_waiting(["default"], single=False)
        assert one is not None
        begun = await book.invitations.begin_start(
            lease, one, credit_lane="k", cost=1, cap=99, now=now, people_a_day=2
        )
        outcomes.append(begun)
        if len(outcomes) == 1:  # what surely did not happen takes nobody's place
            await book.invitations.not_started(lease, one.id, credit_lane="k", cost=1, now=now)
            assert await book.invitations.credits_left(f"launch:{launch.id}", 2, now) == 2
    assert outcomes == ["sending", "sending", "sending", "sending"]
    assert day_of(NOW) != day_of(NOW + 86_400_000)
    assert await book.invitations.next_waiting(["default"], single=False, besides=[launch.id]) is None


async def test_a_launch_that_is_full_starts_nobody(book: Book) -> None:
    lease = await a_lease(book)
    await decide(book, lease, await stored(book, a_message(1), people(1)))
    one = await book.invitations.next_waiting(["default"], single=False)
    assert one is not None
    begun = await book.invitations.begin_start(
        lease, one, credit_lane="k", cost=1, cap=99, now=NOW, people_a_day=0
    )
    assert begun == "full"
    assert (await the_launch(book)).waiting == 1


async def test_whoever_lost_the_lease_decides_nothing(book: Book) -> None:
    lease = await a_lease(book)
    message = await stored(book, a_message(1), people(1))
    assert await book.acquire("cohorts", "other", NOW + 120_000, 60_000) is not None
    with pytest.raises(Conflict):
        await decide(book, lease, message)
    assert await book.launches.listed("default", ListFilter(), limit=10, after=None) == []
