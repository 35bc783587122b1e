"""What is remembered of refused webhooks, and what is not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import MovableClock, StandingClock, World, message, open_world, sign, until

pytestmark = pytest.mark.e2e

WORDS = "what-somebody-said"


@pytest.fixture(params=[MovableClock])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with open_world(tmp_path, clock=request.param()) as one:
        yield one


async def refuse(world: World, size: int = 0) -> None:
    body = json.dumps({**message("int-1"), "quote": WORDS, "padding": "x" * size}).encode()
    headers = {**sign(body, "another-secret"), "X-Respondent": WORDS}
    answer = await world.client.post("/webhooks/koji", content=body, headers=headers)
    assert answer.status_code == 401


async def refused(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.get("check_connection"))["refused_webhooks"]
    return found


async def test_a_refused_webhook_is_shown_with_names_lengths_and_reasons_alone(world: World) -> None:
    await refuse(world)
    (one,) = await refused(world)
    assert set(one) == {"at", "setting", "body_bytes", "headers", "tried"}
    assert "KOJI_WEBHOOK_SECRET" in one["setting"]
    assert {"name": "x-respondent", "length": len(WORDS)} in one["headers"]
    assert one["tried"] == [
        {
            "header": "x-koji-signature",
            "scheme": "hex",
            "why": "HMAC-SHA256 over the body matches none of 1 keys",
        }
    ]


async def test_nothing_of_a_refused_webhook_is_on_disk(world: World) -> None:
    await refuse(world)
    await world.client.post("/webhooks/koji", json={"event": "ping", "words": WORDS})
    assert len(await refused(world)) == 1
    await world.stop()
    for file in world.folder.glob("ledger.db*"):
        stored = file.read_bytes()
        for secret in (WORDS, "int-1", "person-001", "another-secret"):
            assert secret.encode() not in stored
    with sqlite3.connect(world.folder / "ledger.db") as ledger:
        assert ledger.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
    ledger.close()
    await world.start()


async def test_the_last_five_are_kept_for_an_hour_and_a_ping_pushes_none_out(world: World) -> None:
    for size in range(1, 8):
        await refuse(world, size)
        world.move(1.1)
    sizes = [one["body_bytes"] for one in await refused(world)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 5
    for _ in range(7):
        assert (await world.client.post("/webhooks/koji", json={"event": "ping"})).status_code == 200
        world.move(1.1)
    assert [one["body_bytes"] for one in await refused(world)] == sizes
    world.move(3600)
    assert await refused(world) == []


@pytest.mark.parametrize("world", [StandingClock], indirect=True)
async def test_a_burst_is_written_once_a_second_and_its_last_five_are_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    note = world.context.ledger.diagnostics.add

    async def counted(connection: str, kind: str, detail: Any, now: int, keep: int) -> None:
        if kind == "refused":
            written.append(world.clock.now())
        await note(connection, kind, detail, now, keep)

    monkeypatch.setattr(world.context.ledger.diagnostics, "add", counted)
    await asyncio.gather(*(refuse(world, size) for size in range(50)))
    assert len(written) == 1
    assert len(await refused(world)) == 1
    world.move(1.1)

    async def all_shown() -> bool:
        return len(await refused(world)) == 5

    await until(all_shown)
    assert len(written) == 6


async def test_what_waits_to_be_noted_is_written_when_the_server_stops(world: World) -> None:
    await refuse(world, 1)
    await refuse(world, 2)
    await world.restart()
    assert len(await refused(world)) == 2


async def test_a_ping_is_noted_for_the_check(world: World) -> None:
    await world.client.post("/webhooks/koji", json={"event": "ping"})
    found = await world.get("check_connection")
    webhook = next(one for one in found["checks"] if one["name"] == "koji_webhook")
    assert webhook["status"] == "warn"
    assert "test call came at" in webhook["message"]


async def test_a_strangers_webhook_does_not_spoil_a_connection_that_works(world: World) -> None:
    await world.deliver(message("int-1"))
    world.move(10)
    await refuse(world)
    found = await world.get("check_connection")
    webhook = next(one for one in found["checks"] if one["name"] == "koji_webhook")
    assert webhook["status"] == "warn"
    assert "KOJI_WEBHOOK_SECRET" in webhook["message"]
    world.move(10)
    await world.deliver(message("int-2"))
    found = await world.get("check_connection")
    webhook = next(one for one in found["checks"] if one["name"] == "koji_webhook")
    assert webhook["status"] == "ok"


async def test_a_refused_webhook_is_what_a_connection_without_any_has_to_mend(world: World) -> None:
    await refuse(world)
    found = await world.get("check_connection")
    webhook = next(one for one in found["checks"] if one["name"] == "koji_webhook")
    assert (found["ok"], webhook["status"]) == (False, "fail")
    assert found["next_step"] == webhook["message"]
