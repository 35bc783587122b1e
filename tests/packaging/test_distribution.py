"""The source distribution and the wheel: complete, licensed, and the same bytes at each build."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.uv_program import environment, run_or_skip

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
LIST = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")


@dataclass(frozen=True)
class Build:
    """What one build made, and from which files."""

    sources: set[str]
    sdist: Path
    wheel: Path


def build_in(folder: Path, *, changed_at: int) -> Build:
    """Build in a copy of the repository, whose files all carry the time `changed_at`."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout of git, which knows what belongs to the repository")
    listed = subprocess.run(LIST, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    sources = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in sources:
        copy = folder / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
        os.utime(copy, (changed_at, changed_at))
    words = [find_uv_bin(), "build", "--quiet", "--out-dir", str(folder / "dist"), str(folder / "copy")]
    run_or_skip(words, environment(folder))
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Build(sources, sdist, wheel)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return build_in(tmp_path_factory.mktemp("build"), changed_at=1_700_000_000)


def test_the_source_distribution_holds_the_whole_repository(build: Build) -> None:
    with tarfile.open(build.sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert packed == build.sources | {"PKG-INFO"}
    assert "LICENSE" in packed


def test_the_wheel_holds_the_packages_whole_and_the_licence(build: Build) -> None:
    with zipfile.ZipFile(build.wheel) as archive:
        names = set(archive.namelist())
    packages = {name for name in build.sources if name.startswith(("connector/", "mcp_server/"))}
    assert {name for name in names if ".dist-info/" not in name} == packages
    assert "connector/ledger/db/revisions/versions/0001_first.py" in packages
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_another_time_and_place_make_the_same_bytes(build: Build, tmp_path: Path) -> None:
    again = build_in(tmp_path, changed_at=1_750_000_000)
    assert again.sdist.read_bytes() == build.sdist.read_bytes()
    assert again.wheel.read_bytes() == build.wheel.read_bytes()
