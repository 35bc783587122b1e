"""The recipes' snippets say what is true: they parse, and name real commands, flags, tools, scopes and settings."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest

from connector.cli.main import program
from connector.operations import OPERATIONS
from connector.service.triggers import TRIGGERS
from mcp_server.package.power_platform import power_platform
from mcp_server.tools.catalogue import tool
from tests.support.settings_reading import reading

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))
NAMES = [op.name for op in OPERATIONS]
PROGRAM = "koji-amplitude"
SHELL_ENDS = {"|", ">", "<", "&&", "&", ";"}
HEADERS_OF_ADD = {"--header", "--bearer-token-env-var"}


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


def runs_the_program(words: Sequence[str]) -> None:
    """Fail unless `words` are the program, a command of it, and flags of that command."""
    name = words[0].removeprefix("$(command -v ").removesuffix(")")
    assert Path(name).name == PROGRAM
    command: click.Command = program
    context: click.Context | None = None
    rest = list(words[1:])
    while isinstance(command, click.Group) and rest:
        context = click.Context(command, parent=context)
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
    command.make_parser(click.Context(command, parent=context)).parse_args(rest)


@pytest.mark.parametrize("words", [["koji-amplitud", "mcp"], [PROGRAM, "mpc"], [PROGRAM, "mcp", "--keen"]])
def test_the_check_of_commands_can_fail(words: list[str]) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        runs_the_program(words)


@pytest.mark.parametrize("text", named(PAGES, "json"))
def test_json_is_for_this_server(text: str, tmp_path: Path) -> None:
    snippet = json.loads(text)
    servers = snippet.get("mcpServers") or snippet.get("servers") or {}
    for server in servers.values():
        if "command" in server:
            runs_the_program([server["command"], *server["args"]])
            assert settings_are_known(server["env"], tmp_path)
        else:
            assert (server.get("url") or server["httpUrl"]) == "PUBLIC_URL/mcp"
            if "headers" in server:  # without them the client signs in
                assert server["headers"]["Authorization"].startswith("Bearer ")
    asked = {one["id"] for one in snippet.get("inputs", [])}
    assert set(re.findall(r"\$\{input:(\w+)\}", text)) == asked
    assert set(snippet.get("allowed_tools", [])) <= set(NAMES)


@pytest.mark.parametrize("text", named([ROOT / "docs/recipes/codex.md"], "toml"))
def test_toml_is_for_this_server(text: str, tmp_path: Path) -> None:
    (server,) = tomllib.loads(text)["mcp_servers"].values()
    if "command" in server:
        runs_the_program([server["command"], *server["args"]])
        assert settings_are_known({**dict.fromkeys(server["env_vars"], "some"), **server["env"]}, tmp_path)
    else:
        assert server["url"] == "PUBLIC_URL/mcp"
        assert server["bearer_token_env_var"] == "ASSISTANT_TOKEN"
        assert set(server["enabled_tools"]) <= set(NAMES)


@pytest.mark.parametrize("text", named(PAGES, "sh"))
def test_shell_lines_name_commands_that_exist(text: str, tmp_path: Path) -> None:
    lines = text.replace("\\\n", " ").splitlines()
    for words in (shlex.split(line, comments=True) for line in lines if line.startswith(PROGRAM)):
        runs_the_program(list(takewhile(lambda word: word not in SHELL_ENDS, words)))
    for words in (shlex.split(line) for line in lines if re.match(r"(claude|codex|gemini) mcp add ", line)):
        assert words[3] == PROGRAM
        if "PUBLIC_URL/mcp" in words or HEADERS_OF_ADD & set(words):
            assert "PUBLIC_URL/mcp" in words[4:6]
        else:
            start = words.index("--") + 1 if "--" in words else 4
            runs_the_program(list(takewhile(lambda word: word != "--scope", words[start:])))
            given = [words[n + 1] for n, word in enumerate(words) if word == "--env"]
            assert settings_are_known(dict(one.split("=", 1) for one in given), tmp_path)


def commands_in_sentences() -> Iterator[str]:
    for page in [ROOT / "README.md", *PAGES]:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        yield from re.findall(rf"`({PROGRAM} [^`]+)`", text.replace("\n", " "))


@pytest.mark.parametrize("line", sorted(set(commands_in_sentences())))
def test_commands_in_sentences_exist_with_their_flags(line: str) -> None:
    runs_the_program(shlex.split(line))


@pytest.mark.parametrize(
    "event", sorted(set(re.findall(r"event=(\w+)", "".join(p.read_text() for p in PAGES))))
)
def test_hooks_name_events_that_exist(event: str) -> None:
    assert event in {trigger.name.value for trigger in TRIGGERS}


def test_tokens_are_made_with_scopes_that_exist() -> None:
    made = re.findall(r"token create [\w-]+ --scopes ([\w,]+)", "".join(page.read_text() for page in PAGES))
    assert len(made) >= 5
    assert {scope for scopes in made for scope in scopes.split(",")} <= {op.effect.value for op in OPERATIONS}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem != "README"], ids=lambda page: page.stem
)
def test_each_page_is_listed(page: Path) -> None:
    assert f"({page.name})" in (ROOT / "docs/recipes/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["claude-desktop", "claude-code", "cursor", "vs-code", "chatgpt", "gemini-cli"]
)
def test_each_assistant_has_a_page_with_something_to_paste(name: str) -> None:
    assert fenced(ROOT / f"docs/recipes/{name}.md", "json")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("claude-connectors", "Leave the client id and secret empty"),
        ("claude-desktop", "(claude-connectors.md) sign in"),
        ("claude-code", "claude mcp login koji-amplitude"),
        ("chatgpt", "`PUBLIC_URL/mcp?tools=search,fetch`"),
        ("cursor", "*Needs login*"),
        ("vs-code", "whether it may sign in"),
        ("gemini-cli", "`/mcp auth koji-amplitude`"),
        ("codex", "codex mcp login koji-amplitude"),
        ("copilot-studio", "*Dynamic discovery*"),
    ],
)
def test_each_assistant_is_told_how_to_sign_in(name: str, words: str) -> None:
    assert words in (ROOT / f"docs/recipes/{name}.md").read_text(encoding="utf-8")


def test_codex_has_an_entry_for_each_transport() -> None:
    entries = [tomllib.loads(text) for text in fenced(ROOT / "docs/recipes/codex.md", "toml")]
    assert {key for one in entries for key in one["mcp_servers"][PROGRAM]} >= {"command", "url"}


@pytest.mark.parametrize("name", ["zapier", "make", "n8n", "sending-links"])
def test_who_sends_the_links_stands_at_the_top(name: str) -> None:
    top = (ROOT / f"docs/recipes/{name}.md").read_text(encoding="utf-8").split("\n\n")[1]
    assert top.startswith("You send these links; Koji sends nothing by itself unless its own delivery is on")


def test_copilot_studio_is_told_the_header_of_the_definition() -> None:
    page = (ROOT / "docs/recipes/copilot-studio.md").read_text(encoding="utf-8")
    header = power_platform("https://koji.example.com", "1")["securityDefinitions"]["token"]["name"]
    assert f"*Header* named `{header}`" in page


@pytest.mark.parametrize("op", OPERATIONS, ids=NAMES)
def test_copilot_studio_takes_every_tool(op: Any) -> None:
    """Microsoft documents: no references, no field of several types, no number as an exclusive minimum."""
    described = tool(op).model_dump(mode="json", by_alias=True)
    assert "$ref" not in json.dumps(described)
    schema = json.dumps(described["inputSchema"])
    assert '"type": [' not in schema
    assert '"exclusiveMinimum"' not in schema


def settings_are_known(env: dict[str, str], directory: Path) -> bool:
    (directory / "connector.toml").touch()
    given = {**env, **({"CONNECTOR_CONFIG": "connector.toml"} if "CONNECTOR_CONFIG" in env else {})}
    return reading(directory)(**given).warnings == ()
