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
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import uvicorn

from connector.app import create_app
from mcp_server.transports.http import mcp_mount
from tests.support.harness import TOKEN, settings_of, until

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Process:
    """One server process on the ledger of a folder, or on the database that `more` settings name."""

    def __init__(
        self, folder: Path, sandbox_url: str, *, lease_ms: int, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "tests.support.processes",
            str(folder),
            sandbox_url,
            str(port),
            str(lease_ms),
            json.dumps(dict(more)),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._log = (folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=Path.cwd(),
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

        await until(answers, 30)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def terminate(self) -> int:
        """Ask it to end; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(15)
        self._process.communicate()
        self._log.close()
        return code


def main() -> None:
    """Serve until killed: folder, the sandbox's URL, port and lease in milliseconds are the arguments, and settings."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder, sandbox_url, port, lease_ms, more = sys.argv[1:]
    settings = settings_of(Path(folder), sandbox_url, "", {"PORT": port, **json.loads(more)})
    app = create_app(settings, lease_ms=int(lease_ms), mounts=[mcp_mount])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


def _end_with_parent() -> None:
    sys.stdin.read()  # ends with the process that started this one, however that ended
    os._exit(1)


if __name__ == "__main__":
    main()
