import json
from pathlib import Path

import httpx
import pytest
import respx

from tools.audit import OSV, main, pinned


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("# ours\njinja2==2.4.1\nhttpx==0.28.1 ; python_version > '3'\n\n")
    return path


def test_pins_are_read(constraints: Path) -> None:
    assert pinned(constraints.read_text()) == {"jinja2": "2.4.1", "httpx": "0.28.1"}


@respx.mock
def test_a_known_vulnerability_fails(constraints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    route = respx.post(OSV).respond(
        json={"results": [{"vulns": [{"id": "PYSEC-1", "modified": "x"}, {"id": "GHSA-2"}]}, {}]}
    )
    assert main(constraints) == 1
    assert capsys.readouterr().out == "audit: jinja2 2.4.1: PYSEC-1, GHSA-2\n"
    asked = json.loads(route.calls[0].request.content)["queries"]
    assert asked[0] == {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}


@respx.mock
def test_nothing_known_passes(constraints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    respx.post(OSV).respond(json={"results": [{}, {}]})
    assert main(constraints) == 0
    assert capsys.readouterr().out == "audit: nothing known against 2 packages\n"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("late"),
        httpx.Response(503),
        httpx.Response(404),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"results": [{}]}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": [None, None]}),
    ],
    ids=repr,
)
@respx.mock
def test_silence_is_said_and_passes(
    constraints: Path, answer: httpx.Response | Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    respx.post(OSV).mock(side_effect=[answer])
    assert main(constraints) == 0
    assert capsys.readouterr().out == "audit: skipped: the index does not answer\n"
