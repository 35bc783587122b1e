"""Large requests leave the event loop to webhooks."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anyio import to_process

from connector import apart
from connector.domain.launches.cohort_message import chunks_of
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus, Phase
from connector.domain.people.same_person import Member
from connector.errors import InvalidInput
from connector.http import request
from connector.ledger.db import bulk
from connector.ledger.launches.planning import Planning
from connector.ledger.ledger import Ledger
from connector.operations.plan_cohort_launch import PlanInput
from connector.service.input.validate import read_input
from tests.support.fakes import NOW
from tests.support.harness import StandingClock, open_world
from tests.support.toy_server import assert_problem

MEMBERS = [{"user_id": f"user-{number}", "name": "x" * 100} for number in range(1_200)]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return where the bodies of this test are read; a process begins at 50 KB."""
    seen: list[str] = []
    in_thread, in_process = asyncio.to_thread, to_process.run_sync

    async def thread(work: Any, *args: Any) -> Any:
        if work is request._input:
            seen.append("thread")
        return await in_thread(work, *args)

    async def process(*args: Any) -> Any:
        seen.append("process")
        return await in_process(*args)

    monkeypatch.setattr(apart, "_SMALL", 10_000)
    monkeypatch.setattr(apart, "LARGE", 50_000)
    monkeypatch.setattr(asyncio, "to_thread", thread)
    monkeypatch.setattr(to_process, "run_sync", process)
    return seen


@pytest.mark.e2e
@pytest.mark.parametrize(("people", "where"), [(10, []), (100, ["thread"]), (600, ["process"])])
async def test_a_large_body_is_read_apart(
    tmp_path: Path, places: list[str], people: int, where: list[str]
) -> None:
    members = [
        {"user_id": f"user-{n}", "properties": {"Email": f"person-{n}@example.com", "city": "x" * 100}}
        for n in range(people)
    ]
    async with open_world(
        tmp_path, AMPLITUDE_COHORT_WEBHOOK_TOKEN="token", CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="1000"
    ) as world:
        asked = {"members": members, "allow_without_link": True, "idempotency_key": "k", "wait_seconds": 20}
        planned = await world.get("plan_cohort_launch", **asked)
        assert (planned["members_total"], planned["to_invite"]) == (people, people)
        assert "came with an e-mail address" not in str(planned["warnings"])
        assert places == where
        again = await world.call("plan_cohort_launch", **asked)
        assert again.headers["idempotency-replayed"] == "true"
        other = await world.call("plan_cohort_launch", **{**asked, "members": members[1:]})
        assert_problem(other, 422, "idempotency_mismatch")
        wrong = await world.call("plan_cohort_launch", **{**asked, "members": [*members, {"email": "no"}]})
        assert (
            assert_problem(wrong, 422, "invalid_input")["errors"][0]["pointer"] == f"/members/{people}/email"
        )
        padded = {"csv": "interview_id,email\n" + f"int-1,ada@example.com{' ' * people * 100}"}
        run = await world.get("backfill_interviews", **padded, wait_seconds=0)
        assert run["total"] == 1
        users = [{"user_id": f"user-{n}", "user_properties": {"x": "y" * 100}} for n in range(people)]
        cohort = "/webhooks/amplitude/cohorts?token=token&cohort_id=c"
        assert (await world.client.post(cohort, json=users)).json()["users"] == people
    assert places in ([], ["thread"] * 5, ["process"] * 6)


@pytest.mark.unit
async def test_a_process_that_was_killed_is_started_anew() -> None:
    first = await apart.apart("a", apart.LARGE + 1, os.getpid)
    os.kill(first, signal.SIGKILL)
    assert await apart.apart("a", apart.LARGE + 1, os.getpid) not in (first, os.getpid())


@pytest.mark.unit
async def test_callers_take_turns_and_what_is_small_waits_for_nothing_large(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    order: list[str] = []
    os.mkfifo(gate)

    async def call(caller: str) -> None:
        await apart.apart(caller, apart.LARGE + 1, os.getpid)
        order.append(caller)

    first = asyncio.create_task(apart.apart("a", apart.LARGE + 1, gate.read_text))
    others = asyncio.gather(*map(call, "aab"))
    try:
        async with asyncio.timeout(60):
            assert await apart.apart("a", apart.LARGE, str, 1) == "1"
    finally:
        await asyncio.to_thread(gate.write_text, "open")
    assert await first == "open"
    await others
    assert order == ["b", "a", "a"]
    assert not apart._turns


@pytest.mark.e2e
async def test_the_time_that_a_body_takes_is_time_that_the_call_waits(tmp_path: Path) -> None:
    async with open_world(tmp_path, clock=StandingClock(), workers=False) as world:

        async def body() -> AsyncIterator[bytes]:
            yield b'{"interview_ids": ["int-1"], '
            world.clock.move(8)
            yield b'"wait_seconds": 8}'

        async with asyncio.timeout(60):
            answer = await world.client.post("/actions/backfill_interviews", content=body())
    assert answer.status_code == 202


@pytest.mark.contract
async def test_a_launch_is_stored_in_parts_and_begins_at_the_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PORTION", 0)
    launch = Launch(
        id="lau_1",
        connection="default",
        status=LaunchStatus.PLANNING,
        created_at=NOW,
        options=LaunchOptions(max_interviews=9),
        goes_on=False,
        phase=Phase.READ,
        phase_due=NOW,
    )
    chunks = [text for n in range(3) for text in chunks_of([Member(f"user-{n}", None, None)])]
    add, seen = Planning._add, []

    async def watched(self: Planning, *args: Any) -> None:
        seen.append([one.phase for one in await ledger.launches.in_phases(tuple(Phase))])
        await add(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Planning, "_add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await ledger.planning.create(launch, chunks)
        patched.setattr(Planning, "_add", watched)
        await ledger.planning.create(launch, chunks)  # the same request, after a crash
    assert seen == [[Phase.DIRECT]] * 2
    assert [one.phase for one in await ledger.launches.in_phases(tuple(Phase))] == [Phase.READ]
    stored = [await ledger.planning.source("lau_1", n) for n in range(4)]
    assert [members and members[0].user_id for members in stored] == ["user-0", "user-1", "user-2", None]


@pytest.mark.unit
def test_a_long_list_names_each_wrong_item() -> None:
    wrong = [*MEMBERS, {"user_id": "a", "nope": 1}, {"user_id": "b", "nope": 1}]
    with pytest.raises(InvalidInput) as caught:
        read_input(PlanInput, {"members": wrong})
    assert [error.pointer for error in caught.value.errors] == ["/members/1200/nope", "/members/1201/nope"]
