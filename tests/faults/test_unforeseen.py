"""An exception that no code foresaw is a failed attempt of its own job: the others go on, and it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Column, Connection, update
from starlette.responses import Response

from connector.app import all_workers
from connector.domain.events.callback import Callback
from connector.domain.events.event import EventType, Hook
from connector.domain.launches import start
from connector.domain.results import transitions
from connector.domain.results.run import CHUNK
from connector.ledger.db.schema.events import callback as callback_table
from connector.ledger.db.schema.events import hook as hook_table
from connector.ledger.db.schema.people import erasure as erasure_table
from connector.ledger.launches.cohort_members import CohortMembers
from connector.ledger.launches.invitations import Invitations
from connector.ledger.people import erasure
from connector.service import planning, triggers
from connector.workers.base import Worker
from connector.workers.events import hooks
from connector.workers.koji import follow_ups, reads, starts
from connector.workers.koji.worker import KojiWorker
from connector.workers.launches import links
from connector.workers.results import amplitude, batching, intake, runs
from tests.launches.test_cohort_webhook import COHORT_TOKEN, cohort_message, send, users
from tests.support.harness import QUICK, World, message, open_world, until
from tests.support.receiver import Receiver, arrived, receiving

pytestmark = pytest.mark.e2e

BAD, GOOD = "zonk", "good"
LANES = (
    *("intake", "runs", "upkeep", "launches", "cohorts"),
    *("erasure", "hooks", "callbacks", "koji", "amplitude"),
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        AMPLITUDE_COHORT_WEBHOOK_TOKEN=COHORT_TOKEN,
        CONNECTOR_ALLOW_PRIVATE_TARGETS="true",
        CONNECTOR_MAX_CREDITS_PER_DAY="10000",
    ) as opened:
        yield opened


def breaks(seam: Any) -> Any:
    """Return a seam that raises when its arguments speak of the bad one."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        if BAD in repr((args, kwargs)):
            raise ZeroDivisionError
        return seam(*args, **kwargs)

    return broken


