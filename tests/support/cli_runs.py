"""The command line as a user has it: real processes, an empty home, an empty working directory."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connector.sandbox.options import (
    FAKE_AMPLITUDE_KEY,
    FAKE_AMPLITUDE_REST_KEY,
    FAKE_KOJI_KEY,
    FAKE_SIGNING_KEY,
)
from tests.support import preloaded

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
STARTED = '"event": "started"'
"""A server that answers writes this to its log."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def sandbox_settings(base: str) -> dict[str, str]:
    """Settings that point a connector at a sandbox."""
    return {
        "KOJI_BASE_URL": f"{base}/koji",
        "KOJI_API_KEY": FAKE_KOJI_KEY,
        "KOJI_WEBHOOK_SECRET": FAKE_SIGNING_KEY,
        "AMPLITUDE_INGESTION_URL": f"{base}/amplitude",
        "AMPLITUDE_REST_URL": f"{base}/amplitude",
        "AMPLITUDE_API_KEY": FAKE_AMPLITUDE_KEY,
        "AMPLITUDE_SECRET_KEY": FAKE_AMPLITUDE_REST_KEY,
    }


@dataclass
class Machine:
    """An empty home with a working directory; `settings` are environment variables."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def cwd(self) -> Path:
        path = self.home / "work"
        path.mkdir(exist_ok=True)
        return path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        ours = {
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "TERM": "xterm-256color",
        }
        return {**inherited, **ours, **self.settings, **(more or {})}

    def command(self, *words: str) -> list[str]:
        """Return a command; with a product of its own the machine starts a whole interpreter."""
        if "PYTHONPATH" in self.settings:
            return [sys.executable, "-m", "connector", *words]
        return preloaded.command(*words)

    def run(
        self, *words: str, text: str | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end without a terminal."""
        return subprocess.run(
            self.command(*words),
            cwd=self.cwd,
            env=self.environment(more),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @contextmanager
    def started(self, *words: str, until: str) -> Iterator[Started]:
        """Run beside the test; yields once `until` stands in its output."""
        log = self.home / f"{words[0]}-{time.monotonic_ns()}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                self.command(*words),
                cwd=self.cwd,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        started = Started(process, log)
        try:
            wait_for(lambda: until in started.output() or process.poll() is not None)
            assert until in started.output(), started.output()
            yield started
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def terminal(self, *words: str) -> Terminal:
        """Run on a terminal of 80 columns."""
        return Terminal(self, words)


@dataclass
class Started:
    """A process that runs beside the test."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)


class Terminal:
    """A process on a pseudo terminal."""

    def __init__(self, machine: Machine, words: tuple[str, ...]) -> None:
        import pty  # noqa: PLC0415 - not on Windows

        self.screen = ""
        self._looked = 0
        started = machine.command(*words)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(machine.cwd)
            os.execve(started[0], started, machine.environment({"COLUMNS": "80"}))

    def expect(self, text: str) -> str:
        """Read until `text` shows up after what was expected before; return what was read for it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen[self._looked :]:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.screen}"
            assert self._read() or text in self.screen[self._looked :], f"{text!r} never came:\n{self.screen}"
        start = self._looked
        self._looked = self.screen.index(text, start) + len(text)
        return self.screen[start : self._looked]

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.screen
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def interrupt(self) -> None:
        """Press Ctrl-C until something comes of it.

        Python looks for signals, and then begins to wait for a key: one that comes in between is not seen.
        """
        before, again = self.screen, 0.0
        while self.screen == before:
            if time.monotonic() > again:
                self.signal(signal.SIGINT)
                again = time.monotonic() + 5
            if not self._read():
                return

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], 0.5)
        if not ready:
            return True
        try:
            raw = os.read(self._fd, 65_536)
        except OSError:  # Linux: the other side has closed
            return False
        self.screen += raw.decode(errors="replace")
        return bool(raw)


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until a condition is true; the longer it takes, the less often it is looked at."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < seconds, "it never came true"
        time.sleep(min(0.01 + waited / 20, 0.2))
