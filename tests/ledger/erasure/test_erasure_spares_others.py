"""What an erasure finds of a person, and what of others it must not touch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from connector.domain.people.same_person import Member
from connector.ledger.db.schema.launches import launch
from tests.ledger.erasure.desk import ANN, EMAIL, JO, RULES, USER, ErasureDesk, except_for, interview
from tests.support.fakes import a_sync, a_webhook

pytestmark = pytest.mark.contract


async def test_bodies_that_name_others_stay(desk: ErasureDesk) -> None:
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
        await desk.ledger.inbox.accept(a_webhook(None, body=json.dumps(body)))
    done = await desk.forget(email=EMAIL, user_id="a1")
    bodies = [one.body for one in (await desk.ledger.inbox.unreadable("default", limit=100))[::-1]]
    assert [body is not None for body in bodies] == [True] * len(others) + [False] * len(theirs)
    assert done.counts["deliveries"] == len(theirs)


@pytest.mark.parametrize(
    "user_id",
    ['say "hi"', "50%_off\\", "jürgen/1", "日本", "a'; DROP TABLE sync; --", "nul\0byte", "😀-user"],
)
async def test_odd_user_ids_are_found_wherever_they_stand(desk: ErasureDesk, user_id: str) -> None:
    odd = Member(user_id, None, "Odd One")
    await desk.launch(odd, JO)
    await desk.plan(odd)
    await desk.create(source=[[odd, JO]])
    if "\0" not in user_id:
        escaped = json.dumps({"user": {"id": user_id}}).replace("/", "\\/")
        await desk.ledger.inbox.accept(a_webhook(None, body=escaped))
    await desk.ledger.inbox.accept(a_webhook(None, body=json.dumps({"user": {"id": "5000_off"}})))
    await desk.forget(user_id=user_id)
    seen = [one.body is None for one in await desk.ledger.inbox.unreadable("default", limit=10)]
    assert seen == ([False, True] if "\0" not in user_id else [False])
    assert await desk.traces("Odd One", user_id) == []
    members = await desk.ledger.planning.source(desk.made[-1], 0)
    assert members == [JO]
    await desk.all_true()


async def test_an_address_is_found_in_another_letter_case_and_form(desk: ErasureDesk) -> None:
    composed, apart = "J\u00fcrgen@example.com", "ju\u0308rgen@example.com"
    await desk.plan(Member(composed.upper(), None, "Odd One"))
    await desk.launch(Member(composed.upper(), None, "Odd One"))
    await desk.plan(Member(composed.upper(), None, "Odd One"))  # as an example, by its user id
    await desk.create(source=[[Member(None, composed.upper(), "Odd One"), JO]])
    for form in (composed, composed.upper(), apart):
        await desk.ledger.inbox.accept(a_webhook(None, body=json.dumps({"said": f"I am {form}."})))
    await desk.forget(email=apart)
    assert [one.body for one in await desk.ledger.inbox.unreadable("default", limit=10)] == [None] * 3
    assert await desk.traces("rgen@example.com", "Odd One") == []


async def test_a_person_of_very_many_interviews_is_forgotten(desk: ErasureDesk) -> None:
    facts = [interview(f"int-{n:04}") for n in range(1_200)]
    syncs = [a_sync(one.interview_id, EMAIL, facts=one) for one in facts]
    await desk.store(*syncs)
    done = await desk.forget(email=EMAIL)
    assert done.counts["interviews"] == 1_200
    await desk.totals_are_true()


async def test_other_connections_keep_what_is_theirs(desk: ErasureDesk) -> None:
    await desk.observe(interview("int-1"), name="second")
    one = await desk.create(source=[[ANN, JO]])
    await desk.ledger.db.write(
        lambda c: c.execute(update(launch).where(launch.c.id == one.id).values(connection="second"))
    )
    await desk.ledger.inbox.accept(a_webhook(None, connection="second", body=json.dumps({"said": EMAIL})))
    before = except_for(await desk.dump(), "alias", "erasure", "run", "lane")
    await desk.forget(email=EMAIL, user_id=USER)
    assert except_for(await desk.dump(), "alias", "erasure", "run", "lane") == before


async def test_who_answered_in_somebodys_place_is_not_forgotten_with_them(desk: ErasureDesk) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.observe(interview("int-1", JO.email, external_id=one.id, invitee=USER))
    await desk.observe(interview("int-2", JO.email))
    await desk.forget(email=EMAIL)
    assert (await desk.of("int-1")).reason == "suppressed"
    assert (await desk.of("int-2")).user_id == JO.email
    plan = await desk.plan(JO)
    assert plan.to_invite == 1


async def test_an_invited_person_stays_when_who_answered_in_their_place_is_forgotten(
    desk: ErasureDesk,
) -> None:
    await desk.launch(JO)
    one = await desk.send()
    await desk.settle(one, "started")
    await desk.observe(interview("int-1", EMAIL, external_id=one.id, invitee=JO.user_id, has_ended=True))
    done = await desk.forget(email=EMAIL)
    assert (await desk.of("int-1")).reason == "suppressed"
    assert "unset" not in done.counts
    invited = await desk.get(one.id)
    assert (invited.email, invited.user_id) == (JO.email, JO.user_id)
    assert (await desk.plan(JO)).skipped == {"already_invited": 1}
    await desk.all_true()


async def test_an_interview_is_found_by_each_name_that_stands_in_it(desk: ErasureDesk) -> None:
    await desk.observe(interview("both", EMAIL, external_id=USER))
    await desk.observe(interview("as-id", None, external_id="eve@example.com", quality_score=1.0))
    await desk.forget(user_id=USER)
    assert (await desk.of("both")).reason == "suppressed"
    await desk.forget(email="EVE@example.com")
    assert (await desk.of("as-id")).reason == "suppressed"
    assert await desk.traces(USER, EMAIL, "eve@") == []


async def test_every_interview_that_came_back_with_their_external_id_is_theirs(desk: ErasureDesk) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    ours = {"external_id": one.id, "invitee": USER, "quality_score": 1.0}
    await desk.observe(interview("first", None, **ours), interview("second", JO.email, **ours))
    await desk.observe(interview("last", None, **ours), interview("own", JO.email))
    await desk.forget(email=EMAIL)
    for interview_id in ("first", "second", "last"):
        assert (await desk.of(interview_id)).reason == "suppressed"
    assert (await desk.of("own")).user_id == JO.email
    assert await desk.traces(USER, "theme of first", "theme of second", "theme of last") == []


async def test_an_interview_that_lost_our_external_id_makes_nobody_somebody_else(
    desk: ErasureDesk,
) -> None:
    await desk.launch(ANN)
    one = await desk.send()
    await desk.settle(one, "started")
    started = (await desk.get(one.id)).interview_id or ""
    await desk.observe(interview(started, JO.email), interview("own", JO.email))
    done = await desk.forget(email=EMAIL)
    assert (await desk.of("own")).user_id == JO.email
    assert done.counts["unset"] == 1  # Ann's own user id
    assert (await desk.plan(JO)).to_invite == 1


async def test_an_untrusted_external_id_makes_nobody_somebody_else(desk: ErasureDesk) -> None:
    await desk.observe(interview("claimed", JO.email, external_id=USER), interview("own", JO.email))
    await desk.forget(user_id=USER, rules=RULES._replace(trust_external_id=False))
    assert (await desk.of("claimed")).reason == "suppressed"
    assert (await desk.of("own")).user_id == JO.email
    assert (await desk.plan(JO)).to_invite == 1
