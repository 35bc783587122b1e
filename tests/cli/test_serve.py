"""`serve` and `sandbox` as real processes: how they begin, and how they end."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.sandbox.options import FAKE_SIGNING_KEY
from tests.support.cli_runs import ROOT, STARTED, Machine, free_port, sandbox_settings, wait_for

pytestmark = pytest.mark.e2e

READY = STARTED
GOOD = {"themes": ["price"], "quality_score": 4, "respondent_email": "person-001@example.com"}


@pytest.fixture
def machine(tmp_path: Path, sandbox: str) -> Machine:
    httpx.post(f"{sandbox}/control/reset", verify=False).raise_for_status()
    return Machine(
        tmp_path, {**sandbox_settings(sandbox), "PORT": str(free_port()), "CONNECTOR_API_TOKEN": "tok"}
    )


def url(machine: Machine) -> str:
    return f"http://127.0.0.1:{machine.settings['PORT']}"


def call(machine: Machine, name: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": "Bearer tok"}
    return httpx.post(f"{url(machine)}/actions/{name}", json=body, headers=headers, timeout=30, verify=False)


def hold(sandbox: str) -> None:
    """Let Koji's stand-in keep every call waiting."""
    fault = {"kind": "slow", "seconds": 600, "times": None}
    httpx.post(f"{sandbox}/control/koji/faults", json=fault, verify=False).raise_for_status()


def held(sandbox: str) -> bool:
    """Tell whether a call has left for Koji and waits there."""
    return bool(httpx.get(f"{sandbox}/control/koji/faults", verify=False).json()["held"])


def release(sandbox: str) -> None:
    httpx.delete(f"{sandbox}/control/koji/faults", verify=False).raise_for_status()


def in_flight(ask: Callable[[], httpx.Response]) -> tuple[threading.Thread, list[httpx.Response]]:
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    return thread, answers


def leases(machine: Machine) -> list[str]:
    file = next(machine.home.rglob("ledger.db"))
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        return [
            owner for (owner,) in db.execute("SELECT owner FROM lane WHERE owner IS NOT NULL AND until > 0")
        ]


