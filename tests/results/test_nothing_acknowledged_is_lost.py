"""Promises that a stranger tried to break: nothing acknowledged is lost, nobody anonymous is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.harness import message, open_world, until

pytestmark = pytest.mark.e2e

TOML = '[connections.onboarding]\nkoji_webhook_secret = "other-secret"\n'


async def test_an_acknowledged_event_survives_a_process_that_does_not_know_its_connection(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, toml=TOML, workers=False) as world:
        answer = await world.send(message("int-1"), secret="other-secret", path="/webhooks/koji/onboarding")
        assert answer.json()["status"] == "accepted"
        await world.restart(toml="", workers=True)  # as a command from another directory would
        await world.idle()
        await world.restart(toml=TOML, workers=True)

        async def found() -> bool:
            answer = await world.call("get_sync", interview_id="int-1", connection="onboarding")
            return bool(answer.status_code == 200)

        await until(found)


async def test_strangers_do_not_learn_connection_names(tmp_path: Path) -> None:
    async with open_world(tmp_path, toml="[connections.acquisition-secret]\n") as world:
        answer = await world.client.post("/webhooks/koji/nope", content=b"{}", headers={"Authorization": ""})
        assert "acquisition-secret" not in answer.text


async def test_trailing_slash_of_a_connections_address(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        assert (await world.send(message("int-1"), path="/webhooks/koji/default/")).status_code == 200


async def test_a_repeated_answer_does_not_name_who_turned_out_anonymous(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        fields = {"interview": message("int-1"), "idempotency_key": "k-1"}
        assert (await world.get("sync_interview_to_amplitude", **fields))["status"] == "synced"
        await world.deliver(message("int-1", anonymous=True))
        await world.seen("int-1", user_id=None)
        assert "person-001" not in (await world.call("sync_interview_to_amplitude", **fields)).text
