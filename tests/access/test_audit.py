"""Who did what, as a caller sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.domain.access import Token
from connector.errors import LedgerUnavailable
from connector.http.auth import token_digest
from connector.service.tokens import new_token
from tests.support.harness import QUICK, World, open_world

pytestmark = pytest.mark.e2e

EMAIL = "ada.lovelace@example.com"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(
        tmp_path,
        options=QUICK,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="10",
        CONNECTOR_MAX_CREDITS_PER_DAY="100",
    ) as opened:
        yield opened


async def entries(world: World, **where: Any) -> Any:
    return (await world.get("list_audit", **where))["items"]


async def test_what_changes_something_is_listed_and_what_reads_is_not(world: World) -> None:
    launched = await world.get("launch_cohort_interviews", members=[{"email": EMAIL, "name": "Ada"}])
    await world.get("list_syncs")
    [entry] = await entries(world)
    assert (entry["operation"], entry["effect"], entry["surface"], entry["outcome"]) == (
        "launch_cohort_interviews",
        "send",
        "http",
        "done",
    )
    assert entry["touched"] == {"launch_id": launched["launch_id"]}
    assert entry["token"]
    assert entry["at"] <= entry["ended_at"]


async def test_dry_runs_repeats_and_failures_say_so(world: World) -> None:
    members = [{"email": EMAIL}]
    await world.get("launch_cohort_interviews", members=members, dry_run=True)
    for _ in range(2):
        await world.get("start_interview", email=EMAIL, idempotency_key="once")
    refused = await world.call("start_interview", email=EMAIL, name="Other", idempotency_key="once")
    assert refused.status_code == 422
    found = await entries(world)
    assert [one["outcome"] for one in found] == ["idempotency_mismatch", "replayed", "done", "dry_run"]


async def test_refused_calls_write_one_entry_a_minute_for_each_caller(world: World) -> None:
    for name in ("zapier", "make"):
        text = new_token()
        made = Token(name, token_digest(text).hex(), ("read",), None, world.clock.now())
        assert await world.context.ledger.tokens.create(made)
        header = {"Authorization": f"Bearer {text}"}
        for content in ("{}", "no json", '{"connection": "nowhere"}'):
            answer = await world.client.post("/actions/cancel_launch", content=content, headers=header)
            assert answer.status_code == 403
    found = await entries(world)
    assert [(one["token"], one["outcome"]) for one in found] == [
        ("make", "missing_scope"),
        ("zapier", "missing_scope"),
    ]
    world.clock.move(60)
    await world.client.post("/actions/cancel_launch", content="{}", headers=header)
    assert len(await entries(world)) == 3


async def test_no_address_is_ever_listed_and_no_interview_is_joined_to_its_request(world: World) -> None:
    begun = await world.get("start_interview", email=EMAIL, idempotency_key=EMAIL)
    await world.call("complete_interview", interview_id=EMAIL)
    answer = await world.call("list_audit")
    assert "@" not in answer.text
    assert [one["touched"] for one in answer.json()["items"]] == [{}, {"launch_id": begun["launch_id"]}]


async def test_pages_hold_each_entry_once(world: World) -> None:
    for number in range(5):
        await world.call("complete_interview", interview_id=f"int-{number}")
    seen: list[str] = []
    cursor = None
    while True:
        page = await world.get("list_audit", limit=2, cursor=cursor)
        seen += [one["touched"]["interview_id"] for one in page["items"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert seen == [f"int-{number}" for number in (4, 3, 2, 1, 0)]
    assert (await world.call("list_audit", cursor="no cursor")).status_code == 422


async def test_nothing_is_done_that_cannot_be_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> int:
        raise LedgerUnavailable("The ledger cannot be used.")

    monkeypatch.setattr(world.context.ledger.audit, "begin", fail)
    answer = await world.call("start_interview", email=EMAIL)
    assert answer.status_code == 503
    assert not world.sandbox.koji.store.interviews
