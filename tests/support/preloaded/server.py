"""The preloaded process: it imports everything, and forks a child for each command line that it is asked for."""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module

_PRELOADED = (
    "alembic.command",
    "anyio._backends._asyncio",
    "connector.cli.commands.demo",
    "connector.cli.commands.doctor",
    "connector.cli.commands.mcp",
    "connector.cli.commands.serve",
    "connector.cli.main",
    "connector.cli.operations.run",
    "mcp_server.transports.http",
    "mcp_server.transports.stdio",
    "tests.support.processes",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)
"""What the programs are, and what they import when they run."""


class _Children:
    """The children of the preloaded process, each with the connection of whoever asked for it."""

    def __init__(self, listener: socket.socket) -> None:
        self._of: dict[int, socket.socket] = {}
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        self._woken, wake = socket.socketpair()
        for one in (self._woken, wake):
            one.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())
        self._wake = wake

    def next_request(self) -> list[str] | None:
        """Serve until a child is forked, and return its words in the child; None once our own parent ended."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    words = self._fork(self._listener.accept()[0])
                    if words is not None:
                        return words
                elif key.fileobj is self._woken:
                    self._woken.recv(4_096)
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):  # whoever asked has ended
                    os.kill(
                        next(pid for pid, asked in self._of.items() if asked is key.fileobj), signal.SIGKILL
                    )
                    self._selector.unregister(key.fileobj)
                else:
                    for pid in self._of:
                        os.kill(pid, signal.SIGKILL)
                    return None

    def _fork(self, asked: socket.socket) -> list[str] | None:
        length, streams, _, _ = socket.recv_fds(asked, 4, 3)
        with asked.makefile("rb") as file:
            whole = file.read(int.from_bytes(length, "big"))
        pid = os.fork()
        if pid == 0:
            asked.close()
            return self._become(streams, whole)
        for stream in streams:
            os.close(stream)
        self._of[pid] = asked
        self._selector.register(asked, selectors.EVENT_READ)
        asked.sendall(b"%d\n" % pid)
        return None

    def _become(self, streams: list[int], asked: bytes) -> list[str]:
        signal.set_wakeup_fd(-1)
        for ended in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(ended, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for other in (self._listener, self._woken, self._wake, *self._of.values()):
            other.close()
        words: list[str]
        words, environment, directory = json.loads(asked)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False))  # noqa: SIM115
        sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False))  # noqa: SIM115
        errors = open(2, "wb", 0, closefd=False)  # noqa: SIM115
        sys.stderr = io.TextIOWrapper(errors, "utf-8", "backslashreplace", write_through=True)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        return words

    def _reap(self) -> None:
        while self._of:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            asked = self._of.pop(pid)
            if asked in self._selector.get_map():
                self._selector.unregister(asked)
                asked.sendall(b"%d\n" % status)
            asked.close()


_ended: list[int] = []
"""The exit code of a child whose program came to its end."""


def _leave() -> None:
    """End a child without taking apart what it shares with its parent: every page would be copied first."""
    for code in _ended:
        sys.stdout.flush()
        os._exit(code)


def main(path: str) -> int:
    """Serve until standard input ends; a child runs its program."""
    atexit.register(_leave)  # the first, so it is called last
    for module in _PRELOADED:
        import_module(module)
    # Ctrl-C reaches the whole group: ours is the end of the input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        words = _Children(listener).next_request()
    if words is None:
        return 0
    program, *words = words
    sys.argv = ["koji-amplitude", *words]
    exit_code: int = import_module(program).main(words)
    _ended.append(exit_code)
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
