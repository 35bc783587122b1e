"""Packages of npm, fetched once and kept beside other caches; tests skip where they cannot be had."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import pytest

CACHE = Path(platformdirs.user_cache_dir("koji-amplitude-tests"))
FETCH_SECONDS = 120
RUN_SECONDS = 60


def installed(name: str, packages: Mapping[str, str]) -> Path:
    """Return a folder of that name with the packages in it; skip the test when it cannot be made.

    `packages` are exact versions by package; a change of them needs another name.
    """
    import fcntl  # noqa: PLC0415 - not on Windows

    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip(f"{name} needs node and npm, which are not here")
    kept = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several workers one fetches, the others wait
        if not (kept / "node_modules").is_dir():
            _fetch(kept, packages)
    return kept


def run_node(
    *words: str | Path, modules: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; `modules` are the packages that it may load, `stdin` is its standard input."""
    environment = {"PATH": str(Path(shutil.which("node") or "").parent)}
    if modules is not None:
        environment["NODE_PATH"] = str(modules / "node_modules")
    return subprocess.run(
        ["node", *map(str, words)],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def _fetch(kept: Path, packages: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        (Path(folder) / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
        try:
            subprocess.run(
                ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
                cwd=folder,
                capture_output=True,
                timeout=FETCH_SECONDS,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm could not fetch {', '.join(packages)}: {type(error).__name__}")
        # whole or not at all, also when the run is stopped in between
        made = Path(tempfile.mkdtemp(dir=kept.parent)) / kept.name
        shutil.copytree(folder, made, symlinks=True)
        made.rename(kept)
        made.parent.rmdir()
