"""The result of an unfinished answer is posted once to the address that the request named."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.responses import Response

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.ledger.events.callbacks import OF_HOST
from connector.service.tokens import new_token
from connector.workers.events.callbacks import AT_ONCE
from tests.support.harness import QUICK, World, message, open_world, until
from tests.support.receiver import Receiver, arrived, receiving

pytestmark = pytest.mark.e2e

SYNC = "sync_interview_to_amplitude"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    slow = replace(QUICK, analysis_seconds=3_600)
    async with open_world(
        tmp_path,
        options=slow,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_ALLOW_PRIVATE_TARGETS="true",
    ) as opened:
        yield opened


async def pending(world: World, target: Receiver | str, **more: Any) -> dict[str, Any]:
    """Ask for the sync of an interview whose analysis is not there yet."""
    await world.interview("int-1", state="processing")
    url = target if isinstance(target, str) else target.url
    answer = await world.call(SYNC, interview_id="int-1", wait_seconds=0, callback_url=url, **more)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == "pending"
    return body


async def none_is_owed(world: World) -> bool:
    world.move(61)
    return await world.context.ledger.callbacks.next_due() is None


async def test_the_result_is_posted_once_and_signed(world: World, receiver: Receiver) -> None:
    asked = await pending(world, receiver)
    await world.deliver(message("int-1"))
    (told,) = await arrived(receiver, 1)
    assert (told["interview_id"], told["status"], told["quality_score"]) == ("int-1", "synced", 4.2)
    assert set(told) == set(asked) - {"status_url", "callback_secret"}
    headers, raw = receiver.got[0]
    assert Webhook(asked["callback_secret"]).verify(raw, headers) == told
    await until(lambda: none_is_owed(world))
    assert len(receiver.got) == 1


async def test_a_launch_is_told_with_its_links_when_it_is_finished(world: World, receiver: Receiver) -> None:
    people = [{"email": f"person-{n}@example.com"} for n in range(3)]
    answer = await world.call(
        "launch_cohort_interviews", members=people, wait_seconds=0, callback_url=receiver.url
    )
    assert answer.status_code == 202
    (told,) = await arrived(receiver, 1)
    assert (told["launch_id"], told["status"]) == (answer.json()["launch_id"], "finished")
    assert {one["email"] for one in told["invitations"]} == {one["email"] for one in people}
    assert all(one["interview_link"] for one in told["invitations"])


async def test_a_result_shows_no_more_than_its_caller_may_see(world: World, receiver: Receiver) -> None:
    for name, scopes, shows in (("sender", ("send",), False), ("both", ("read", "send"), True)):
        token = new_token()
        made = Token(name, token_digest(token).hex(), scopes, None, world.clock.now())
        assert await world.context.ledger.tokens.create(made)
        person = {"user_id": f"{name}-person"}
        asked = {"members": [person, person], "wait_seconds": 0, "callback_url": receiver.url}
        headers = {"Authorization": f"Bearer {token}"}
        answer = await world.client.post("/actions/launch_cohort_interviews", json=asked, headers=headers)
        assert answer.status_code == 202, answer.text
        told = (await arrived(receiver, 2 if shows else 1))[-1]
        assert (told["status"], told["skipped"]) == ("finished", {"duplicate_in_cohort": 1})
        assert bool(told["skipped_examples"]) is shows


async def test_a_start_is_told_with_its_person_and_link(world: World, receiver: Receiver) -> None:
    answer = await world.call(
        "start_interview",
        email="ada@example.com",
        user_id="user-42",
        wait_seconds=0,
        callback_url=receiver.url,
    )
    assert answer.json()["status"] == "pending"
    (told,) = await arrived(receiver, 1)
    assert (told["status"], told["email"], told["user_id"]) == ("started", "ada@example.com", "user-42")
    assert told["interview_link"]


async def test_a_finished_answer_is_the_result_and_nothing_is_posted(
    world: World, receiver: Receiver
) -> None:
    answer = await world.call(SYNC, interview=message("int-1"), callback_url=receiver.url)
    assert (answer.status_code, answer.json()["status"]) == (200, "synced")
    assert "callback_secret" not in answer.json()
    assert await none_is_owed(world)
    assert receiver.got == []


async def test_a_repeat_under_the_same_key_is_told_once(world: World, receiver: Receiver) -> None:
    first = await pending(world, receiver, idempotency_key="k-1")
    again = await pending(world, receiver, idempotency_key="k-1")
    assert again["callback_secret"] == first["callback_secret"]
    await world.deliver(message("int-1"))
    await arrived(receiver, 1)
    await until(lambda: none_is_owed(world))
    assert len(receiver.got) == 1


async def test_a_target_that_fails_is_tried_again_under_the_same_id(world: World, receiver: Receiver) -> None:
    receiver.answers = [Response(status_code=500), Response(status_code=503)]
    await pending(world, receiver)
    await world.deliver(message("int-1"))

    async def thrice() -> bool:
        world.move(31)
        return len(receiver.got) >= 3

    await until(thrice)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    await until(lambda: none_is_owed(world))


async def test_a_target_that_is_gone_is_not_asked_again(world: World, receiver: Receiver) -> None:
    receiver.answers = [Response(status_code=410)]
    await pending(world, receiver)
    await world.deliver(message("int-1"))
    await arrived(receiver, 1)
    await until(lambda: none_is_owed(world))
    assert len(receiver.got) == 1


async def test_a_target_that_does_not_answer_delays_no_other(world: World, receiver: Receiver) -> None:
    async with receiving() as tarpit:
        tarpit.gate.clear()
        targets = [f"{tarpit.url}/{n}" for n in range(AT_ONCE)]
        for url in (*targets, receiver.url):
            assert (await pending(world, url))["status"] == "pending"
        await world.deliver(message("int-1"))
        (told,) = await arrived(receiver, 1)
        assert told["status"] == "synced"
        assert len(tarpit.got) <= OF_HOST
        tarpit.gate.set()
        await arrived(tarpit, AT_ONCE)


async def test_what_is_owed_outlives_a_restart(world: World, receiver: Receiver) -> None:
    await pending(world, receiver)
    await world.restart(CONNECTOR_ALLOW_PRIVATE_TARGETS="true")
    await world.deliver(message("int-1"))
    (told,) = await arrived(receiver, 1)
    assert told["status"] == "synced"


async def test_an_interview_that_turned_out_anonymous_names_nobody(world: World, receiver: Receiver) -> None:
    await pending(world, receiver)
    await world.deliver(message("int-1", anonymous=True))
    (told,) = await arrived(receiver, 1)
    assert (told["status"], told["reason"], told["user_id"]) == ("skipped", "anonymous", None)


async def test_a_target_is_checked_before_anything_is_done(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for target, code in (
            ("https://127.0.0.1/x", "private_target"),
            ("https://169.254.169.254/latest", "private_target"),
            ("http://example.com/x", "invalid_input"),
            ("not an address", "invalid_input"),
        ):
            answer = await world.call(SYNC, interview=message("int-1"), callback_url=target)
            assert (answer.status_code, answer.json()["code"]) == (422, code), target
            assert answer.json()["errors"][0]["pointer"] == "/callback_url"
        assert (await world.get("list_syncs"))["items"] == []


async def test_the_address_is_sealed_and_gone_in_the_end(
    tmp_path: Path, world: World, receiver: Receiver
) -> None:
    await pending(world, receiver)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        (row,) = db.execute("SELECT * FROM callback").fetchall()
    assert receiver.url not in repr(row)
    await world.deliver(message("int-1"))
    await arrived(receiver, 1)
    await until(lambda: none_is_owed(world))
