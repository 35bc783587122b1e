"""Interface 4.1: what was unreadable when it came and is readable when it is repeated is not lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import open_world, until

pytestmark = pytest.mark.e2e

ODD = {
    "event": "interview.analysis_ready",
    "session": {"uuid": "int-1"},
    "respondent_email": "person-001@example.com",
    "themes": ["slow import"],
    "quality_score": 4,
}
ALIAS = {"KOJI_FIELD_ALIASES": "interview_id=session.uuid"}


async def test_a_repetition_that_an_alias_made_readable_is_synced(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        assert (await world.send(ODD)).json() == {"status": "unreadable"}
        await world.reconfigure(ALIAS)
        answer = await world.send(ODD)
        assert answer.json() == {"status": "accepted", "duplicate": True, "interview_id": "int-1"}
        receipt = await world.seen("int-1", status="synced")
        assert len(receipt["received"]) == 1
        assert (await world.get("list_syncs", status="unreadable"))["items"] == []
        run = await world.get("replay_syncs", status="unreadable")
        assert run["total"] == 0
        assert world.completed() == ["int-1"]


async def test_a_repetition_that_is_still_unreadable_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for _ in range(2):
            assert (await world.send(ODD)).json() == {"status": "unreadable"}
        assert len((await world.get("list_syncs", status="unreadable"))["items"]) == 1


async def test_a_replay_of_unreadable_webhooks_is_a_run_that_ends_with_what_could_be_read(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        for n in range(40):
            odd = {**ODD, "session": {"uuid": f"int-{n % 30}"}, "sent": n}
            assert (
                await world.send(odd if n < 35 else {"event": "interview.x", "sent": n})
            ).status_code == 200
        await world.reconfigure(ALIAS)
        begun = await world.call(
            "replay_syncs", status="unreadable", since="2020-01-01T00:00:00Z", wait_seconds=0
        )
        assert (begun.status_code, begun.json()["total"]) in ((202, 40), (202, 30), (200, 30))
        run_id = begun.json()["run_id"]

        async def finished() -> Any:
            run = await world.get("get_run", run_id=run_id)
            return run if run["status"] == "finished" else None

        ended = await until(finished)
        assert (ended["status"], ended["total"], ended["synced"]) == ("finished", 30, 30)
        assert len((await world.get("list_syncs", status="unreadable"))["items"]) == 5
        later = await world.get("replay_syncs", status="unreadable", since="2099-01-01T00:00:00Z")
        assert (later["status"], later["total"]) == ("finished", 0)
