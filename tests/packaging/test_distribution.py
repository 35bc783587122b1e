"""The source distribution and the wheel: complete, licensed, and the same bytes at each build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.uv_program import environment, run_or_skip

pytestmark = [pytest.mark.e2e, pytest.mark.interop, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LIST = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")

INITIALIZE = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    '"clientInfo":{"name":"test","version":"1"}}}\n'
)


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


def unpacked(build: Build, folder: Path) -> dict[str, str]:
    """Unpack the wheel and return an environment in which it stands before the sources, with an empty home."""
    with zipfile.ZipFile(build.wheel) as archive:
        archive.extractall(folder / "installed")
    (folder / "home").mkdir()
    return {
        "PATH": os.defpath,
        "HOME": str(folder / "home"),
        "PYTHONPATH": str(folder / "installed"),
        "KOJI_BASE_URL": "http://127.0.0.1:9",
        "AMPLITUDE_REST_URL": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize(
    ("words", "stdin", "code", "says"),
    [
        (["-c", "import connector; print(connector.__file__)"], "", 0, "installed"),
        (["-m", "connector", "init", "--non-interactive", "--no-wait"], "", 1, "KOJI_API_KEY"),
        (["-m", "mcp_server"], INITIALIZE, 0, "serverInfo"),
        pytest.param(["-m", "connector", "demo"], "", 0, "0 lost", marks=pytest.mark.proof),
    ],
    ids=["import", "init", "mcp", "demo"],
)
def test_the_wheel_alone_runs_in_an_empty_home(
    build: Build, tmp_path: Path, words: list[str], stdin: str, code: int, says: str
) -> None:
    env = unpacked(build, tmp_path)
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path / "home",
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert says in done.stdout + done.stderr
