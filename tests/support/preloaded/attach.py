"""Let the preloaded process run the command line with our streams, and end as its child ends.

The arguments are the socket of that process, the module to run and the words. It imports little, for it starts often.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

FORWARDED = signal.SIGTERM, signal.SIGINT


def main(path: str, words: list[str]) -> None:
    """Ask for a child, forward signals to it, and end with its exit code or by its signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        asked = json.dumps([words, dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 - pathlib is slow to import
        socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(asked)
        answers = server.makefile("rb")
        child = int(answers.readline())
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(child, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        for descriptor in range(3):
            os.close(descriptor)
        status = int(answers.readline())
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


main(sys.argv[1], sys.argv[2:])