def test_the_token_is_shown_once_on_a_terminal_and_never_elsewhere(machine: Machine) -> None:
    del machine.settings["CONNECTOR_API_TOKEN"]
    terminal = machine.terminal("serve")
    terminal.expect("  Next ")
    terminal.signal(signal.SIGTERM)
    assert terminal.end() == 0
    kept = next(machine.home.rglob("api-token"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    token = kept.read_text().strip()
    assert token in terminal.screen
    assert f"{url(machine)}/webhooks/koji" in terminal.screen
    kept.unlink()
    with machine.started("serve", until=STARTED) as server:
        assert kept.read_text().strip() not in server.output()
        assert str(kept) in server.output()


def test_a_piped_log_is_json_lines_from_the_start_on(machine: Machine, sandbox: str) -> None:
    machine.settings["KOJI_WEBHOOK_SECRET"] = ""
    machine.settings["KOJI_NOTHING"] = "1"
    with machine.started("serve", until=STARTED) as server:
        machine.settings["KOJI_WEBHOOK_SECRET"] = FAKE_SIGNING_KEY
    [warned, started] = [json.loads(line) for line in server.output().splitlines()]
    assert (warned["event"], warned["level"]) == ("settings", "warning")
    assert "KOJI_NOTHING" in warned["message"]
    assert (started["url"], started["not_set"]) == (url(machine), ["KOJI_WEBHOOK_SECRET"])
    assert "init" in started["next"]
    machine.settings["KOJI_WEBHOOK_SECRETS"] = "1"
    with machine.started("serve", until=STARTED) as server:
        assert json.loads(server.output().splitlines()[-1])["next"].startswith("KOJI_WEBHOOK_SECRETS: is not")


def test_a_healthy_server_shows_each_webhook_and_each_batch(machine: Machine, sandbox: str) -> None:
    target = {"url": f"{url(machine)}/webhooks/koji", "secret": FAKE_SIGNING_KEY, "verify": False}
    with machine.started("serve", until=STARTED) as server:
        httpx.put(f"{sandbox}/control/koji/webhook", json=target).raise_for_status()
        interview = {"state": "completed", "email": "person-001@example.com", "quality_score": 4.1}
        httpx.post(f"{sandbox}/control/koji/interviews", json=interview).raise_for_status()
        wait_for(lambda: "batch_sent" in server.output())
    lines = [json.loads(line) for line in server.output().splitlines()]
    by_event = {line["event"]: line for line in lines}
    assert by_event["webhook_accepted"]["duplicate"] is False
    assert (by_event["batch_sent"]["interviews"], by_event["batch_sent"]["status"]) == (1, 200)
    assert "person-001" not in server.output()


@pytest.mark.slow
def test_changed_settings_show_in_the_log_the_check_and_the_command_line(
    machine: Machine, sandbox: str
) -> None:
    def settings() -> tuple[str, str]:
        found = call(machine, "check_connection", {}).json()["checks"]
        return next((one["status"], one["message"]) for one in found if one["name"] == "settings")

    env = machine.cwd / ".env"
    env.write_text("KOJI_SEND_EMAIL=true\n")
    start = (
        "start-interview",
        "--email",
        "ada@example.com",
        "--yes",
        "--mode",
        "text",
        "--wait-seconds",
        "0",
    )
    plan = ("plan-cohort-launch", "--members", '[{"user_id": "user-1"}]')
    with machine.started("serve", until=STARTED) as server:
        wait_for(lambda: settings()[0] == "ok")
        assert "warning:" not in machine.run("cancel-launch", "--launch-id", "lau_1").stderr
        other = machine.run(*start, more={"KOJI_PROJECT_ID": "p-1"})
        assert (other.returncode, other.stdout) == (3, "")
        assert other.stderr.startswith("error: The running server has other settings than this command: rest")
        assert httpx.get(f"{sandbox}/control/koji/interviews").json()["interviews"] == []
        planned = machine.run(*plan, more={"KOJI_PROJECT_ID": "p-1"})
        assert planned.returncode == 0, planned.stderr
        assert planned.stderr.startswith("warning: The running server has other settings than this command")
        env.write_text("KOJI_SEND_EMAIL=true\nKOJI_PROJECT_ID=secret-project\n")
        wait_for(lambda: settings()[0] == "warn")
        assert "restart it" in settings()[1]
        wait_for(lambda: "settings_changed" in server.output())
        doctor = machine.run("doctor").stdout
        assert doctor.splitlines()[-1].startswith("Next: The settings have changed since the server started")
    assert "secret-project" not in server.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_answers_who_waits_and_gives_the_lanes_back(
    machine: Machine, sandbox: str, number: signal.Signals
) -> None:
    httpx.post(
        f"{sandbox}/control/koji/interviews",
        json={"state": "active", "interview_id": "slow-1", "email": "person-001@example.com"},
        verify=False,
    ).raise_for_status()
    with machine.started("serve", until=READY) as server:
        body = {"interview_id": "slow-1", "wait_seconds": 25}
        thread, answers = in_flight(lambda: call(machine, "sync_interview_to_amplitude", body))
        wait_for(lambda: call(machine, "list_syncs", {}).json()["items"])
        server.send_signal(number)
        assert server.wait(12) == 0
        thread.join(5)
        assert answers[0].status_code == 202
        assert answers[0].json()["status"] == "pending"
        assert "Traceback" not in server.output()
    assert leases(machine) == []
    with machine.started("serve", until=READY):
        # an old lease would hold the lane for longer than a call waits
        again = call(machine, "sync_interview_to_amplitude", {"interview_id": "int-2", **GOOD})
        assert again.json()["status"] == "synced"
        assert call(machine, "get_sync", {"interview_id": "slow-1"}).json()["status"] == "pending"


def test_while_a_call_is_in_flight_new_work_is_refused(machine: Machine, sandbox: str) -> None:
    hold(sandbox)
    with machine.started("serve", until=READY) as server:
        assert httpx.get(f"{url(machine)}/readyz", verify=False).status_code == 200
        thread, answers = in_flight(
            lambda: call(machine, "get_interview_analysis", {"interview_id": "int-1"})
        )
        wait_for(lambda: held(sandbox))
        server.send_signal(signal.SIGTERM)
        wait_for(lambda: httpx.get(f"{url(machine)}/readyz", verify=False).status_code == 503)
        refused = call(machine, "list_syncs", {})
        assert (refused.status_code, refused.json()["code"]) == (503, "stopping")
        release(sandbox)
        assert server.wait(12) == 0
        thread.join(5)
        assert answers[0].status_code == 404


@pytest.mark.proof
def test_a_call_that_never_ends_is_not_waited_for_longer_than_ten_seconds(
    machine: Machine, sandbox: str
) -> None:
    hold(sandbox)
    with machine.started("serve", until=READY) as server:
        body = {"interview_id": "int-1", "wait_seconds": 0}
        call(machine, "sync_interview_to_amplitude", body)
        wait_for(lambda: held(sandbox))
        begun = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(13) == 0
        assert time.monotonic() - begun < 12.5
    assert leases(machine) == []


@pytest.mark.slow
def test_the_process_that_reads_large_bodies_ends_with_the_server(machine: Machine) -> None:
    machine.settings["PYTHONPATH"] = str(ROOT)  # an interpreter of its own, which has no other children
    ids = [f"interview-{n}" for n in range(130_000)]
    with machine.started("serve", until=READY) as server:
        assert call(machine, "replay_syncs", {"interview_ids": ids}).status_code == 422  # above 100,000
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 1
        server.send_signal(signal.SIGTERM)
        assert server.wait(12) == 0
        assert "Traceback" not in server.output()
    wait_for(lambda: not Path(f"/proc/{children[0]}").exists())


def test_a_second_ctrl_c_ends_at_once(machine: Machine, sandbox: str) -> None:
    hold(sandbox)
    with machine.started("serve", until=READY) as server:
        thread, _ = in_flight(lambda: _ignoring_cuts(machine))
        wait_for(lambda: held(sandbox))
        server.send_signal(signal.SIGINT)
        wait_for(lambda: httpx.get(f"{url(machine)}/readyz", verify=False).status_code == 503)
        server.send_signal(signal.SIGINT)
        assert server.wait(5) == 130  # the first one alone would wait for the call for ten seconds
        thread.join(5)


def _ignoring_cuts(machine: Machine) -> httpx.Response:
    try:
        return call(machine, "get_interview_analysis", {"interview_id": "int-1"})
    except httpx.TransportError:
        return httpx.Response(599)


def test_a_port_in_use_is_one_line(machine: Machine) -> None:
    with machine.started("serve", until=READY):
        second = machine.run("serve")
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr.startswith(f"error: PORT: {machine.settings['PORT']} on 127.0.0.1 is in use")
        assert second.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "settings", "says"),
    [
        (("--port", "0"), {}, "error: PORT: must be a whole number from 1 to 65535"),
        (("--host", "0.0.0.0"), {"CONNECTOR_API_TOKEN": ""}, "error: CONNECTOR_API_TOKEN: must be set"),
        ((), {"DATABASE_URL": "sqlite:////proc/nowhere/ledger.db"}, "error: DATABASE_URL"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    machine: Machine, words: tuple[str, ...], settings: dict[str, str], says: str
) -> None:
    machine.settings.update(settings)
    done = machine.run("serve", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


def test_http_and_work_can_be_two_processes(machine: Machine, sandbox: str) -> None:
    with machine.started("serve", "--no-workers", until=STARTED):
        body = {"interview_id": "int-1", **GOOD, "wait_seconds": 0}
        assert call(machine, "sync_interview_to_amplitude", body).status_code == 202
        with machine.started("serve", "--workers-only", until=STARTED) as workers:
            wait_for(
                lambda: call(machine, "get_sync", {"interview_id": "int-1"}).json()["status"] == "synced"
            )
            workers.send_signal(signal.SIGTERM)
            assert workers.wait(12) == 0
    assert leases(machine) == []


def test_no_header_tells_what_serves_and_the_log_is_json(machine: Machine, sandbox: str) -> None:
    machine.settings["CONNECTOR_LOG_LEVEL"] = "info"
    machine.settings["AMPLITUDE_API_KEY"] = "revoked-key"
    with machine.started("serve", until=READY) as server:
        assert "server" not in httpx.get(f"{url(machine)}/healthz", verify=False).headers
        call(machine, "sync_interview_to_amplitude", {"interview_id": "int-1", **GOOD})
        wait_for(lambda: "amplitude_lane_paused" in server.output())
        lines = [line for line in server.output().splitlines() if line.startswith("{")]
        paused = next(line for line in lines if "amplitude_lane_paused" in line)
        assert json.loads(paused)["level"] == "warning"
        assert "revoked-key" not in server.output()
        assert "person-001" not in server.output()
        assert "GET /healthz" not in server.output()


def test_the_sandbox_says_how_to_point_a_connector_at_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    port = str(free_port())
    with machine.started("sandbox", "--port", port, until="control/amplitude/events") as sandbox:
        lines = sandbox.output().splitlines()
        settings = dict(line.split("=", 1) for line in lines if line.startswith(("KOJI_", "AMPLITUDE_")))
        (machine.cwd / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        done = machine.run("sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", "--themes", "a",
                           "--quality-score", "4", "--respondent-email", "person-001@example.com")  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        second = machine.run("sandbox", "--port", port)
        assert second.returncode == 2
        assert second.stderr.startswith(f"error: --port: {port} on 127.0.0.1 is in use")
        assert second.stderr.endswith(f"for example --port {int(port) + 1}\n")
        sandbox.send_signal(signal.SIGTERM)
        assert sandbox.wait(5) == 0
