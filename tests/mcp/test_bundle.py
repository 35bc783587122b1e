"""The bundle for Claude Desktop: valid, holding what it needs and nothing else, and running as it says."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from uv import find_uv_bin

from tests.support.mcpb_node import ROOT, host_config, mcpb
from tests.support.uv_program import environment, run_or_skip

pytestmark = [pytest.mark.e2e, pytest.mark.interop, pytest.mark.slow]

BESIDE = {"manifest.json", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "bundle.py"}
PACKAGES = ("connector", "mcp_server")
PLANTED = (
    ".env",
    ".git/config",
    ".venv/bin/python",
    "connector.toml",
    "ledger.db",
    "people.csv",
    "dist/old.mcpb",
    "tests/test_it.py",
    "connector/.env",
    "connector/people.csv",
    "connector/__pycache__/app.py",
    "mcp_server/ledger.db-wal",
)
UV = find_uv_bin()
ANSWERS = {"koji_api_key": "koji-key-of-a-test", "amplitude_api_key": "amplitude-key-of-a-test"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack a working copy that was used."""
    copy = tmp_path_factory.mktemp("copy")
    for name in (*BESIDE, ".mcpbignore"):
        shutil.copy(ROOT / name, copy / name)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in PLANTED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("not for others")
    packed = tmp_path_factory.mktemp("packed") / "koji-amplitude.mcpb"
    done = mcpb("pack", copy, packed)
    assert done.returncode == 0, done.stdout + done.stderr
    return packed


@pytest.fixture(scope="module")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the bundle as a host does."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def test_the_committed_manifest_is_valid() -> None:
    done = mcpb("validate", ROOT / "manifest.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_holds_the_sources_and_what_builds_them_and_nothing_else(bundle: Path) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for kind in ("*.py", "*.sql", "card.html")
        for path in (ROOT / name).rglob(kind)
    }
    typed = {f"{name}/py.typed" for name in PACKAGES}
    with zipfile.ZipFile(bundle) as archive:
        assert set(archive.namelist()) == BESIDE | sources | typed


def test_a_host_does_not_start_it_without_the_keys(unpacked: Path) -> None:
    assert host_config(manifest_in(unpacked), unpacked, {"koji_api_key": "alone"}) is None


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.proof)])
async def test_runs_as_its_manifest_says(unpacked: Path, tmp_path: Path, mode: Any) -> None:
    manifest = manifest_in(unpacked)
    config = host_config(manifest, unpacked, ANSWERS)
    assert config["env"]["KOJI_PROJECT_ID"] == "${user_config.koji_project_id}"  # what was not answered
    env = {**environment(tmp_path), **config["env"]}
    run_or_skip([UV, *config["args"][:-1], "--version"], env)
    server = StdioServerParameters(command=UV, args=config["args"], env=env, cwd=tmp_path)
    async with Client(server, mode=mode) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
        answer = await client.call_tool("list_connections", {})
    assert [tool.name for tool in tools] == [tool["name"] for tool in manifest["tools"]]
    assert [(one.name, one.description) for one in prompts] == [
        (one["name"], one["description"]) for one in manifest["prompts"]
    ]
    assert not answer.is_error


@pytest.mark.proof
async def test_runs_from_its_entry_point(unpacked: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    words = ["run", "--directory", str(unpacked)]
    run_or_skip([UV, *words, "koji-amplitude", "--version"], env)
    entry = manifest_in(unpacked)["server"]["entry_point"]
    server = StdioServerParameters(command=UV, args=[*words, entry], env=env, cwd=tmp_path)
    async with Client(server) as client:
        assert (await client.list_tools()).tools


def manifest_in(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
