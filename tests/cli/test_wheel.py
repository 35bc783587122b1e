"""The wheel: it brings what a database needs to be made."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.mcpb_node import ROOT
from tests.support.uv_program import environment, run_or_skip

pytestmark = pytest.mark.e2e


def test_a_wheel_holds_every_source_and_revision(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("connector", "mcp_server"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    words = [find_uv_bin(), "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(copy)]
    run_or_skip(words, environment(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    needed = {str(one.relative_to(copy)) for one in copy.glob("[cm]*/**/*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert needed - set(archive.namelist()) == set()
    assert "connector/ledger/db/revisions/versions/0001_first.py" in needed
