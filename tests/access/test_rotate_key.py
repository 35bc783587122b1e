"""`rotate-key` as a real process: beside a server, killed in the middle, dry, and where it refuses."""

from __future__ import annotations

import asyncio
import base64
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from connector.ledger.db.schema.launches import invitation
from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer, parse_key
from tests.support.cli_runs import STARTED, Machine, free_port, wait_for
from tests.support.preloaded import command

pytestmark = pytest.mark.e2e

OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    return Machine(tmp_path, {"DATABASE_URL": f"sqlite:///{folder}/ledger.db", "PORT": str(free_port())})


def key_path(machine: Machine) -> Path:
    return machine.home / "store" / "encryption-key"


def keys(machine: Machine) -> list[str]:
    return key_path(machine).read_text().strip().split(",")


def fill(machine: Machine, key: str, tokens: int = 3) -> str:
    """Make a ledger with session tokens that `key` sealed; return what its hash of a person is."""

    async def work() -> str:
        sealer = Sealer([parse_key(key)])
        ledger = await open_ledger(machine.settings["DATABASE_URL"], sealer)
        told = {"connection": "default", "launch_id": "lau_1", "state": "started", "person": 1, "polls": 0}
        rows = [
            {
                **told,
                "id": f"inv_{n:05}",
                "position": n,
                "created_at": n,
                "updated_at": n,
                "session_token": sealer.seal(f"token {n}".encode()).decode(),
            }
            for n in range(tokens)
        ]
        await ledger.db.write(lambda c: c.execute(insert(invitation), rows) and None)
        hashed = ledger.keyed_hash("ada@example.com")
        await ledger.close()
        return hashed

    return asyncio.run(work())


def opened(machine: Machine, key: str) -> tuple[str, list[str]]:
    """Open everything with one key alone."""

    async def work() -> tuple[str, list[str]]:
        sealer = Sealer([parse_key(key)])
        ledger = await open_ledger(machine.settings["DATABASE_URL"], sealer)
        column = invitation.c.session_token
        rows = await ledger.db.read(
            lambda c: list(c.scalars(select(column).where(column.is_not(None)).order_by(invitation.c.id)))
        )
        found = [ledger.unseal(row) for row in rows]
        hashed = ledger.keyed_hash("ada@example.com")
        await ledger.close()
        return hashed, found

    return asyncio.run(work())


def with_file(machine: Machine, tokens: int = 3) -> str:
    key_path(machine).write_text(OLD + "\n")
    key_path(machine).chmod(0o600)
    return fill(machine, OLD, tokens)


def first_token(machine: Machine) -> str:
    with closing(sqlite3.connect(machine.home / "store" / "ledger.db")) as db:
        (token,) = db.execute("SELECT session_token FROM invitation ORDER BY id LIMIT 1").fetchone()
        return str(token)


def check_done(done: subprocess.CompletedProcess[str], *secrets: str) -> None:
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert not any(secret in done.stdout for secret in (OLD, NEW, *secrets))


def test_a_fresh_key_takes_the_place_of_the_one_in_the_file(machine: Machine) -> None:
    hashed = with_file(machine)
    done = machine.run("rotate-key")
    (key,) = keys(machine)
    check_done(done, key)
    assert key != OLD
    assert "5 values sealed anew, of 5 stored" in done.stdout
    assert stat.S_IMODE(key_path(machine).stat().st_mode) == 0o600
    assert opened(machine, key) == (hashed, ["token 0", "token 1", "token 2"])
    assert not any(OLD.encode() in path.read_bytes() for path in key_path(machine).parent.iterdir())


def test_killed_in_the_middle_it_is_finished_by_the_next_one(machine: Machine) -> None:
    hashed = with_file(machine, tokens=4_000)
    before = first_token(machine)
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "rotate-key"],
        cwd=machine.cwd,
        env=machine.environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: first_token(machine) != before)
    finally:
        process.kill()
        process.wait()
    new, old = keys(machine)
    assert old == OLD
    assert "Finishing that one" in machine.run("rotate-key").stdout
    assert keys(machine) == [new]
    assert opened(machine, new) == (hashed, [f"token {n}" for n in range(4_000)])