async def in_time(world: World, condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for a condition while the clock goes on past every backoff."""

    async def moved() -> Any:
        world.move(20)
        return await condition()

    return await until(moved)


async def faults(world: World, connection: str = "default") -> Any:
    checks = (await world.get("check_connection", connection=connection))["checks"]
    return next(check for check in checks if check["name"] == "faults")


async def webhook_ends(world: World) -> None:
    await world.deliver(message(BAD), message(GOOD, 2))
    assert (await world.ended(GOOD))["status"] == "synced"

    async def is_aside() -> Any:
        return (await world.get("list_syncs", status="unreadable"))["items"]

    assert await in_time(world, is_aside)


async def sync_fails(world: World) -> None:
    await world.deliver(message(BAD), *[message(f"{GOOD}-{n}", n) for n in range(9)])
    assert (await world.ended(*[f"{GOOD}-{n}" for n in range(9)]))["status"] == "synced"
    await fails(world)


async def fails(world: World) -> None:
    async def failed() -> Any:
        sync = (await world.call("get_sync", interview_id=BAD)).json()
        return sync if sync["status"] == "failed" else None

    assert (await in_time(world, failed))["reason"] == "internal_error"


async def read_fails(world: World) -> None:
    for interview_id, n in ((BAD, 1), (GOOD, 2)):
        await world.interview(interview_id, n)
        await world.deliver(message(interview_id, n, quality_score=None, themes=None))
    assert (await world.ended(GOOD))["status"] == "synced"
    await fails(world)


async def launch_ends(world: World, state: str) -> None:
    people = [{"user_id": f"user-{name}", "email": f"{name}@example.com"} for name in (BAD, GOOD)]
    launch_id = (await world.get("launch_cohort_interviews", members=people, wait_seconds=0))["launch_id"]

    async def ended() -> Any:
        launch = await world.get("get_launch", launch_id=launch_id)
        return launch if launch["status"] == "finished" else None

    launch = await in_time(world, ended)
    assert (launch["invited"], launch[state]) == (1, 1)


async def start_in_doubt(world: World) -> None:
    await launch_ends(world, "in_doubt")


async def start_fails(world: World) -> None:
    await launch_ends(world, "failed")


async def link_fails(world: World) -> None:
    await world.reconfigure({"KOJI_INVITE_BY": "link"})
    await launch_ends(world, "failed")


async def silent_one_is_read_later(world: World) -> None:
    launched = await world.get("start_interview", email=f"{BAD}@example.com", user_id=f"user-{BAD}")
    world.move(7 * 3_600)

    async def seen() -> Any:
        return (await faults(world))["status"] == "warn"

    await until(seen)
    assert (await world.get("get_launch", launch_id=launched["launch_id"]))["invited"] == 1


async def message_waits(world: World) -> None:
    await send(world, cohort_message(1, users(1), cohort_name=BAD, cohort_id="cohort-1"))
    await send(world, cohort_message(2, users(2), cohort_name=GOOD, cohort_id="cohort-2"))

    async def invited() -> Any:
        return [one for one in (await world.get("list_launches"))["items"] if one["invited"]]

    (launch,) = await until(invited)
    assert launch["cohort_name"] == GOOD

    async def parked() -> Any:
        return "1 of them parked" in (await faults(world))["message"]

    await in_time(world, parked)
    await world.restart()  # perhaps with a new release


async def plan_ends(world: World) -> None:
    await world.control("POST", "/study", {"people": 12, "interviews": False})
    cohort = "onboarding-drop-off"
    plans = [
        await world.get("plan_cohort_launch", cohort_id=cohort, variant=name, wait_seconds=0)
        for name in (BAD, GOOD)
    ]

    async def planned() -> Any:
        return (await world.call("get_launch", launch_id=plans[1]["launch_id"])).json()["status"] == "planned"

    async def ended() -> Any:
        answer = (await world.call("get_launch", launch_id=plans[0]["launch_id"])).json()
        return answer if answer["status"] != "planning" else None

    await until(planned)
    bad = await in_time(world, ended)
    assert bad["status"] == "cancelled"
    assert "(ZeroDivisionError)" in bad["message"]


async def erasure_waits(world: World) -> None:
    people = {BAD: "bad@example.com", GOOD: "good@example.com"}
    for interview_id, email in people.items():
        await world.deliver(message(interview_id, respondent_email=email))
    await world.ended(*people)
    runs = [await world.get("forget_respondent", email=email, wait_seconds=0) for email in people.values()]

    async def finished(at: int) -> Any:
        found = await world.context.ledger.erasures.find(runs[at]["run_id"])
        return found is not None and found.finished_at

    await in_time(world, partial(finished, 1))
    assert not await finished(0)


@dataclass
class Seam:
    """A function of a module that raises for the bad one, and how the bad and the good one end."""

    where: Any
    name: str
    play: Callable[[World], Awaitable[None]]


async def chunk_waits(world: World) -> None:
    """A chunk of a backfill cannot be begun: it is parked, and the other is begun."""
    await world.interview(GOOD)
    ids = [BAD, *(f"{BAD}-{n}" for n in range(CHUNK - 1)), GOOD]
    run = await world.get("backfill_interviews", interview_ids=ids, wait_seconds=0)

    async def parked() -> bool:
        return any(one.due is None for one in await world.context.ledger.faults.listed())

    await in_time(world, parked)
    await until(lambda: world.context.ledger.syncs.find("default", GOOD))
    assert (await world.get("get_run", run_id=run["run_id"]))["pending"] >= CHUNK


SEAMS = [
    Seam(intake, "advance", webhook_ends),
    Seam(intake, "recognised", webhook_ends),
    Seam(amplitude, "events_of", sync_fails),
    Seam(amplitude, "parts", sync_fails),
    Seam(amplitude, "by_user_rate", sync_fails),
    Seam(amplitude.AmplitudeWorker, "_judge", sync_fails),
    Seam(reads, "read_from_koji", read_fails),
    Seam(reads, "advance", read_fails),
    Seam(starts, "body_of", start_in_doubt),
    Seam(starts, "start_result", start_in_doubt),
    Seam(Invitations, "begin_start", start_fails),
    Seam(links, "start_result", link_fails),
    Seam(Invitations, "begin_start", link_fails),
    Seam(follow_ups, "read_from_koji", silent_one_is_read_later),
    Seam(CohortMembers, "invite", message_waits),
    Seam(planning, "decide", plan_ends),
    Seam(erasure, "in_flight", erasure_waits),
    Seam(runs, "read_interview", chunk_waits),
]


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: f"{seam.name}-{seam.play.__name__}")
async def test_a_job_that_fails_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, seam: Seam
) -> None:
    monkeypatch.setattr(seam.where, seam.name, breaks(getattr(seam.where, seam.name)))
    with structlog.testing.capture_logs() as logs:
        await seam.play(world)
    check = await faults(world)
    assert check["status"] == "warn"
    assert "ZeroDivisionError" in check["message"]
    tracebacks = [line for line in logs if line.get("exc_info")]
    assert len(tracebacks) == 1
    assert len([line for line in logs if line["event"] in ("worker_failed", "worker_parked")]) <= 3


async def test_what_failed_and_then_succeeds_shows_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(amplitude, "events_of", breaks(batching.events_of))
        await world.deliver(message(BAD))
        await world.seen(BAD, reason="internal_error")
        assert (await faults(world))["status"] == "warn"
    await world.restart()

    async def synced() -> Any:
        return (await world.call("get_sync", interview_id=BAD)).json()["status"] == "synced"

    await in_time(world, synced)
    assert (await faults(world))["status"] == "ok"
    assert world.completed() == [BAD]


@pytest.mark.parametrize("seam", ["render", "deliver"])
async def test_a_delivery_that_fails_backs_off_and_is_given_up(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    hook = (
        await world.client.post("/hooks", json={"targetUrl": receiver.url, "event": "interview_synced"})
    ).json()
    where: Any = triggers if seam == "render" else hooks
    tried = 0
    real = getattr(where, seam)

    async def broken(*args: Any) -> Any:
        nonlocal tried
        events = args[1] if seam == "render" else [args[3]]
        if any(BAD in repr(event) or b"zonk" in getattr(event, "body", b"") for event in events):
            tried += 1
            raise ZeroDivisionError
        return await real(*args)

    monkeypatch.setattr(where, seam, broken)
    await world.deliver(message(BAD), message(GOOD, 2))
    (told,) = await arrived(receiver, 1)
    assert told["interview_id"] == GOOD

    async def state() -> Any:
        log = (await world.client.get(f"/hooks/{hook['id']}/deliveries")).json()
        return sorted((one["state"], one["outcome"]) for one in log)

    async def waits() -> Any:
        return await state() == [("delivered", "200"), ("waiting", "internal_error")]

    await until(waits)
    assert tried < 20  # in a batch and alone, and again only after growing waits

    async def given_up() -> Any:
        world.move(5 * 3_600)
        return await state() == [("delivered", "200"), ("failed", "internal_error")]

    await until(given_up)
    assert (await faults(world))["status"] == "warn"


@pytest.mark.parametrize("lane", LANES)
async def test_a_worker_that_fails_backs_off_and_shows(
    world: World, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    of_lane = next(one for one in all_workers(world.context) if one.name.partition(":")[0] == lane)
    calls = 0

    async def broken(_self: Worker, _lease: Any) -> int | None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    monkeypatch.setattr(type(of_lane), "drain", broken)
    with structlog.testing.capture_logs() as logs:

        async def shows() -> Any:
            world.context.wake()
            return calls > 1 and (await faults(world))["status"] == "warn"

        await until(shows)
    assert len([line for line in logs if line["event"] == "worker_failed"]) == 1
    assert calls < 6  # however often it is woken
    assert lane in (await faults(world))["message"]


async def test_what_belongs_to_a_connection_that_left_the_settings_shows_at_default(
    world: World, receiver: Receiver
) -> None:
    url = f"{world.sandbox_url}/koji"
    shop = f'[connections.shop]\nkoji_api_key = "sandbox-koji-key"\nkoji_base_url = "{url}"\n'
    await world.restart(toml=shop)
    hooked = {"targetUrl": receiver.url, "event": "launch_finished", "connection": "shop"}
    assert (await world.client.post("/hooks", json=hooked)).status_code == 201
    receiver.answers = [Response(status_code=503)]
    await world.get(
        "start_interview", email="ada@example.com", user_id="u-42", connection="shop", allow_without_link=True
    )
    await arrived(receiver, 1)
    owed = Callback("cb_1", "shop", "get_sync", "{}", receiver.url, world.clock.now(), world.clock.now())
    await world.restart(toml="")
    await world.context.ledger.callbacks.add(owed)
    world.move(60)

    async def shows() -> Any:
        found = await faults(world)
        return found if found["message"].startswith("2 ") else None

    check = await until(shows)
    assert "of shop, which left the settings" in check["message"]
    tries = [fault.tries for fault in await world.context.ledger.faults.listed()]
    assert max(tries) < 10  # they wait longer each time
    await world.restart(toml=shop)

    async def delivered() -> Any:
        world.move(60)
        return len(receiver.got) > 1

    await until(delivered)


async def test_an_address_that_cannot_be_called_backs_off(world: World) -> None:
    """It may come from an earlier release, which did not encode it."""
    hook = Hook("hook_1", "default", EventType.INTERVIEW_SYNCED, "https://127.0.0.1/café", world.clock.now())
    await world.context.ledger.hooks.subscribe(hook, "whsec_" + "a" * 32)
    await world.deliver(message("int-1"))

    async def tried() -> Any:
        log = (await world.client.get("/hooks/hook_1/deliveries")).json()
        return log if log and log[0]["tries"] else None

    (delivery,) = await until(tried)
    assert (delivery["state"], delivery["tries"]) == ("waiting", 1)


async def test_what_was_parked_can_be_tried_again_by_a_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [{"user_id": f"user-{BAD}", "email": f"{BAD}@example.com"}]
    with monkeypatch.context() as patch:
        patch.setattr(starts, "body_of", breaks(start.body_of))
        patch.setattr(intake, "advance", breaks(transitions.advance))
        launch_id = (await world.get("launch_cohort_interviews", members=people))["launch_id"]
        assert (await world.get("get_launch", launch_id=launch_id))["in_doubt"] == 1
        await world.deliver(message(BAD))

        async def is_aside() -> Any:
            return (await world.get("list_syncs", status="unreadable"))["items"]

        await in_time(world, is_aside)
    resumed = await world.get("resume_launch", launch_id=launch_id, in_doubt="retry", wait_seconds=20)
    assert (resumed["invited"], resumed["in_doubt"]) == (1, 0)
    await world.get("replay_syncs", status="unreadable")
    assert (await world.ended(BAD))["status"] == "synced"
    assert (await faults(world))["status"] == "ok"


async def test_a_failed_job_that_is_gone_lets_its_worker_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [{"user_id": f"user-{BAD}", "email": f"{BAD}@example.com"}]
    monkeypatch.setattr(Invitations, "begin_start", breaks(Invitations.begin_start))
    launched = await world.get("launch_cohort_interviews", members=people, wait_seconds=0)

    async def failed() -> Any:
        return await world.context.ledger.faults.listed()

    await until(failed)
    await world.get("cancel_launch", launch_id=launched["launch_id"])
    world.move(60)
    await world.idle()
    drains = 0
    real = KojiWorker.drain

    async def counted(worker: KojiWorker, lease: Any) -> int | None:
        nonlocal drains
        drains += 1
        return await real(worker, lease)

    monkeypatch.setattr(KojiWorker, "drain", counted)
    await asyncio.sleep(0.3)
    assert drains <= 2


@pytest.mark.parametrize("column", [hook_table.c.secret, callback_table.c.target_url], ids=str)
async def test_a_row_that_no_key_opens_holds_up_no_other(
    world: World, receiver: Receiver, column: Column[str]
) -> None:
    for at, interview_id in enumerate((BAD, GOOD)):
        if column.table is hook_table:
            hooked = {"targetUrl": f"{receiver.url}?{interview_id}", "event": "interview_synced"}
            assert (await world.client.post("/hooks", json=hooked)).status_code == 201
        else:
            await world.interview(interview_id, at, state="processing")
            called = {"interview_id": interview_id, "wait_seconds": 0, "callback_url": receiver.url}
            assert (await world.call("sync_interview_to_amplitude", **called)).status_code == 202
        if interview_id == BAD:
            spoilt = update(column.table).values({column: "opened by no key"})
            await world.context.ledger.db.write(partial(Connection.execute, statement=spoilt))
    await world.deliver(message(BAD), message(GOOD, 2))
    (told, *_) = await in_time(world, lambda: arrived(receiver, 1))
    assert told["interview_id"] in ({BAD, GOOD} if column.table is hook_table else {GOOD})
    assert (await faults(world))["status"] == "warn"


async def test_an_unset_that_no_key_opens_holds_up_no_interview(world: World) -> None:
    await world.deliver(message(BAD))
    await world.seen(BAD, status="synced")
    await world.fault("amplitude", "status", status=503, times=None)
    erased = await world.get("forget_respondent", email="person-001@example.com", wait_seconds=0)
    spoilt = update(erasure_table).values(sealed="opened by no key")
    await world.context.ledger.db.write(partial(Connection.execute, statement=spoilt))
    await world.control("DELETE", "/amplitude/faults")
    await world.deliver(message(GOOD, 2))
    world.move(60)
    await in_time(world, lambda: world.seen(GOOD, status="synced"))
    assert (await world.get("get_run", run_id=erased["run_id"]))["status"] == "running", (
        "it is never given up"
    )
    assert (await faults(world))["status"] == "warn"
