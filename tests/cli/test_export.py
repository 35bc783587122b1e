"""`export`: descriptions alone on standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli_runs import ROOT, Machine

pytestmark = pytest.mark.e2e

URL = "https://connector.example.com"


@pytest.mark.parametrize(
    ("name", "key"), [("openapi", "openapi"), ("zapier", "platformVersion"), ("power-platform", "swagger")]
)
def test_prints_one_description_of_the_public_address(tmp_path: Path, name: str, key: str) -> None:
    done = Machine(tmp_path, {"PUBLIC_URL": URL}).run("export", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert key in json.loads(done.stdout)
    assert "connector.example.com" in done.stdout


def test_prints_an_older_openapi_and_only_that(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"PUBLIC_URL": URL})
    older = machine.run("export", "openapi", "--version", "3.0")
    assert json.loads(older.stdout)["openapi"] == "3.0.3"
    wrong = machine.run("export", "zapier", "--version", "3.0")
    assert wrong.returncode == 2
    assert "--version is for openapi" in wrong.stderr


def test_warns_of_an_address_that_nobody_reaches(tmp_path: Path) -> None:
    done = Machine(tmp_path).run("export", "zapier")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: PUBLIC_URL is http://127.0.0.1:8080")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "file"), [("manifest", "manifest.json"), ("server-json", "server.json")])
def test_prints_what_is_committed_whatever_the_settings_are(tmp_path: Path, name: str, file: str) -> None:
    done = Machine(tmp_path, {"PORT": "none", "KOJI_API_KEY": "not-for-a-manifest"}).run("export", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("export",), ("export", "soap")])
def test_names_what_it_can_print(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = Machine(tmp_path).run(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for name in ("openapi", "zapier", "power-platform", "manifest", "server-json"):
        assert name in done.stderr