def test_two_at_once_leave_one_key_that_opens_everything(machine: Machine) -> None:
    hashed = with_file(machine, tokens=500)
    both = [
        subprocess.Popen(
            command("rotate-key"),
            cwd=machine.cwd,
            env=machine.environment(),
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [process.wait(40) for process in both] == [0, 0]
    (key,) = keys(machine)
    assert opened(machine, key) == (hashed, [f"token {n}" for n in range(500)])


def test_beside_a_running_server(machine: Machine) -> None:
    hashed = with_file(machine)
    with machine.started("serve", until=STARTED):
        check_done(machine.run("rotate-key"))
        assert "ledger" in machine.run("doctor").stdout
    assert opened(machine, keys(machine)[0])[0] == hashed


def test_the_setting_seals_anew_with_its_first_key(machine: Machine) -> None:
    hashed = fill(machine, OLD)
    more = {"CONNECTOR_ENCRYPTION_KEY": f"{NEW},{OLD}"}
    dry = machine.run("rotate-key", "--dry-run", more=more)
    check_done(dry)
    assert "Of 5 values stored, 5 would be sealed anew" in dry.stdout
    assert opened(machine, OLD)[0] == hashed
    done = machine.run("rotate-key", more=more)
    check_done(done)
    assert "5 values sealed anew" in done.stdout
    assert "may be removed" in done.stdout
    assert opened(machine, NEW) == (hashed, ["token 0", "token 1", "token 2"])
    assert "0 values sealed anew" in machine.run("rotate-key", more=more).stdout
    alone = machine.run("rotate-key", more={"CONNECTOR_ENCRYPTION_KEY": NEW})
    assert "put a new one and a comma before it" in alone.stdout
    assert not key_path(machine).exists()


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    with_file(machine)
    done = machine.run("rotate-key", "--dry-run")
    check_done(done)
    assert "5 values would be sealed anew" in done.stdout
    assert keys(machine) == [OLD]


def test_what_opens_with_no_key_is_left_and_told(machine: Machine) -> None:
    with_file(machine)
    with closing(sqlite3.connect(machine.home / "store" / "ledger.db")) as db:
        db.execute("UPDATE invitation SET session_token = 'broken' WHERE id = 'inv_00001'")
        db.commit()
    done = machine.run("rotate-key")
    assert done.returncode == 1
    assert "1 value opened with no key" in done.stdout
    assert "4 values sealed anew, of 5 stored" in done.stdout


def test_a_wrong_key_is_refused_before_anything_changes(machine: Machine) -> None:
    with_file(machine)
    key_path(machine).write_text(NEW + "\n")
    done = machine.run("rotate-key")
    assert done.returncode != 0
    assert "none of the keys opens what is stored" in done.stderr
    assert keys(machine) == [NEW]


def test_a_missing_file_is_not_made_anew(machine: Machine) -> None:
    with_file(machine)
    key_path(machine).unlink()
    done = machine.run("rotate-key")
    assert done.returncode == 2
    assert "put the file back" in done.stderr
    assert not key_path(machine).exists()


def test_another_database_in_the_folder_keeps_the_key_in_use(machine: Machine) -> None:
    with_file(machine)
    store = machine.home / "store"
    shutil.copy(store / "ledger.db", store / "other.db")
    done = machine.run("rotate-key")
    assert done.returncode != 0
    assert "other.db lies in the same folder" in done.stderr
    assert keys(machine) == [OLD]
    (store / "other.db").rename(store / "ledger.db.before-version-2")
    assert machine.run("rotate-key").returncode == 0


def test_without_a_store_there_is_nothing_to_do(machine: Machine) -> None:
    done = machine.run("rotate-key")
    check_done(done)
    assert "Nothing is stored yet" in done.stdout
    assert not list((machine.home / "store").iterdir())
