"""Zapier's own packages, fetched once with npm and kept beside other caches; tests skip where they cannot be had."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from connector.surfaces.zapier import PLATFORM

PACKAGES = {"zapier-platform-core": PLATFORM, "zapier-platform-schema": PLATFORM}
CACHE = Path(platformdirs.user_cache_dir("koji-amplitude-tests")) / f"zapier-{PLATFORM}"
FETCH_SECONDS = 120
RUN_SECONDS = 60


def packages() -> Path:
    """Return a folder with the packages installed; skip the test when there is none and none can be made."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Zapier's packages need node and npm, which are not here")
    if not (CACHE / "node_modules").is_dir():
        _fetch()
    return CACHE


def run(script: Path, told: Any) -> Any:
    """Run a script with the packages in reach: JSON in, JSON out."""
    done = subprocess.run(
        ["node", str(script)],
        env={
            "NODE_PATH": str(packages() / "node_modules"),
            "PATH": str(Path(shutil.which("node") or "").parent),
        },
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # the packages print about memory before


def _fetch() -> None:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        (Path(folder) / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
        try:
            subprocess.run(
                ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
                cwd=folder,
                capture_output=True,
                timeout=FETCH_SECONDS,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm could not fetch {', '.join(PACKAGES)}: {type(error).__name__}")
        made = Path(tempfile.mkdtemp(dir=CACHE.parent)) / CACHE.name
        shutil.copytree(folder, made, symlinks=True)
        try:
            made.rename(CACHE)
        except OSError:  # another run was quicker
            shutil.rmtree(made)
        made.parent.rmdir()
