"""Configure the sandbox's server, or run it in a thread, as tests do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from connector.sandbox.app import create_sandbox
from connector.sandbox.options import SandboxOptions

START_SECONDS = 15.0


def config(
    options: SandboxOptions, host: str, port: int, now: Callable[[], float] = time.time
) -> uvicorn.Config:
    """Return the server's configuration; a cut connection is scripted, so only critical trouble is logged."""
    app = create_sandbox(options, now=now)
    return uvicorn.Config(
        app, host=host, port=port, log_level="critical", access_log=False, timeout_graceful_shutdown=2
    )


@contextmanager
def running(
    options: SandboxOptions | None = None, *, now: Callable[[], float] = time.time, port: int = 0
) -> Iterator[str]:
    """Run on a loopback port in a thread and yield the base URL; stops at the end. Port 0: a free one."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        chosen = listener.getsockname()[1]
        server = uvicorn.Server(config(options or SandboxOptions(), "127.0.0.1", chosen, now))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox")
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{chosen}"
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The sandbox did not start.")
        time.sleep(0.005)
