"""Zapier's own packages: what they say of the exported app, and how they run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connector.integrations.zapier.app import PLATFORM
from tests.support.node_packages import installed, run_node

PACKAGES = {"zapier-platform-core": PLATFORM, "zapier-platform-schema": PLATFORM}


def packages() -> Path:
    """Return a folder with the packages installed; skip the test when there is none and none can be made."""
    return installed(f"zapier-{PLATFORM}", PACKAGES)


def run(script: Path, data: Any) -> Any:
    """Run a script with the packages in reach: JSON in, JSON out."""
    done = run_node(script, modules=packages(), stdin=json.dumps(data))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # the packages print about memory before
