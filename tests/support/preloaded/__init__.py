"""Start the command line without its imports, which take a second of a core each time.

One process of each test run imports everything and waits. `command()` starts a small program that hands its
arguments, environment, directory and standard streams to that process, which forks: the child does what
`python -m connector`, or another program of the tests, would do. The small program ends as the child ends, forwards signals, and takes the child
along when it is killed. What a start itself costs or does is for real processes to show.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


def command(*words: str, program: str = "connector.cli.main") -> list[str]:
    """Return the command that stands for `python -m connector WORDS`, or for the `main` of another module."""
    return [sys.executable, "-I", "-S", str(_FOLDER / "attach.py"), _started(), program, *words]


@cache
def _started() -> str:
    folder = tempfile.mkdtemp(prefix="preloaded-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = f"{folder}/socket"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.support.preloaded.server", path],
        cwd=_FOLDER.parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.communicate)  # it ends when its standard input does
    return path
