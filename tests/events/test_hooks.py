"""Subscriptions, their deliveries, and the same events by polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from connector.domain.events.event import EventType
from connector.ledger.events import hooks
from connector.service import triggers
from connector.workers.events.hooks import AT_ONCE
from tests.support.harness import QUICK, World, message, open_world, serving, until
from tests.support.receiver import Receiver, arrived, receiving
from tests.support.resolver import Resolver
from tests.support.toy_server import assert_problem

pytestmark = pytest.mark.e2e

BELOW = {"quality_score": 2}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_ALLOW_PRIVATE_TARGETS="true"
    ) as opened:
        yield opened


async def subscribed(world: World, event: str, url: str, **more: Any) -> Any:
    answer = await world.client.post("/hooks", json={"targetUrl": url, "event": event, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{world.settings.public_url}/hooks/{answer.json()['id']}"
    return answer.json()


async def test_a_synced_interview_is_told_once_and_signed(world: World, receiver: Receiver) -> None:
    hook = await subscribed(world, "interview_synced", receiver.url)
    await world.deliver(message("int-1"))
    (body,) = await arrived(receiver, 1)
    assert (body["type"], body["interview_id"], body["status"]) == ("interview_synced", "int-1", "synced")
    assert body["themes_text"] == "pricing confusion, slow import, missing export"
    assert body["themes_count"] == 3
    headers, raw = receiver.got[0]
    assert Webhook(hook["secret"]).verify(raw, headers) == body
    assert headers["webhook-id"] == body["id"]

    polled = (await world.client.get("/triggers/interview_synced")).json()
    assert polled == [body]
    shape = (await world.client.get("/triggers/interview_synced/sample")).json()
    assert list(shape) == list(body)

    async def settled() -> Any:  # its answer is written a moment after it was given
        log = (await world.client.get(f"/hooks/{hook['id']}/deliveries")).json()
        return log if log[0]["state"] != "waiting" else None

    log = await until(settled)
    assert [(one["state"], one["tries"], one["outcome"]) for one in log] == [("delivered", 1, "200")]
    (entry,) = (await world.get("list_audit"))["items"]
    assert (entry["operation"], entry["outcome"]) == ("subscribe", "done")
    assert entry["touched"] == {"hook_id": hook["id"]}


async def test_each_type_goes_to_who_asked_for_it(world: World, receiver: Receiver) -> None:
    for event in ("interview_skipped", "invitation_created", "launch_finished"):
        await subscribed(world, event, f"{receiver.url}/{event}")
    await world.deliver(message("int-1", **BELOW))
    launched = await world.get("start_interview", email="ada@example.com", user_id="user-42")
    bodies = {one["type"]: one for one in await arrived(receiver, 3)}
    assert bodies["interview_skipped"]["reason"] == "below_quality_gate"
    invited = bodies["invitation_created"]
    assert invited["interview_link"] == launched["interview_link"]
    assert (invited["email"], invited["launch_id"]) == ("ada@example.com", launched["launch_id"])
    assert bodies["launch_finished"]["launch_id"] == launched["launch_id"]
    assert len(receiver.got) == 3


async def test_a_connection_has_a_bounded_number_of_subscriptions(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST", 2)
    first, _ = [await subscribed(world, "interview_synced", f"{receiver.url}/{n}") for n in range(2)]
    more = {"target_url": f"{receiver.url}/2", "event": "interview_synced"}
    assert_problem(await world.client.post("/hooks", json=more), 409, "too_many_subscriptions")
    assert await subscribed(world, "interview_synced", f"{receiver.url}/0") == first
    await world.client.delete(f"/hooks/{first['id']}")
    assert (await world.client.post("/hooks", json=more)).status_code == 201


@pytest.mark.parametrize("trigger", triggers.TRIGGERS, ids=lambda one: one.name)
def test_samples_are_flat_with_every_key(trigger: triggers.Trigger) -> None:
    shown = triggers.sample(trigger, "default")
    for name, value in shown.items():
        if name == "sample":
            assert {"sample_method", "sample_seed", "sample_drawn_from"} <= set(shown)
        elif isinstance(value, list | dict):
            assert f"{name}_text" in shown
            assert f"{name}_count" in shown
    assert {"id", "type", "timestamp", "connection", *trigger.output.model_fields} <= set(shown)


async def test_subscribing_twice_is_one_subscription(world: World, receiver: Receiver) -> None:
    first = await subscribed(world, "interview_synced", receiver.url)
    assert await subscribed(world, "interview_synced", receiver.url) == first
    found = (await world.client.get("/hooks", params={"target_url": receiver.url})).json()
    assert [one["id"] for one in found] == [first["id"]]
    assert "secret" not in found[0]
    for _ in range(2):
        gone = await world.client.delete(f"/hooks/{first['id']}")
        assert (gone.status_code, gone.json()) == (200, {})
    assert (await world.client.delete("/hooks", params={"target_url": receiver.url})).json() == {}
    assert (await world.client.get("/hooks")).json() == []


async def test_one_that_ended_gets_no_more_of_what_was_on_its_way(world: World, receiver: Receiver) -> None:
    receiver.gate.clear()
    hook = await subscribed(world, "interview_synced", receiver.url)
    await world.deliver(message("int-0"))
    await arrived(receiver, 1)
    await world.deliver(*(message(f"int-{n}", n) for n in range(1, 12)))
    await world.ended(*(f"int-{n}" for n in range(1, 12)))
    receiver.gate.set()  # only what waits now goes on
    receiver.gate.clear()
    await arrived(receiver, 1 + AT_ONCE)
    await world.client.delete(f"/hooks/{hook['id']}")
    world.move(2)
    receiver.gate.set()
    await world.idle()
    assert len(receiver.got) == 1 + AT_ONCE


async def test_gone_deletes_at_once(world: World, receiver: Receiver) -> None:
    await subscribed(world, "interview_synced", receiver.url)
    receiver.answers = [Response(status_code=410)]
    await world.deliver(message("int-1"))

    async def deleted() -> bool:
        return bool((await world.client.get("/hooks")).json() == [])

    await until(deleted)


@pytest.mark.parametrize("status", [500, 503, 404, 307, 429])
async def test_what_is_refused_is_tried_again_with_the_same_id(
    world: World, receiver: Receiver, status: int
) -> None:
    hook = await subscribed(world, "interview_synced", receiver.url)
    elsewhere = {"Location": receiver.url} if status == 307 else {}
    receiver.answers = [Response(status_code=status, headers=elsewhere)]
    await world.deliver(message("int-1"))
    await arrived(receiver, 1)

    async def again() -> bool:
        world.move(31)
        return len(receiver.got) >= 2

    await until(again)
    assert receiver.got[0][1] == receiver.got[1][1]

    async def delivered() -> bool:
        log = (await world.client.get(f"/hooks/{hook['id']}/deliveries")).json()
        return [(one["state"], one["tries"]) for one in log] == [("delivered", 2)]

    await until(delivered)


async def test_after_days_it_fails_and_can_be_replayed(world: World, receiver: Receiver) -> None:
    hook = await subscribed(world, "interview_synced", receiver.url)
    receiver.answers = [Response(status_code=500) for _ in range(200)]
    await world.deliver(message("int-1"))
    tries = 0

    async def tried() -> Any:  # its answer is written a moment after it was given
        log = (await world.client.get(f"/hooks/{hook['id']}/deliveries")).json()
        return log[0] if log and log[0]["tries"] > tries else None

    while (log := await until(tried))["state"] == "waiting":
        tries = log["tries"]
        world.move(3_600 * 4)
    assert log["state"] == "failed"
    assert log["tries"] == len(receiver.got) > 5
    receiver.answers.clear()
    replayed = await world.client.post(f"/hooks/{hook['id']}/replay")
    assert replayed.json() == {"replayed": 1}
    n = len(receiver.got)
    await arrived(receiver, n + 1)


async def test_a_slow_subscriber_delays_no_other_and_a_restart_loses_nothing(
    world: World, receiver: Receiver
) -> None:
    slow = Receiver()
    slow.gate.clear()
    app = Starlette(routes=[Route("/", slow.take, methods=["POST"])])
    async with serving(app) as url:
        await subscribed(world, "interview_synced", f"{url}/")
        await subscribed(world, "interview_synced", receiver.url)
        await world.deliver(*(message(f"int-{n}") for n in range(3)))
        await arrived(receiver, 3)
        slow.gate = asyncio.Event()  # what it has got by now stays unanswered
        slow.gate.set()
        await world.restart()

        async def all_told() -> bool:
            return {one["interview_id"] for one in slow.bodies()} == {"int-0", "int-1", "int-2"}

        await until(all_told)


async def test_subscribers_whose_names_do_not_resolve_any_more_delay_no_other(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch)
    resolver.released.set()
    for n in range(40):  # more than the threads that all share
        await subscribed(world, "interview_synced", f"http://{n}.silent.example:1/")
    await subscribed(world, "interview_synced", receiver.url.replace("127.0.0.1", "localhost"))
    resolver.released.clear()
    try:
        await world.deliver(message("int-1"))
        await arrived(receiver, 1)
        assert (await world.client.post("/actions/check_connection", json={})).status_code == 200
    finally:
        resolver.released.set()


async def test_targets_must_be_public(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for url in (
            "http://example.com/", "https://127.0.0.1/x", "https://localhost/", "https://[::1]/",
            "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/", "https://2130706433/",
            "https://user:pw@example.com/", "ftp://example.com", "https://", "https://exa mple.com/",
            "https://[64:ff9b::a00:1]/",
        ):  # fmt: skip
            answer = await world.client.post("/hooks", json={"target_url": url, "event": "interview_synced"})
            assert answer.status_code == 422, (url, answer.text)
            assert answer.json()["errors"][0]["pointer"] == "/target_url"
        assert (await world.client.get("/hooks")).json() == []


async def test_bad_input_subscribes_nobody(world: World, receiver: Receiver) -> None:
    for body in ({"event": "interview_synced"}, {"target_url": receiver.url, "event": "no_such"},
                 {"target_url": receiver.url, "event": "interview_synced", "more": 1}):  # fmt: skip
        assert (await world.client.post("/hooks", json=body)).status_code == 422
    other = {"target_url": receiver.url, "event": "interview_synced", "connection": "nope"}
    assert (await world.client.post("/hooks", json=other)).status_code == 404
    assert (await world.client.get("/triggers/no_such")).status_code == 404
    assert (await world.client.get("/triggers", headers={"Authorization": ""})).status_code == 401
    assert len((await world.client.get("/triggers")).json()) == len(EventType)


async def test_a_poll_takes_a_limit_and_refuses_what_it_does_not_know(world: World) -> None:
    for number in (1, 2, 3):
        await world.deliver(message(f"int-{number}", number))
        await world.ended(f"int-{number}")
    where = "/triggers/interview_synced"

    async def polled(query: str) -> list[str]:
        answer = await world.client.get(f"{where}{query}")
        assert answer.status_code == 200, answer.text
        return [one["interview_id"] for one in answer.json()]

    assert await polled("?limit=2") == ["int-3", "int-2"]
    every = ["int-3", "int-2", "int-1"]
    for query in ("", "?limit=500", "?limit=&connection=", "?connection=default&limit=3"):
        assert await polled(query) == every, query
    for query, pointer in (
        ("?limit=0", "/limit"),
        ("?limit=501", "/limit"),
        ("?limit=many", "/limit"),
        ("?since=2026-11-20", "/since"),
        ("?cursor=", "/cursor"),
    ):
        refused = await world.client.get(f"{where}{query}")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), refused.text
    assert (await world.client.get(f"{where}?connection=nope")).status_code == 404


async def test_what_happened_to_a_forgotten_person_is_shown_without_them(world: World) -> None:
    await world.deliver(message("int-1", respondent_email="ada@example.com"))
    await world.ended("int-1")
    await world.get("start_interview", email="ada@example.com", user_id="user-42")
    await world.get("forget_respondent", email="ada@example.com", wait_seconds=20)
    for name in ("interview_synced", "invitation_created", "launch_finished"):
        (told,) = (await world.client.get(f"/triggers/{name}")).json()
        assert "ada@" not in str(told)
        assert "user-42" not in str(told)
        assert told.get("interview_link") is None


async def test_an_anonymous_interview_has_no_id_in_events(world: World) -> None:
    told = {"event": "interview.analysis_ready", "interview_id": "itv-anonymous", "anonymous": True}
    await world.deliver({**told, "transcript_url": "https://www.koji.so/interviews/itv-anonymous"})
    await world.seen("itv-anonymous", status="skipped")
    (event,) = (await world.client.get("/triggers/interview_skipped")).json()
    assert (event["reason"], event["interview_id"], event["transcript_url"]) == ("anonymous", None, None)
    assert "itv-anonymous" not in str(event)
