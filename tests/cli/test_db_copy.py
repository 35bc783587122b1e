"""`db copy`: a ledger that was worked with moves from SQLite to PostgreSQL, whole or not at all."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, select

from connector.ledger.db.bulk import storable
from connector.ledger.db.dialect import sqlite_path, writer_engine
from connector.ledger.db.schema import metadata
from connector.ledger.db.schema.results import inbox
from connector.ledger.db.schema.runtime import lane
from connector.ledger.db.to_postgres import copy_to_postgres
from tests.bench.filling import ALIASES, INBOX, INVITATIONS, SYNCS
from tests.support.cli_runs import Machine
from tests.support.fakes import Counted
from tests.support.harness import QUICK, World, message, open_world

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
SETTINGS = {
    "KOJI_PROJECT_ID": QUICK.koji_project_id,
    "CONNECTOR_ALLOW_PRIVATE_TARGETS": "true",
}
NOW = 1_800_000_000_000
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table."""
    engine = writer_engine(url)
    try:
        with engine.connect() as c:
            return {name: _rows(c, name) for name in metadata.tables}
    finally:
        engine.dispose()


def _rows(c: Connection, name: str) -> list[tuple[Any, ...]]:
    table = metadata.tables[name]
    return sorted((tuple(row) for row in c.execute(select(table))), key=repr)


def tables_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(TABLES).fetchone()
    assert row is not None
    return int(row[0])


async def fill(world: World) -> None:
    """Let the ledger hold interviews, a launch, a subscription, a token and an audit."""
    hook = {"event": "interview_synced", "target_url": "http://127.0.0.1:9/hook"}
    assert (await world.client.post("/hooks", json=hook)).is_success
    for number in range(5):
        assert (await world.send(message(f"int-{number}", number))).is_success
    members = [{"user_id": f"user-{n}", "email": f"person-{n:03}@example.com"} for n in range(3)]
    await world.get("launch_cohort_interviews", members=members, wait_seconds=20)
    await world.get("forget_respondent", email="person-004@example.com", wait_seconds=20)


async def test_it_goes_on_in_postgresql_where_it_was(tmp_path: Path, empty_postgres_url: str) -> None:
    async with open_world(tmp_path) as world:
        await world.reconfigure(SETTINGS)
        await fill(world)
        await world.stop()
        source = world.settings.database_url
        engine = writer_engine(source)
        with engine.begin() as c:
            c.execute(inbox.update().where(inbox.c.interview_id == "int-1").values(header="a\0b"))
        engine.dispose()
        before = rows_of(source)
        counts = copy_to_postgres(source, empty_postgres_url, NOW)
        after = rows_of(empty_postgres_url)
        assert before == rows_of(source)
        assert any("a\ufffdb" in row for row in after["inbox"])
        assert after == {name: [tuple(map(storable, row)) for row in rows] for name, rows in before.items()}
        assert counts == {name: len(rows) for name, rows in before.items()}
        assert counts["inbox"] >= 5
        assert counts["sync"] >= 5
        assert counts["invitation"] == 3
        key = (tmp_path / "encryption-key").read_text().strip()
        await world.start(DATABASE_URL=empty_postgres_url, CONNECTOR_ENCRYPTION_KEY=key)
        repeated = await world.send(message("int-0", 0))
        assert repeated.json()["duplicate"]
        assert not (await world.send(message("int-new", 7))).json()["duplicate"]
        await world.ended("int-new")
        answer = await world.client.get("/hooks")
        assert len(answer.json()) == 1


def test_the_command_says_what_was_copied_and_what_to_set(tmp_path: Path, empty_postgres_url: str) -> None:
    machine = Machine(tmp_path)
    none = machine.run("db", "copy", empty_postgres_url)
    assert (none.returncode, "nothing to copy" in none.stderr) == (2, True)
    assert machine.run("list-syncs").returncode == 0
    for wrong in ("mysql://host/name", "sqlite:///file.db", "no url"):
        assert machine.run("db", "copy", wrong).returncode == 2
    ledger = machine.home / ".local" / "share" / "koji-amplitude" / "ledger.db"
    before = ledger.read_bytes()
    secret = empty_postgres_url.replace("postgres@", "postgres:a-password@")
    done = machine.run("db", "copy", secret)
    assert done.returncode == 0, done.stderr
    key = ledger.with_name("encryption-key")
    assert f"CONNECTOR_ENCRYPTION_KEY=…  the content of {key}" in done.stdout
    assert key.read_text().strip() not in done.stdout + done.stderr
    assert "a-password" not in done.stdout + done.stderr
    assert ledger.read_bytes() == before
    again = machine.run("db", "copy", secret)
    assert (again.returncode, "has a ledger already" in again.stderr) == (3, True)


def test_a_ledger_in_use_is_not_copied(sqlite_url: str, empty_postgres_url: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"DATABASE_URL": sqlite_url})
    engine = writer_engine(sqlite_url)
    with engine.begin() as c:
        ends = time.time_ns() // 1_000_000 + 600_000
        values = {"token": 3, "paced_until": 0, "paused_until": 0}
        c.execute(lane.insert().values(name="intake", owner="host:1:a", until=ends, **values))
    refused = machine.run("db", "copy", empty_postgres_url)
    assert (refused.returncode, "stop every one first" in refused.stderr) == (3, True)
    assert tables_in(empty_postgres_url) == 0
    with engine.begin() as c:
        c.execute(lane.update().values(until=1))
    engine.dispose()
    assert machine.run("db", "copy", empty_postgres_url).returncode == 0
    [copied] = rows_of(empty_postgres_url)["lane"]
    assert copied[:4] == ("intake", None, 0, 3)


def test_what_fails_in_the_middle_leaves_nothing_behind(
    sqlite_url: str, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.ledger.db import to_postgres  # noqa: PLC0415 - to patch it

    monkeypatch.setattr(to_postgres, "storable", lambda value: value)
    engine = writer_engine(sqlite_url)
    with engine.begin() as c:
        c.execute(inbox.insert().values(connection="default", received_at=1, source="a\0b", state="done"))
    engine.dispose()
    with pytest.raises(Exception, match="cannot be used"):
        copy_to_postgres(sqlite_url, empty_postgres_url, NOW)
    assert tables_in(empty_postgres_url) == 0


def test_a_ledger_of_another_version_is_not_copied(sqlite_url: str, empty_postgres_url: str) -> None:
    engine = writer_engine(sqlite_url)
    with engine.begin() as c:
        c.exec_driver_sql("UPDATE schema_revision SET version_num = '0001'")
    engine.dispose()
    with pytest.raises(Exception, match="another version"):
        copy_to_postgres(sqlite_url, empty_postgres_url, NOW)


@pytest.mark.proof
def test_two_hundred_thousand_interviews(sqlite_url: str, empty_postgres_url: str, counted: Counted) -> None:
    number = 200_000
    with closing(sqlite3.connect(sqlite_path(sqlite_url))) as source, source:
        for statement in (SYNCS, INBOX, INVITATIONS, ALIASES):
            source.execute(statement, (number,))
    began = time.monotonic()
    counts = copy_to_postgres(sqlite_url, empty_postgres_url, NOW)
    seconds = time.monotonic() - began
    rows = sum(counts.values())
    assert counts["sync"] == counts["inbox"] == counts["invitation"] == counts["alias"] == number
    counted(f"{rows:,} rows of {number:,} interviews in {seconds:.1f} s: {rows / seconds:,.0f} rows a second")
