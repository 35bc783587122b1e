"""The program `uv`, with which hosts run a bundle, in a home of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node_packages import CACHE, FETCH_SECONDS

NETWORK = ("SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
INDEX = re.compile(r"^(?:global|:env:)\.index-url='(.+)'$", re.MULTILINE)
UNREACHABLE = re.compile(r"failed to fetch|error sending request|dns error|timed? ?out", re.IGNORECASE)


def environment(home: Path) -> dict[str, str]:
    """Return what a desktop gives a program: a home and a path; packages stay in a cache of the tests."""
    return {
        **{name: os.environ[name] for name in NETWORK if name in os.environ},
        **_index(),
        "PYTHONDONTWRITEBYTECODE": "1",  # the cache keeps each environment, this way without 16 MB
        "HOME": str(home),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
        "UV_CACHE_DIR": str(CACHE / "uv-cache"),
    }


def run_or_skip(words: list[str], env: dict[str, str]) -> None:
    """Run to the end; skip the test when packages cannot be fetched, fail it when anything else is wrong."""
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"uv could not fetch packages: {done.stderr.splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr


def _index() -> dict[str, str]:
    """Return the package index that pip is set to, which uv does not read."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(words, capture_output=True, text=True, timeout=FETCH_SECONDS, check=True)
    match = INDEX.search(listed.stdout)
    return {"UV_DEFAULT_INDEX": match[1]} if match else {}
