"""`backup` beside a server under load, and `restore` on a machine without a ledger."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from connector.domain.launches.launch import LaunchStatus
from connector.ledger.db.copies import copy_sqlite, make_ready
from connector.ledger.ledger import open_ledger
from connector.sandbox.options import FAKE_SIGNING_KEY
from connector.settings.key_files import open_sealer
from tests.support.cli_runs import STARTED, Machine, free_port, sandbox_settings, wait_for
from tests.support.harness import QUICK, open_world, sign

pytestmark = pytest.mark.e2e


@pytest.fixture
def machine(tmp_path: Path, sandbox: str) -> Machine:
    httpx.post(f"{sandbox}/control/reset").raise_for_status()
    return Machine(
        tmp_path, {**sandbox_settings(sandbox), "PORT": str(free_port()), "CONNECTOR_API_TOKEN": "tok"}
    )


def another(tmp_path: Path) -> Machine:
    home = tmp_path / "another"
    home.mkdir()
    return Machine(home)


def ledger_of(machine: Machine) -> Path:
    return machine.home / ".local" / "share" / "koji-amplitude" / "ledger.db"


class Load:
    """Koji, sending one webhook after the other until it is told to stop."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self.acknowledged: list[str] = []
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        with httpx.Client(timeout=30) as client:
            for number in range(1_000_000):
                if self._stop.is_set():
                    return
                told = {"event": "interview.completed", "interview_id": f"itv-{number:07}", "anonymous": True}
                raw = json.dumps(told).encode()
                signed = sign(raw, FAKE_SIGNING_KEY, webhook_id=f"msg_{number}")
                if client.post(self._url, content=raw, headers=signed).status_code == 200:
                    self.acknowledged.append(f"itv-{number:07}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def test_a_backup_under_load_keeps_all_that_was_acknowledged_before(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "ledger.backup"
    with machine.started("serve", until=STARTED):
        load = Load(f"http://127.0.0.1:{machine.settings['PORT']}/webhooks/koji")
        try:
            wait_for(lambda: len(load.acknowledged) >= 50)
            before = list(load.acknowledged)
            made = machine.run("backup", str(file))
            assert made.returncode == 0, made.stderr
            assert "The settings are not in it: copy .env and connector.toml too" in made.stdout
            seen = len(load.acknowledged)
            wait_for(lambda: len(load.acknowledged) > seen)  # the server went on
        finally:
            load.stop()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        assert "api-token" not in archive.getnames(), "the token is a setting here"
    restored = another(tmp_path)
    done = restored.run("restore", str(file))
    assert done.returncode == 0, done.stderr
    assert "copy .env and connector.toml here" in done.stdout
    assert "Next: koji-amplitude serve" in done.stdout
    for path in ledger_of(restored).parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(ledger_of(restored))) as db:
        kept = {
            row[0] for row in db.execute("SELECT interview_id FROM inbox UNION SELECT interview_id FROM sync")
        }
        assert db.execute("SELECT count(*) FROM lane WHERE owner IS NOT NULL OR until > 0").fetchone() == (0,)
    assert set(before) <= kept
    key = ledger_of(machine).with_name("encryption-key").read_text()
    assert ledger_of(restored).with_name("encryption-key").read_text() == key
    assert restored.run("list-syncs").returncode == 0


def test_neither_command_replaces_a_file(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "ledger.backup"
    none = machine.run("backup", str(file))
    assert (none.returncode, file.exists()) == (2, False)
    assert "nothing is stored yet" in none.stderr
    machine.run("list-syncs")
    assert machine.run("backup", str(file)).returncode == 0
    before = file.read_bytes()
    again = machine.run("backup", str(file))
    assert (again.returncode, file.read_bytes()) == (3, before)
    assert f"{file}: exists" in again.stderr
    other = another(tmp_path)
    for name in ("ledger.db", "ledger.db-wal", "encryption-key", "api-token"):
        there = ledger_of(other).with_name(name)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("mine")
        refused = other.run("restore", str(file))
        assert refused.returncode == 3
        assert f"{there}: exists" in refused.stderr
        assert [path.name for path in there.parent.iterdir()] == [name]
        there.unlink()


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(os.urandom(9_999))[:5_000], None])
def test_a_file_that_is_no_backup_leaves_nothing_behind(tmp_path: Path, content: bytes | None) -> None:
    machine, file = Machine(tmp_path), tmp_path / "some.file"
    if content is None:  # an archive with a database that is none
        (tmp_path / "ledger.db").write_bytes(b"no database" * 1_000)
        with tarfile.open(file, "w:gz") as archive:
            archive.add(tmp_path / "ledger.db", "ledger.db")
    else:
        file.write_bytes(content)
    refused = machine.run("restore", str(file))
    assert refused.returncode == 2
    why = "cannot be restored" if content is None else "is not a backup of koji-amplitude\n"
    assert refused.stderr.startswith(f"error: {file}: {why}")
    assert list(ledger_of(machine).parent.iterdir()) == []


@pytest.mark.parametrize(("command", "tool"), [("backup", "pg_dump "), ("restore", "pg_restore ")])
def test_postgresql_has_tools_of_its_own(tmp_path: Path, command: str, tool: str) -> None:
    key = "A" * 43 + "="  # not-a-secret
    settings = {"DATABASE_URL": "postgresql://localhost/none", "CONNECTOR_ENCRYPTION_KEY": key}
    (tmp_path / "a.file").touch()
    machine = Machine(tmp_path, settings)
    refused = machine.run(command, str(tmp_path / ("a.file" if command == "restore" else "b.file")))
    assert refused.returncode == 2
    assert tool in refused.stderr


async def test_what_would_be_started_again_waits_for_a_person(tmp_path: Path) -> None:
    people = [{"user_id": f"user-{n:03}"} for n in range(4)]
    async with open_world(tmp_path, options=QUICK, KOJI_PROJECT_ID=QUICK.koji_project_id) as world:
        await world.restart(workers=False)
        running = await world.get("launch_cohort_interviews", members=people[:2], wait_seconds=0)
        paused = await world.get("launch_cohort_interviews", members=people[2:3], wait_seconds=0)
        await world.context.ledger.launch_pauses.pause(["default"], "koji_credits", world.clock.now())
        await world.context.ledger.launches.resume(running["launch_id"], None, world.clock.now())
        planned = await world.get("plan_cohort_launch", members=people[3:])
        copy = tmp_path / "copy.db"
        copy_sqlite(world.context.settings.database_file or tmp_path, copy)
        assert make_ready(copy) == 2
        ledger = await open_ledger(f"sqlite:///{copy}", open_sealer(world.context.settings))
        try:
            for launch in (running, paused):
                held = await ledger.launches.find(launch["launch_id"])
                assert held is not None
                assert (held.status, held.pause_reason) == (LaunchStatus.PAUSED, "restored")
            unused = await ledger.planning.use_plan(planned["launch_id"], world.clock.now())
            assert unused is None or unused.status is LaunchStatus.PLANNED
        finally:
            await ledger.close()
