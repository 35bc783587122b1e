"""Run one server of the demo: a process of its own on a free loopback port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

HOST = "127.0.0.1"
_START_SECONDS = 40.0
_STOP_SECONDS = 12.0  # the connector waits at most 10 s for calls in flight
_PORT_TRIES = 3
_LAST_LINES = 8
# Nothing else of the caller's environment reaches a server: no settings, no keys, no proxy, no home.
_INHERITED = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "COMSPEC", "PATHEXT"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"),
)


class DemoError(Exception):
    """The demo cannot continue. The message is one line; `log` holds the last lines of a server's log."""

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)


@dataclass(frozen=True, slots=True)
class Child:
    """One server process; `log` is the file of its output."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{HOST}:{self.port}"

    def last_lines(self) -> list[str]:
        """Return the end of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]

    def require_running(self) -> None:
        """Raise DemoError when the process ended."""
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"The {self.name} ended with exit code {code}.", self.last_lines())

    def stop(self) -> None:
        """Ask the process to end, and kill it when it does not."""
        self.process.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        finally:
            # also when a second Ctrl-C cuts the wait short
            self.process.kill()
            self.process.wait()


@contextmanager
def child(
    name: str, ready_path: str, directory: Path, arguments: Sequence[str], settings: Mapping[str, str]
) -> Iterator[Child]:
    """Start a server in `directory` and wait until `ready_path` answers 200.

    `arguments` are Python's; `--port` is added to them. The server is ended however the block is left. Raises
    DemoError when it ends by itself or stays silent.
    """
    for tries_left in reversed(range(_PORT_TRIES)):
        server = _start(name, directory, arguments, settings)
        try:
            if _is_ready(server, ready_path, or_port_lost=tries_left > 0):
                yield server
                return
        finally:
            server.stop()


def _start(name: str, directory: Path, arguments: Sequence[str], settings: Mapping[str, str]) -> Child:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules, with arguments of our own
            [sys.executable, *arguments, "--port", str(port)],
            cwd=directory,
            env={**_environment(directory), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Child(name, port, process, log)


def _is_ready(server: Child, path: str, *, or_port_lost: bool) -> bool:
    """Wait until the server answers; with `or_port_lost` return False when another program took its port."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            if server.process.poll() is not None and or_port_lost and _is_taken(server.port):
                return False
            server.require_running()
            with suppress(httpx.TransportError):
                if client.get(path).status_code == 200:
                    return True
            time.sleep(0.05)
    raise DemoError(f"The {server.name} did not answer within {_START_SECONDS:.0f} s.", server.last_lines())


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _environment(directory: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "HOME": str(directory),
        "USERPROFILE": str(directory),
        # absolute, because the server runs in another directory; the package may be found from this one alone
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
        "PYTHONUNBUFFERED": "1",
    }
