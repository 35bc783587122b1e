"""`Containerfile` and `compose.yaml`, as far as they can be tried without a registry of images."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from uv import find_uv_bin

from connector import __version__
from connector.http.server.server import GRACEFUL_SECONDS
from connector.settings.model import Connection, Settings
from tests.support.uv_program import environment, run_or_skip

ROOT = Path(__file__).parents[2]
RECIPE = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
TOKEN = "made-up-token-of-a-test"  # not-a-secret


def instructions(name: str) -> list[str]:
    """Return what follows an instruction in the file, of every stage."""
    return re.findall(rf"^\s*{name}\s+(.+)$", RECIPE, re.MULTILINE)


def argv(name: str) -> list[str]:
    (text,) = instructions(name)
    words: list[str] = json.loads(text[text.index("[") :])
    return words


HEALTH_CHECK = json.loads(RECIPE.split("HEALTHCHECK")[1].split("CMD", 1)[1].split("\n", 1)[0])
START = argv("ENTRYPOINT") + json.loads(instructions("CMD")[-1])
ENV = dict(word.split("=", 1) for text in instructions("ENV") for word in text.split())


def settings(folder: Path, port: int, **more: str) -> dict[str, str]:
    """Return the image's environment, with this environment's programs and a folder for /data."""
    programs = str(Path(sys.executable).parent)
    changed = {
        "PATH": ENV["PATH"].replace("/opt/koji-amplitude/bin", programs).replace("$PATH", os.defpath),
        "DATABASE_URL": ENV["DATABASE_URL"].replace("/data/", f"{folder}/"),
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
    }
    return {**ENV, **changed, **more}


def run(words: list[str], env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which(words[0], path=env["PATH"])
    assert program is not None, words
    return subprocess.run(
        [program, *words[1:]], env=env, cwd=folder, text=True, capture_output=True, timeout=60, check=False
    )


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.mark.e2e
def test_its_command_answers_its_health_check_until_a_signal_stops_it(tmp_path: Path, port: int) -> None:
    env = settings(tmp_path, port, CONNECTOR_API_TOKEN=TOKEN)
    program = shutil.which(START[0], path=env["PATH"])
    assert program is not None
    server = subprocess.Popen([program, *START[1:]], env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert any(f":{port}" in line for line in server.stderr)  # it announces itself once it answers
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        assert run(HEALTH_CHECK, env, tmp_path).returncode == 0
        server.terminate()
        server.communicate(timeout=30)
        assert server.returncode == 0
    finally:
        server.kill()
        server.communicate()
    assert run(HEALTH_CHECK, env, tmp_path).returncode != 0
    assert {path.name for path in tmp_path.iterdir()} >= {"koji-amplitude.db", "encryption-key"}


@pytest.mark.e2e
def test_without_a_token_it_does_not_start(tmp_path: Path, port: int) -> None:
    done = run(START, settings(tmp_path, port), tmp_path)
    assert (done.returncode, "CONNECTOR_API_TOKEN" in done.stderr) == (2, True)


@pytest.mark.e2e
def test_what_it_copies_is_let_in_and_makes_the_wheel(tmp_path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [text.split() for text in instructions("COPY") if not text.startswith("--from")]
    for *sources, target in copied:
        for source in sources:
            assert f"!/{source}" in ignored
            place = tmp_path / "build" / target / (source if target == "./" else "")
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / source, place)
    assert "*" in ignored
    words = [
        find_uv_bin(),
        "build",
        "--wheel",
        "--quiet",
        "--out-dir",
        str(tmp_path),
        str(tmp_path / "build"),
    ]
    run_or_skip(words, environment(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {"connector/__main__.py", "mcp_server/__main__.py"} <= set(archive.namelist())


@pytest.mark.unit
def test_it_runs_as_a_plain_user_and_keeps_its_data_in_one_place() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instructions("USER")[-1])
    assert instructions("VOLUME") == instructions("WORKDIR")[-1:] == ["/data"]
    assert ENV["DATABASE_URL"].startswith("sqlite:////data/")


@pytest.mark.unit
def test_compose_sets_what_is_a_setting_and_leaves_time_to_stop() -> None:
    connector: dict[str, Any] = COMPOSE["services"]["connector"]
    known = {name.upper() for name in {*Settings.model_fields, *Connection.model_fields}}
    assert set(connector["environment"]) - known == {"FORWARDED_ALLOW_IPS"}
    assert ENV["DATABASE_URL"] in connector["environment"]["DATABASE_URL"]
    assert connector["image"].endswith(f":{__version__}")
    assert connector["ports"] == [f"127.0.0.1:8080:{connector['environment']['PORT']}"]
    assert connector["volumes"] == ["data:/data"]
    assert connector["read_only"] is True
    assert connector["cap_drop"] == ["ALL"]
    assert int(connector["stop_grace_period"].removesuffix("s")) > GRACEFUL_SECONDS


@pytest.mark.unit
def test_composes_profile_adds_the_database_and_waits_for_it() -> None:
    services = COMPOSE["services"]
    assert services["postgres"]["profiles"] == ["postgres"]
    assert services["connector"]["depends_on"]["postgres"] == {
        "condition": "service_healthy",
        "required": False,
    }
    assert "profiles" not in services["connector"]
    assert {"data", "postgres"} == set(COMPOSE["volumes"])
