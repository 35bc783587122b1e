"""Child processes of the bench: the connector, its ceiling, the stand-ins, the load."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.load import SECRET


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def child(arguments: list[str], environ: Mapping[str, str], directory: Path, health: str) -> Iterator[int]:
    """Run `python ARGUMENTS` until the block ends; yield its process id once `health` answers."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KOJI_", "AMPLITUDE_", "CONNECTOR_"))}
    root = str(Path(__file__).parents[2])
    with (directory / f"{arguments[1]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env={**clean, "PYTHONPATH": root, **environ},
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(health, timeout=1):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def settings(port: int, database_url: str, sandbox: str | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a connector under measurement: pacing and limits off."""
    environ = {
        "KOJI_WEBHOOK_SECRET": SECRET,
        "CONNECTOR_API_TOKEN": "bench-token",
        "CONNECTOR_ENCRYPTION_KEY": "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDE=",
        "CONNECTOR_LOG_LEVEL": "warning",
        "DATABASE_URL": database_url,
        "PORT": str(port or 8080),
        "AMPLITUDE_EVENTS_PER_SECOND": "0",
        **more,
    }
    if sandbox is not None:
        environ |= {
            "KOJI_API_KEY": "sandbox-koji-key",
            "KOJI_BASE_URL": f"{sandbox}/koji",
            "AMPLITUDE_API_KEY": "sandbox-amplitude-key",
            "AMPLITUDE_INGESTION_URL": f"{sandbox}/amplitude",
            "AMPLITUDE_REST_URL": f"{sandbox}/amplitude",
        }
    return environ


@contextmanager
def connector(port: int, environ: Mapping[str, str], directory: Path, *flags: str) -> Iterator[int]:
    """Run `koji-amplitude serve`."""
    with child(
        ["-m", "connector", "serve", *flags], environ, directory, f"http://127.0.0.1:{port}/healthz"
    ) as pid:
        yield pid


@contextmanager
def ceiling(port: int, environ: Mapping[str, str], directory: Path) -> Iterator[int]:
    """Run the same server with no storage."""
    with child(
        ["-m", "tests.bench.ceiling"], environ, directory, f"http://127.0.0.1:{port}/webhooks/koji"
    ) as pid:
        yield pid


@contextmanager
def sandbox(directory: Path) -> Iterator[str]:
    """Run the stand-ins without limits."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    arguments = ["-m", "connector", "sandbox", "--port", str(port), "--no-throttle", "--no-store"]
    with child(arguments, {}, directory, f"{base}/control/state"):
        yield base


class Load:
    """The load generator: prepares its requests at once, sends when told."""

    def __init__(self, port: int, requests: int, *flags: str) -> None:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.bench.load",
                "--port",
                str(port),
                "--requests",
                str(requests),
                *flags,
            ],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def send(self) -> dict[str, Any]:
        """Send everything; return what was measured."""
        out, _ = self._process.communicate("go\n", timeout=300)
        measured: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return measured


def state(base: str) -> dict[str, Any]:
    """Return the stand-in's counts."""
    with urllib.request.urlopen(f"{base}/control/state", timeout=30) as answer:
        counts: dict[str, Any] = json.load(answer)
    return counts


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
