"""The systemd unit and the proxies' files in `deploy/` fit the server."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connector.cli.main import EVERYDAY
from connector.cli.terminal import USAGE
from connector.http.body import MAX_BODY_BYTES
from connector.http.server.server import GRACEFUL_SECONDS, KEEP_ALIVE_SECONDS, MOST_CONNECTIONS
from connector.service.execution.operation import WaitInput

pytestmark = pytest.mark.unit

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = (DEPLOY / "koji-amplitude.service").read_text(encoding="utf-8")
CADDY = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
LONGEST_WAIT = WaitInput.model_json_schema()["properties"]["wait_seconds"]["maximum"]
MIB = 1024 * 1024


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read_string(UNIT)
    return unit["Service"]


def only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)


def test_the_unit_starts_a_command_that_exists_and_waits_for_its_end() -> None:
    program, command = service()["ExecStart"].split()
    assert Path(program).name == "koji-amplitude"
    assert command in EVERYDAY
    assert int(service()["TimeoutStopSec"]) > GRACEFUL_SECONDS
    assert int(service()["RestartPreventExitStatus"]) == USAGE
    assert int(service()["LimitNOFILE"]) >= MOST_CONNECTIONS + 256
    assert service()["WorkingDirectory"] == f"/var/lib/{service()['StateDirectory']}"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (verifier := shutil.which("systemd-analyze")) is None:
        pytest.skip("needs systemd-analyze")
    there = tmp_path / "koji-amplitude.service"
    there.write_text(UNIT.replace("/opt/koji-amplitude/bin/koji-amplitude", sys.executable), encoding="utf-8")
    done = subprocess.run(
        [verifier, "verify", there], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_proxies_let_the_largest_body_through() -> None:
    assert int(only(r"max_size (\d+)MiB", CADDY)) * MIB == MAX_BODY_BYTES
    assert int(only(r"client_max_body_size (\d+)m;", NGINX)) * MIB == MAX_BODY_BYTES


def test_proxies_wait_for_the_longest_answer() -> None:
    assert int(only(r"response_header_timeout (\d+)s", CADDY)) > LONGEST_WAIT
    assert int(only(r"proxy_read_timeout (\d+)s;", NGINX)) > LONGEST_WAIT


def test_proxies_close_idle_connections_before_the_server_does() -> None:
    assert int(only(r"keepalive (\d+)s", CADDY)) < KEEP_ALIVE_SECONDS
    assert int(only(r"keepalive_timeout (\d+)s;", NGINX)) < KEEP_ALIVE_SECONDS


def test_no_log_of_nginx_holds_a_query_where_a_token_may_be() -> None:
    logged = only(r"(?s)log_format koji_amplitude '(.*?)';", NGINX)
    assert "$uri" in logged
    assert not re.search(r"\$(request|request_uri|args|query_string|is_args|http_\w+)\b", logged)
    assert only(r"access_log \S+ (\w+);", NGINX) == "koji_amplitude"


def test_a_caller_cannot_choose_the_address_it_is_counted_by() -> None:
    assert only(r"X-Forwarded-For (\S+);", NGINX) == "$remote_addr"


def test_caddy_hands_streams_on_at_once() -> None:
    assert only(r"flush_interval (\S+)", CADDY) == "-1"
