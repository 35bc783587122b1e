"""The workflows in `.github` call what exists, with as few rights as they need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector import __version__

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in GITHUB.glob("workflows/*.yml")}
WORKFLOWS: dict[str, dict[str, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for workflow in WORKFLOWS.values():
        yield from workflow["jobs"].items()


def steps() -> Iterator[dict[str, Any]]:
    for _, job in jobs():
        yield from job["steps"]


def test_there_are_the_three() -> None:
    assert set(WORKFLOWS) == {"ci", "codeql", "release"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(text: str) -> None:
    used = re.findall(r"uses: (.+)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_nothing_has_a_right_that_its_job_does_not_name() -> None:
    assert all(workflow["permissions"] == {} for workflow in WORKFLOWS.values())
    for name, job in jobs():
        assert job["permissions"], name
        assert job["timeout-minutes"] <= 45, name
    for step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    called = {name for step in steps() for name in re.findall(r"\bmake (\w+)", step.get("run", ""))}
    assert called >= {"check", "demo", "dist", "test"}
    assert called <= targets


def test_it_runs_on_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {found[1] for line in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", line))}
    assert set(WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]) == named
    systems = TEXTS["ci"]
    assert all(system in systems for system in ("ubuntu-", "macos-", "windows-", "postgresql"))


def test_only_a_build_that_was_attested_is_published_and_without_a_stored_token() -> None:
    found = WORKFLOWS["release"]["jobs"]
    assert found["attest"]["needs"] == "build"
    assert found["publish"]["needs"] == "attest"
    assert found["publish"]["permissions"] == {"id-token": "write"}
    assert re.findall(r"secrets\.(\w+)", TEXTS["release"]) == ["GITHUB_TOKEN"]
    writers = [name for name, job in found.items() if job["permissions"].get("contents") == "write"]
    assert writers == ["release"]


def run_step(name: str, folder: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a step of the release as a runner does, in a folder with what they read."""
    (step,) = (step for step in steps() if step.get("name") == name)
    (folder / "dist").mkdir(exist_ok=True)
    (folder / "CHANGELOG.md").write_bytes((ROOT / "CHANGELOG.md").read_bytes())
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={"PATH": programs, "GITHUB_REF_NAME": f"v{version}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="the release is made on Linux")
def test_a_tag_that_is_not_the_version_makes_no_release(tmp_path: Path) -> None:
    assert run_step("The tag is the version", tmp_path, __version__).returncode == 0
    assert run_step("The tag is the version", tmp_path, "9.9.9").returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="the release is made on Linux")
def test_the_versions_notes_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    name = "Take the version's notes from the changelog"
    assert run_step(name, tmp_path, __version__).returncode == 0
    notes = (tmp_path / "dist/notes.md").read_text(encoding="utf-8")
    assert "\n### Added\n" in notes
    assert "\n## [" not in f"\n{notes}"
    assert run_step(name, tmp_path, "9.9.9").returncode == 1


def test_templates_and_updates_can_be_read() -> None:
    for path in [*GITHUB.glob("ISSUE_TEMPLATE/*.yml"), GITHUB / "dependabot.yml"]:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path
