"""A private PostgreSQL cluster for tests: on a loopback port, in a temporary directory, gone at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

URL_VARIABLE = "KOJI_AMPLITUDE_TEST_POSTGRES"
MISSING = (
    f"needs PostgreSQL: install its server programs (initdb, pg_ctl), or set {URL_VARIABLE}=postgresql://..."
)
_INSTALLED = Path("/usr/lib/postgresql")
_USER = "postgres"
_GUARD = """
import json, shutil, subprocess, sys
sys.stdin.read()  # ends with the process that started this one
subprocess.run(json.loads(sys.argv[1]), cwd="/", stdin=subprocess.DEVNULL, check=False)
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""
_OPTIONS = "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"


def is_available() -> bool:
    """Tell whether the environment names a server, or one can be started."""
    return bool(os.environ.get(URL_VARIABLE)) or (
        _program("initdb") is not None and _program("pg_ctl") is not None
    )


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Yield the URL of a server whose user may create databases; `durable` is for measurements.

    A guard in a session of its own ends the server when this process ends, however it ends.
    """
    if url := os.environ.get(URL_VARIABLE):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="koji-amplitude-postgres-"))
    if _as_user():
        shutil.chown(folder, _USER)
    data, port = str(folder / "data"), _free_port()
    options = _OPTIONS.format(port=port, folder=folder) + ("" if durable else " -c fsync=off")
    start = [
        *_command("pg_ctl"),
        "-D",
        data,
        "-o",
        options,
        "-l",
        str(folder / "log"),
        "-w",
        "-t",
        "60",
        "start",
    ]
    stop = [*_command("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop"]
    guarded = [sys.executable, "-c", _GUARD, json.dumps(stop), str(folder)]
    guard = subprocess.Popen(
        guarded,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _run([*_command("initdb"), "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"])
        _run(start)
        yield f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
    finally:
        guard.communicate()


@contextmanager
def database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a copy of a database, an empty one by default; it is dropped at the end, even in use."""
    name = f"koji_amplitude_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        words = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"  # faster than the log for one as small as ours
        connection.execute(sql.SQL(words).format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _command(name: str) -> list[str]:
    program = _program(name)
    assert program is not None, MISSING
    return [*_as_user(), program]


def _run(command: Sequence[str]) -> None:
    # the server inherits these streams: a pipe would never end
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            timeout=120,
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def _as_user() -> list[str]:
    """Return what makes a command run as another user: PostgreSQL refuses to run as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    if runuser := shutil.which("runuser"):
        return [runuser, "-u", _USER, "--"]
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--"]


def _program(name: str) -> str | None:
    if path := shutil.which(name):
        return path
    versions = sorted(_INSTALLED.glob(f"*/bin/{name}"), key=lambda path: _number(path.parts[-3]))
    return str(versions[-1]) if versions else None


def _number(version: str) -> float:
    return float(version) if version.replace(".", "", 1).isdigit() else 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
