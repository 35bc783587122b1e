"""The tools of MCPB: what they say of the manifest, what they pack, and what a host runs then."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.node_packages import installed, run_node

ROOT = Path(__file__).parents[2]
_PACKAGE = "@anthropic-ai/mcpb"


def mcpb(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; skip the test when it cannot be had."""
    return run_node(_module("cli/cli.js"), *words)


def host_config(manifest: Any, folder: Path, answers: Mapping[str, Any]) -> Any:
    """Return command, arguments and environment of a bundle in `folder`; None when an answer is missing."""
    stdin = json.dumps({"manifest": manifest, "folder": str(folder), "answers": answers})
    done = run_node(ROOT / "tests/fixtures/mcpb_config.mjs", _module("index.js"), stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _module(path: str) -> Path:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    version = re.findall(rf"{_PACKAGE}@([\d.]+)", makefile)[0]  # tested as `make bundle` packs
    return installed(f"mcpb-{version}", {_PACKAGE: version}) / "node_modules" / _PACKAGE / "dist" / path
