"""Interface 4.1: what was unreadable when it came and is readable when it is repeated is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.harness import open_world

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
