"""`/metrics`: the numbers of the ledger and of this process, for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from connector.domain.access import Token
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.support.fakes import NOW
from tests.support.harness import DAY, QUICK, World, message, open_world, until
from tests.support.receiver import arrived, receiving

pytestmark = pytest.mark.e2e

NAMES = {
    "lane_depth",
    "lane_age_seconds",
    "webhooks",
    "interviews",
    "hook_deliveries",
    "upstream_seconds",
    "rate_limit_wait_seconds",
    "credits_today",
    "pauses",
    "short_counts",
}
Labels = frozenset[tuple[str, str]]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_ALLOW_PRIVATE_TARGETS="true"
    ) as opened:
        yield opened


async def scraped(world: World) -> dict[str, dict[Labels, float]]:
    answer = await world.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = sample.name.removeprefix("koji_amplitude_")
            found.setdefault(name, {})[frozenset(sample.labels.items())] = sample.value
    return found


async def value(world: World, name: str, **labels: str) -> float:
    return (await scraped(world)).get(name, {}).get(frozenset(labels.items()), 0.0)


async def test_every_name_is_there(world: World) -> None:
    text = (await world.client.get("/metrics")).text
    families = {one.name.removeprefix("koji_amplitude_") for one in text_string_to_metric_families(text)}
    assert families == NAMES


async def test_webhooks_are_counted_by_result(world: World) -> None:
    results = ("accepted", "duplicate", "ignored", "unreadable", "refused")
    before = {one: await value(world, "webhooks_total", result=one) for one in results}
    await world.send(message("int-1"))
    await world.send(message("int-1"))
    await world.send({"event": "study.published"})
    await world.send({"event": "interview.completed"})
    await world.send(message("int-2"), secret="wrong")
    after = {one: await value(world, "webhooks_total", result=one) for one in results}
    assert {one: after[one] - before[one] for one in results} == dict.fromkeys(results, 1)


async def test_interviews_by_outcome_and_what_waits(world: World) -> None:
    await world.hold("amplitude")
    await world.deliver(message("int-1"), message("int-2", quality_score=1))
    await world.held("amplitude")
    world.clock.move(90)
    seen = await scraped(world)
    lane = frozenset({("lane", "amplitude")})
    assert seen["lane_depth"][lane] == 1
    assert 90 <= seen["lane_age_seconds"][lane] < 1000
    skipped = frozenset({("outcome", "skipped"), ("reason", "below_quality_gate")})
    assert seen["interviews_total"] == {skipped: 1}
    await world.release("amplitude")
    await world.ended("int-1")
    seen = await scraped(world)
    assert seen["lane_depth"][lane] == seen["lane_age_seconds"][lane] == 0
    assert seen["interviews_total"] == {skipped: 1, frozenset({("outcome", "synced"), ("reason", "")}): 1}


async def test_credits_waiting_starts_and_calls(world: World) -> None:
    calls = await value(world, "upstream_seconds_count", upstream="koji", call="start")
    waits = await value(world, "rate_limit_wait_seconds_count")
    await world.get("start_interview", email="ada@example.com", mode="voice")
    assert await value(world, "credits_today") == 3
    assert await value(world, "upstream_seconds_count", upstream="koji", call="start") == calls + 1
    assert await value(world, "rate_limit_wait_seconds_count") > waits
    world.move(DAY)
    assert await value(world, "credits_today") == 0
    await world.hold("koji", "start")
    members = [{"email": f"person-{n}@example.com"} for n in range(3)]
    await world.get("launch_cohort_interviews", members=members, mode="text", wait_seconds=0)
    await world.held("koji")
    assert await value(world, "lane_depth", lane="koji_starts") == 2  # the third is being started
    await world.release("koji")


async def test_deliveries_and_pauses(world: World) -> None:
    async with receiving() as receiver:
        hook = {"event": "connection_paused", "target_url": receiver.url}
        assert (await world.client.post("/hooks", json=hook)).status_code == 201
        before = await value(world, "hook_deliveries_total", outcome="delivered")
        assert await value(world, "pauses", reason="koji_key") == 0
        await world.fault("koji", "status", status=401, times=None)
        await world.interview("int-1")
        await world.deliver({"interview_id": "int-1"})
        await arrived(receiver, 1)
        assert await value(world, "pauses", reason="koji_key") == 1

        async def delivered() -> bool:
            return await value(world, "hook_deliveries_total", outcome="delivered") == before + 1

        await until(delivered)


async def test_who_may_see_them(world: World) -> None:
    world.client.headers.pop("Authorization")
    assert (await world.client.get("/metrics")).status_code == 401
    await world.restart(CONNECTOR_METRICS_OPEN="true")
    world.client.headers.pop("Authorization")
    assert (await world.client.get("/metrics")).status_code == 200


async def a_token(world: World, scopes: tuple[str, ...], connections: tuple[str, ...] | None) -> str:
    token = new_token()
    made = Token("prometheus", token_digest(token).hex(), scopes, connections, NOW)
    assert await world.context.ledger.tokens.create(made)
    return f"Bearer {token}"


@pytest.mark.parametrize(
    ("scopes", "connections", "code"),
    [
        (("read",), None, None),
        (("send",), None, "missing_scope"),
        (("read",), ("default",), "wrong_connection"),
    ],
)
async def test_a_named_token_needs_read_and_every_connection(
    world: World, scopes: tuple[str, ...], connections: tuple[str, ...] | None, code: str | None
) -> None:
    world.client.headers["Authorization"] = await a_token(world, scopes, connections)
    answer = await world.client.get("/metrics")
    assert answer.status_code == (200 if code is None else 403)
    if code is not None:
        assert answer.json()["code"] == code
