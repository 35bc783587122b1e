"""One file and one line in `OPERATIONS` put an operation on every surface of the product."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector import operations
from tests.mcp.raw import VERSION
from tests.support.cli_runs import ROOT, STARTED, Machine, free_port

pytestmark = pytest.mark.e2e

TOY = ROOT / "tests/support/count_letters.py"
TOKEN = "tok"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An empty home with a copy of the product that has one operation more."""
    product = tmp_path_factory.mktemp("product")
    for package in ("connector", "mcp_server"):
        # what is compiled goes along: it names size and time of its source; but not what is being written
        shutil.copytree(ROOT / package, product / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(TOY, product / "connector/operations")
    listed = product / Path(operations.__file__).relative_to(ROOT)
    with listed.open("a") as file:
        file.write("from .count_letters import COUNT_LETTERS; OPERATIONS += (COUNT_LETTERS,)\n")
    settings = {
        "PYTHONPATH": str(product),
        "PORT": str(free_port()),
        "CONNECTOR_API_TOKEN": TOKEN,
        "PUBLIC_URL": "https://connector.example.com",
    }
    return Machine(tmp_path_factory.mktemp("home"), settings)


def exported(machine: Machine, form: str) -> Any:
    done = machine.run("export", form)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mcp(client: httpx.Client, method: str, **params: Any) -> Any:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}
    text = client.post("/mcp", json=body, headers=headers).text
    return json.loads(text[text.index("{") :])["result"]


def test_the_command_line_has_it(machine: Machine) -> None:
    assert "count-letters" in machine.run("--help").stdout
    done = machine.run("count-letters", "--word", "interview", "--output", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"letters": 9}), done.stderr


def test_the_manifest_has_it(machine: Machine) -> None:
    manifest = exported(machine, "manifest")
    assert "count_letters" in [tool["name"] for tool in manifest["tools"]]


def test_the_zapier_app_has_it(machine: Machine) -> None:
    assert "/actions/count_letters" in json.dumps(exported(machine, "zapier"))


def test_http_openapi_and_mcp_have_it(machine: Machine) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    base = f"http://127.0.0.1:{machine.settings['PORT']}"
    with (
        machine.started("serve", until=STARTED),
        httpx.Client(base_url=base, timeout=30, verify=False) as client,
    ):
        done = client.post("/actions/count_letters", json={"word": "koji"}, headers=bearer)
        assert (done.status_code, done.json()) == (200, {"letters": 4}), done.text
        assert client.get("/actions/count_letters?word=why", headers=bearer).json() == {"letters": 3}
        document = client.get("/openapi.json").json()
        asked = document["paths"]["/actions/count_letters"]["post"]["requestBody"]["content"]
        assert asked["application/json"]["example"] == {"word": "koji"}
        [tool] = [one for one in mcp(client, "tools/list")["tools"] if one["name"] == "count_letters"]
        assert tool["description"].endswith("Not for sentences.")
        answer = mcp(client, "tools/call", name="count_letters", arguments={"word": "cohort"})
        assert answer["structuredContent"] == {"letters": 6}
