"""While another program locks the ledger, every call ends in time, with 503."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connector.http import health
from connector.ledger.db import writer
from connector.ledger.db.schema import metadata
from connector.operations import OPERATIONS
from connector.service.execution.operation import Effect, EffectInput
from tests.support.fakes import Counted
from tests.support.harness import QUICK, World, message, open_world, until
from tests.support.toy_server import assert_problem

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

KEY = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
COHORT = {"cohort_id": "c", "cohort_name": "C", "in_cohort": True, "message_id": "m", "users": []}


@contextmanager
def locked(url: str, tables: str) -> Iterator[None]:
    """Lock the ledger as another program does: SQLite's file, or these tables of PostgreSQL."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
    else:
        with psycopg.connect(url) as other:
            while True:
                try:
                    other.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
                    break
                except psycopg.errors.DeadlockDetected:  # a worker held one of them
                    other.rollback()
            yield
            other.rollback()


def asked(operation: Any) -> dict[str, Any]:
    more = {"idempotency_key": f"of-{operation.name}"} if issubclass(operation.input, EffectInput) else {}
    return {**operation.example.asked, **more}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_call_ends_in_time(
    tmp_path: Path,
    kind: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    counted: Counted,
) -> None:
    monkeypatch.setattr(writer, "ACCEPT_SECONDS", 0.3)
    monkeypatch.setattr(health, "PING_SECONDS", 0.3)
    is_sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/ledger.db" if is_sqlite else request.getfixturevalue("postgres_url")
    async with open_world(
        tmp_path,
        DATABASE_URL=url,
        CONNECTOR_ENCRYPTION_KEY=KEY,
        KOJI_PROJECT_ID=QUICK.koji_project_id,
        AMPLITUDE_COHORT_WEBHOOK_TOKEN="a-cohort-token",
    ) as world:
        await until(lambda: is_ready(world))
        with locked(url, ", ".join(metadata.tables)):
            assert_problem(await world.client.get("/readyz"), 503, "store_unavailable")
            for op in OPERATIONS:
                answer = await world.client.post(f"/actions/{op.name}", json=asked(op))
                # readers of SQLite are not kept out, and this one asks Amplitude alone
                may_read = (is_sqlite and op.effect is Effect.READ) or op.name == "list_cohorts"
                ends = {200, 404, 502, 503} if may_read else {503}
                assert answer.status_code in ends, (op.name, answer.text)
            cohorts = "/webhooks/amplitude/cohorts?token=a-cohort-token"
            assert (await world.client.post(cohorts, json=COHORT)).status_code == 503
            assert (await world.send(message("int-1"))).status_code == 503
        assert not world.sandbox.koji.store.interviews
        await until(lambda: is_ready(world))
        assert (await world.get("list_launches"))["items"] == []  # what was refused does not happen later
        counted(
            f"locked {kind}: {len(OPERATIONS)} operations and 2 webhooks ended in time, nothing of them happened later"
        )


async def test_a_server_that_may_not_write_to_one_table_is_not_ready(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PING_SECONDS", 0.3)
    async with open_world(
        tmp_path, workers=False, DATABASE_URL=postgres_url, CONNECTOR_ENCRYPTION_KEY=KEY
    ) as world:
        with locked(postgres_url, "run_item"):
            assert_problem(await world.client.get("/readyz"), 503, "store_unavailable")
        await until(lambda: is_ready(world))


async def is_ready(world: World) -> bool:
    return (await world.client.get("/readyz")).status_code == 200
