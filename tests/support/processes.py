"""The connector as a process of its own, that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import httpx
import uvicorn

from connector import log
from connector.app import build, create_app
from connector.cli.startup import on_signals
from connector.settings.model import Settings
from mcp_server.transports.http import mcp_mount
from tests.support.harness import TOKEN, settings_of, until
from tests.support.preloaded import command

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Process:
    """One server process on the ledger of a folder, or on the database that `more` settings name.

    It answers HTTP and works; with `role` "web" or "work" it does only one of the two.
    """

    def __init__(
        self,
        folder: Path,
        sandbox_url: str,
        *,
        lease_ms: int,
        more: Mapping[str, str] = MappingProxyType({}),
        role: str = "both",
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.role = role
        self._pid = folder / f"{port}.pid"
        self.url = f"http://127.0.0.1:{port}"
        words = (str(folder), sandbox_url, str(port), str(lease_ms), json.dumps(dict(more)), role)
        self._log = (folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            command(*words, program="tests.support.processes"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    async def ready(self, client: httpx.AsyncClient) -> None:
        """Wait until it answers."""

        async def answers() -> bool:
            assert self._process.poll() is None, "the server ended by itself; see server.log"
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                return False

        await until(answers, 120)

    @property
    def pid(self) -> int:
        """Return the id of the server itself, once it answers: `_process` only stands for it."""
        return int(self._pid.read_text())

    def kill(self) -> None:
        """End it without a chance to say goodbye; return when it is dead."""
        self._process.kill()
        self._process.communicate()  # its standard output ends with it
        self._log.close()

    def terminate(self) -> int:
        """Ask it to end; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(15)
        self._process.communicate()
        self._log.close()
        return code


def main(words: Sequence[str]) -> int:
    """Serve or work until killed; the words are folder, sandbox's URL, port, lease in ms, settings and role."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup(1)  # stays open as long as this process lives
    os.dup2(2, 1)
    log.configure("info")
    folder, sandbox_url, port, lease_ms, more, role = words
    (Path(folder) / f"{port}.pid").write_text(str(os.getpid()))
    settings = settings_of(Path(folder), sandbox_url, "", {"PORT": port, **json.loads(more)})
    if role == "work":
        asyncio.run(_work(settings, int(lease_ms)))
        return 0
    app = create_app(settings, workers=role == "both", lease_ms=int(lease_ms), mounts=[mcp_mount])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
    return 0


async def _work(settings: Settings, lease_ms: int) -> None:
    stop = asyncio.Event()
    on_signals(stop.set)
    async with build(settings, lease_ms=lease_ms):
        await stop.wait()


def _end_with_parent() -> None:
    sys.stdin.read()  # ends with the process that started this one, however that ended
    os._exit(1)
