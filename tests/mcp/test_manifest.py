"""The bundle's manifest and the registry's entry: in step with the code, and true."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp.types import TextContent
from pydantic import SecretStr

from connector import __version__
from connector.operations import OPERATIONS
from connector.service.input.annotations import kinds
from connector.service.triggers import TRIGGERS
from connector.settings.model import Connection
from mcp_server.package import REGISTRY_NAME
from mcp_server.package.asked_settings import ASKED
from mcp_server.package.manifest import manifest
from mcp_server.package.power_platform import power_platform
from mcp_server.package.server_json import server_json
from mcp_server.prompts import prompt
from mcp_server.tools.catalogue import tool
from tests.support.settings_reading import default, reading

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MANIFEST = manifest(OPERATIONS, TRIGGERS, version=__version__)
ENTRY = server_json(__version__)


@pytest.mark.parametrize(("name", "made"), [("manifest.json", MANIFEST), ("server.json", ENTRY)])
def test_the_committed_file_is_up_to_date(name: str, made: Any) -> None:
    assert json.loads((ROOT / name).read_text(encoding="utf-8")) == made, "make descriptions"


class TestManifest:
    def test_agrees_with_the_project(self) -> None:
        for key in ("name", "description", "license", "keywords"):
            assert MANIFEST[key] == PROJECT[key]
        assert MANIFEST["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]

    def test_entry_point_and_program_exist(self) -> None:
        server = MANIFEST["server"]
        assert (ROOT / server["entry_point"]).is_file()
        assert server["mcp_config"]["args"][-2] in PROJECT["scripts"]

    def test_every_secret_is_asked_for_as_one(self) -> None:
        secrets = {
            name for name, field in Connection.model_fields.items() if SecretStr in kinds(field.annotation)
        }
        asked = MANIFEST["user_config"]
        assert {name for name, field in asked.items() if field.get("sensitive")} == secrets & set(asked)
        assert {"koji_api_key", "amplitude_api_key", "amplitude_secret_key"} <= secrets & set(asked)

    def test_every_answer_reaches_its_variable(self) -> None:
        env = MANIFEST["server"]["mcp_config"]["env"]
        assert env == {name.upper(): f"${{user_config.{name}}}" for name in MANIFEST["user_config"]}

    def test_an_empty_answer_counts_as_not_set(self, tmp_path: Path) -> None:
        loaded = reading(tmp_path)(**MANIFEST["server"]["mcp_config"]["env"])
        assert default(loaded) == Connection()
        assert loaded.warnings == ()

    def test_the_defaults_are_those_of_the_settings(self, tmp_path: Path) -> None:
        answers = {
            name.upper(): str(field["default"])
            for name, field in MANIFEST["user_config"].items()
            if "default" in field
        }
        assert len(answers) == 3
        assert default(reading(tmp_path)(**answers)) == Connection()

    def test_lists_triggers_and_actions_beside_the_tools(self) -> None:
        ((namespace, ours),) = MANIFEST["_meta"].items()
        assert re.fullmatch(r"[a-z]+(\.[a-z0-9-]+)+", namespace)
        assert [one["name"] for one in ours["triggers"]] == [one.name.value for one in TRIGGERS]
        names = [op.name for op in OPERATIONS]
        assert [one["name"] for one in ours["actions"]] == names
        listed = [tool(op) for op in OPERATIONS]
        assert MANIFEST["tools"] == [{"name": one.name, "description": one.description} for one in listed]

    @pytest.mark.parametrize("shown", [pytest.param(one, id=one["name"]) for one in MANIFEST["prompts"]])
    def test_a_prompt_is_the_same_as_the_servers(self, shown: Any) -> None:
        given = {name: f"the-{name}" for name in shown["arguments"]}
        filled = re.sub(r"\$\{arguments\.(\w+)\}", lambda found: given[found[1]], shown["text"])
        (message,) = prompt(shown["name"], given).messages
        assert isinstance(message.content, TextContent)
        assert message.content.text == filled


def test_the_power_platform_finds_the_tools_at_mcp() -> None:
    made = power_platform("https://connector.example.com:8443/koji", "1.2.3")
    assert (made["swagger"], made["schemes"], made["info"]["version"]) == ("2.0", ["https"], "1.2.3")
    assert (made["host"], made["basePath"]) == ("connector.example.com:8443", "/koji")
    post = made["paths"]["/mcp"]["post"]
    assert post["x-ms-agentic-protocol"] == "mcp-streamable-1.0"
    assert made["securityDefinitions"]["token"]["name"] == "X-API-Key"


class TestRegistryEntry:
    def test_keeps_the_limits_of_its_schema(self) -> None:
        assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", ENTRY["name"])
        assert len(ENTRY["name"]) <= 200
        assert 1 <= len(ENTRY["description"]) <= 100
        assert 1 <= len(ENTRY["title"]) <= 100
        assert re.fullmatch(r"\d+\.\d+\.\d+", ENTRY["version"])

    def test_names_the_package_that_this_is(self) -> None:
        (package,) = ENTRY["packages"]
        assert (package["identifier"], package["version"]) == (PROJECT["name"], __version__)

    def test_texts_are_texts(self) -> None:
        (package,) = ENTRY["packages"]
        variables = package["environmentVariables"]
        assert [one["name"] for one in variables] == [setting.name.upper() for setting in ASKED]
        assert all(isinstance(one.get("default", ""), str) for one in variables)
        assert {one["name"] for one in variables if one["isSecret"]} == {
            "KOJI_API_KEY",
            "AMPLITUDE_API_KEY",
            "AMPLITUDE_SECRET_KEY",
        }

    def test_the_package_index_can_verify_the_owner(self) -> None:
        readme = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
        assert f"<!-- mcp-name: {REGISTRY_NAME} -->" in readme.splitlines()
