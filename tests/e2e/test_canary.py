"""Plant secrets, addresses and people's words everywhere, walk every path, and look for them where none belongs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from connector import log
from connector.surfaces.cli.startup import secrets_of
from tests.e2e.harness import QUICK, TOKEN, World, letter, open_world, until

WORDS = "canary-words-of-a-respondent"
NAME = "Canaria Nightingale"
PERSON = "canary.person"
KOJI_KEY = "canary-koji-key-0001"
WEBHOOK_SECRET = "canary-webhook-secret-0001"
AMPLITUDE_KEY = "canary-amplitude-key-0001"
AMPLITUDE_SECRET = "canary-amplitude-secret-0001"


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def address(number: int) -> str:
    return f"{PERSON}-{number}@example.com"


async def walk(world: World) -> list[str]:
    """Call everything in good and bad ways, with upstreams that answer and that fail; return error bodies."""
    errors: list[str] = []

    async def call(operation: str, **fields: Any) -> Any:
        answer = await world.call(operation, **fields)
        if answer.status_code >= 400:
            errors.append(answer.text)
        return answer.json()

    members = [{"email": address(n), "user_id": f"user-{n}", "name": NAME} for n in range(3)]
    await call("plan_cohort_launch", members=members)
    launched = await call("launch_cohort_interviews", members=members, metadata={"said": WORDS})
    await call("get_launch", launch_id=launched["launch_id"])
    await call("start_interview", email=address(7), name=NAME, idempotency_key=WORDS)
    await call("start_interview", email=address(8), name=NAME, idempotency_key=WORDS)
    await call("complete_interview", interview_id=address(1))
    await call("get_sync", interview_id=address(1))
    await call("list_syncs", cursor=address(1))
    await call("start_interview", email=f"{WORDS} {address(2)}", unknown=address(3))
    await world.client.post(f"/actions/get_sync?token={TOKEN}&x={address(4)}", content=f"{{{WORDS}")
    await world.client.get(f"/no/such/{address(4)}", headers={"Authorization": f"Bearer {KOJI_KEY}"})

    said = {"themes": [WORDS], "summary": WORDS, "respondent_name": NAME}
    await world.send(letter("int-1", respondent_email=address(1), **said), secret=WEBHOOK_SECRET)
    await world.send(letter("int-2", respondent_email=address(2), **said), secret="canary-wrong-secret-0001")
    unreadable = f'{{"interview_id": "int-3", "said": "{WORDS}", "who": "{address(3)}"'.encode()
    await world.send(unreadable, secret=WEBHOOK_SECRET)
    await world.fault("amplitude", "status", status=400, body={"error": f"{WORDS} {address(1)}"})
    await world.send(letter("int-4", respondent_email=address(4), **said), secret=WEBHOOK_SECRET)

    async def all_arrived() -> bool:
        world.move(61)
        found = (await world.get("list_syncs"))["items"]
        return bool(
            {"int-1", "int-4"} <= {one["interview_id"] for one in found if one["status"] != "pending"}
        )

    await until(all_arrived)
    for operation in (
        "get_sync",
        "get_interview_analysis",
        "preview_interview_sync",
        "sync_interview_to_amplitude",
    ):
        await call(operation, interview_id="int-1")
    await call("check_connection")
    await call("replay_syncs", interview_ids=["int-1", address(5)])
    return errors


def everything_in(folder: Path) -> bytes:
    """Return every byte of the database and its log."""
    with closing(sqlite3.connect(folder / "ledger.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(one.read_bytes() for one in folder.glob("ledger.db*"))


async def test_logs_errors_and_the_store_give_nothing_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_world(
        tmp_path,
        options=replace(
            QUICK,
            koji_api_key=KOJI_KEY,
            amplitude_api_key=AMPLITUDE_KEY,
            amplitude_secret_key=AMPLITUDE_SECRET,
        ),
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH="100",
        CONNECTOR_MAX_CREDITS_PER_DAY="100",
        KOJI_API_KEY=KOJI_KEY,
        KOJI_WEBHOOK_SECRET=WEBHOOK_SECRET,
        AMPLITUDE_API_KEY=AMPLITUDE_KEY,
        AMPLITUDE_SECRET_KEY=AMPLITUDE_SECRET,
    ) as world:
        log.configure("debug", secrets=secrets_of(world.settings))
        # one line that must be there, so that an empty log proves nothing by itself
        structlog.get_logger().debug("walk_begins", secret_in_a_value=KOJI_KEY, who=address(9))
        errors = await walk(world)
        tokens = [one.session_token for one in world.sandbox.koji.store.interviews.values()]
    out, err = capfd.readouterr()
    logged = out + err
    assert "walk_begins" in logged
    assert len(tokens) >= 3
    kept = [
        KOJI_KEY,
        WEBHOOK_SECRET,
        AMPLITUDE_KEY,
        AMPLITUDE_SECRET,
        TOKEN,
        "canary-wrong-secret-0001",
        *tokens,
    ]
    for canary in (*kept, WORDS, PERSON, NAME):
        assert canary not in logged, canary
    assert errors
    for canary in (*kept, NAME):
        assert not [body for body in errors if canary in body], canary

    stored = everything_in(tmp_path)
    assert WORDS.encode() in stored  # the search finds what is there
    for canary in kept:
        assert canary.encode() not in stored, canary
