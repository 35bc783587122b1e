"""The recipes' snippets say what is true: they parse, and name real commands, tools, scopes and settings."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from connector.cli.main import EVERYDAY
from connector.operations import OPERATIONS
from tests.support.settings_reading import reading

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))
NAMES = [op.name for op in OPERATIONS]
COMMANDS = set(EVERYDAY) | {name.replace("_", "-") for name in NAMES}
PROGRAM = "koji-amplitude"


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def named(pages: list[Path], language: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{page.stem}-{number}")
        for page in pages
        for number, text in enumerate(fenced(page, language))
    ]


def runs_the_program(words: list[str]) -> None:
    assert Path(words[0]).name == PROGRAM
    assert words[1] in COMMANDS


@pytest.mark.parametrize("text", named(PAGES, "json"))
def test_json_is_for_this_server(text: str, tmp_path: Path) -> None:
    snippet = json.loads(text)
    servers = snippet.get("mcpServers") or snippet.get("servers") or {}
    for server in servers.values():
        if "command" in server:
            runs_the_program([server["command"], *server["args"]])
            assert settings_are_known(server["env"], tmp_path)
        else:
            assert server["url"] == "PUBLIC_URL/mcp"
            assert server["headers"]["Authorization"].startswith("Bearer ")
    asked = {one["id"] for one in snippet.get("inputs", [])}
    assert set(re.findall(r"\$\{input:(\w+)\}", text)) == asked
    assert set(snippet.get("allowed_tools", [])) <= set(NAMES)


@pytest.mark.parametrize("text", named(PAGES, "sh"))
def test_shell_lines_name_commands_that_exist(text: str, tmp_path: Path) -> None:
    lines = text.replace("\\\n", " ").splitlines()
    for words in (shlex.split(line, comments=True) for line in lines if line.startswith(PROGRAM)):
        runs_the_program(words)
    for words in (shlex.split(line) for line in lines if line.startswith("claude mcp add ")):
        assert words[3] == PROGRAM
        if "http" in words:
            assert words[4] == "PUBLIC_URL/mcp"
        else:
            runs_the_program(words[words.index("--") + 1 :])
            given = [words[n + 1] for n, word in enumerate(words) if word == "--env"]
            assert settings_are_known(dict(one.split("=", 1) for one in given), tmp_path)


def test_tokens_are_made_with_scopes_that_exist() -> None:
    made = re.findall(r"token create [\w-]+ --scopes ([\w,]+)", "".join(page.read_text() for page in PAGES))
    assert len(made) >= 5
    assert {scope for scopes in made for scope in scopes.split(",")} <= {op.effect.value for op in OPERATIONS}


@pytest.mark.parametrize("name", ["claude-desktop", "claude-code", "cursor", "vs-code", "chatgpt"])
def test_each_assistant_has_a_page_with_something_to_paste(name: str) -> None:
    page = ROOT / f"docs/recipes/{name}.md"
    assert fenced(page, "json")
    assert f"({name}.md)" in (ROOT / "docs/recipes/README.md").read_text(encoding="utf-8")


def settings_are_known(env: dict[str, str], directory: Path) -> bool:
    (directory / "connector.toml").touch()
    given = {**env, **({"CONNECTOR_CONFIG": "connector.toml"} if "CONNECTOR_CONFIG" in env else {})}
    return reading(directory)(**given).warnings == ()
