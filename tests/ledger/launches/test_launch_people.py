"""Who is one person to launches, by every alias that was seen."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import select

from connector.domain.launches.eligibility import LaunchRules
from connector.domain.launches.launch import InvitationState, LaunchStatus
from connector.domain.people.same_person import Member
from connector.errors import NotConfigured
from connector.ledger.access.reseal import Tally, reseal
from connector.ledger.db.schema.people import alias
from connector.ledger.ledger import open_ledger
from connector.ledger.people.aliases import QUEUED
from connector.security.sealing import Sealer
from tests.ledger.desk import CAP, Desk, persons, who
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


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
    assert again.unseal(one.session_token or "") == "st_secret"
    assert again.keyed_hash("ada@example.com") == hashed
    other = replace(desk, ledger=again, ctx=replace(desk.ctx, ledger=again))
    assert (await other.launch(who("Ada@Example.com"))).skipped == {"already_invited": 1}
    with pytest.raises(NotConfigured):
        desk.ledger.unseal(one.session_token or "")
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
    assert len(known) == 2  # one on the connection, one over all connections


@pytest.mark.parametrize("days", [None, 30])
async def test_who_was_started_waits_in_vain_under_another_name(desk: Desk, days: int | None) -> None:
    await desk.launch(who("ada@example.com"))
    await desk.start_all()
    other = await desk.launch(who(user="u-ada"), days=days)
    assert other.waiting == 1
    joined = await desk.launch(who("ada@example.com", "u-ada"))
    assert joined.skipped == {"already_invited": 1}
    assert await desk.begin(await desk.waiting()) == "gone"
    (called_off,) = await desk.all_of(other.id)
    assert called_off.state is InvitationState.CANCELLED
    assert called_off.reason == ("already_invited" if days is None else "recently_interviewed")
    assert (await desk.find(other.id)).status is LaunchStatus.FINISHED
    await desk.counts_are_true()


async def test_of_one_person_who_waits_twice_one_is_started(desk: Desk) -> None:
    for name in (who("ada@example.com"), who(user="u-ada")):
        await desk.launch(name)
    await desk.launch(who("ada@example.com", "u-ada"))
    await desk.send()
    assert await desk.begin(await desk.waiting()) == "gone"
    await desk.counts_are_true()


async def test_a_launch_that_may_invite_again_does(desk: Desk) -> None:
    await desk.launch(who("ada@example.com"))
    await desk.start_all()
    await desk.launch(who(user="u-ada"), days=0)
    await desk.launch(who("ada@example.com", "u-ada"))
    desk.clock.advance(1)
    assert await desk.begin(await desk.waiting()) == "sending"


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
