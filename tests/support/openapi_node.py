"""Spectral and Redocly: what the linters of the OpenAPI world say of a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.node_packages import installed, run_node

SPECTRAL = "6.16.3"
REDOCLY = "2.77.0"


def spectral(documents: Mapping[str, dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return what Spectral's `oas` ruleset finds, warnings and hints too, in one run: it starts slowly."""
    kept = installed(f"spectral-{SPECTRAL}", {"@stoplight/spectral-cli": SPECTRAL})
    rules = folder / "rules.yaml"
    rules.write_text("extends: spectral:oas\n")
    files = [folder / f"{name}.json" for name in documents]
    for file, document in zip(files, documents.values(), strict=True):
        file.write_text(json.dumps(document))
    script = kept / "node_modules/@stoplight/spectral-cli/dist/index.js"
    done = run_node(script, "lint", *files, "--ruleset", rules, "--format", "json", "--quiet")
    assert done.stdout.strip().startswith("["), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().rpartition("]")[0] + "]")
    return found


def redocly(document: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return what Redocly's recommended rules find, warnings too."""
    kept = installed(f"redocly-{REDOCLY}", {"@redocly/cli": REDOCLY})
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    script = kept / "node_modules/@redocly/cli/bin/cli.js"
    done = run_node(script, "lint", file, "--format", "json", "--max-problems", "1000")
    assert done.stdout.strip().startswith("{"), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    return found
