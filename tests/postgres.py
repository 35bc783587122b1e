"""A private PostgreSQL cluster for tests: on a loopback port, in a temporary directory, gone at the end."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

GIVEN = "KOJI_AMPLITUDE_TEST_POSTGRES"
MISSING = f"needs PostgreSQL: install its server programs (initdb, pg_ctl), or set {GIVEN}=postgresql://..."
_INSTALLED = Path("/usr/lib/postgresql")
_USER = "postgres"
_OPTIONS = "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
_QUICK = " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
# This shell outlives the tests and every signal to them. When they are gone, however they ended, so is their end
# of the pipe that it reads, and it stops the server.
_KEEP = """
trap '' HUP INT TERM
exec 2>>{folder}/said
if {initdb} >&2 </dev/null && {start} >&2 </dev/null; then echo ready; else echo failed; fi
cat >/dev/null
{stop} >&2
rm -rf {folder}
"""
# all but what names the schema's revision; some tables refuse, by triggers
_EMPTY = """
DO $$ DECLARE name text; filled boolean;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  FOR name IN SELECT tablename FROM pg_tables
    WHERE schemaname = current_schema() AND tablename <> 'alembic_version'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO filled;
    IF filled THEN
      EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', name);
      EXECUTE format('TRUNCATE %I RESTART IDENTITY', name);
      EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', name);
    END IF;
  END LOOP;
END $$
"""


def is_available() -> bool:
    """Tell whether a server was given or can be started."""
    return bool(os.environ.get(GIVEN)) or (_program("initdb") is not None and _program("pg_ctl") is not None)


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Yield the URL of a server whose user may create databases; `durable` is for measurements."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="koji-amplitude-postgres-"))
    if _as_user():
        shutil.chown(folder, _USER)
    data, port = str(folder / "data"), _free_port()
    options = _OPTIONS.format(port=port, folder=folder) + ("" if durable else _QUICK)
    script = _KEEP.format(
        folder=shlex.quote(str(folder)),
        initdb=_command("initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"),
        start=_command(
            "pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "-t", "60", "start"
        ),
        stop=_command("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"),
    )
    keeper = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", start_new_session=True
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        assert keeper.stdout.readline() == b"ready\n", (folder / "said").read_text(errors="replace")
        yield f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        keeper.wait(60)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Yield the URL of an empty database on a server; it is dropped at the end, whoever still uses it."""
    name = f"koji_amplitude_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(url: str) -> None:
    """Empty all tables of a database, after the end of whatever still uses it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_EMPTY)


def _command(name: str, *arguments: str) -> str:
    """Return a command of PostgreSQL for the shell."""
    program = _program(name)
    assert program is not None, MISSING
    return shlex.join([*_as_user(), program, *arguments])


def _as_user() -> list[str]:
    """Return what makes a command run as another user: PostgreSQL refuses to run as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    if runuser := shutil.which("runuser"):
        return [runuser, "-u", _USER, "--"]
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--"]


def _program(name: str) -> str | None:
    if found := shutil.which(name):
        return found
    versions = sorted(_INSTALLED.glob(f"*/bin/{name}"), key=lambda path: _number(path.parts[-3]))
    return str(versions[-1]) if versions else None


def _number(version: str) -> float:
    return float(version) if version.replace(".", "", 1).isdigit() else 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
