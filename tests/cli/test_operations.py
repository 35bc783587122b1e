"""Operations from the command line, as real processes against the sandbox."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from connector.cli import main as program
from connector.errors import UpstreamRejected
from connector.operations import OPERATIONS
from connector.service.views.sync import SyncOutput
from tests.support.cli_runs import ROOT, Machine, sandbox_settings

pytestmark = pytest.mark.e2e

GOOD = ("--themes", "price, import", "--quality-score", "4.2", "--respondent-email", "person-001@example.com")


@pytest.fixture
def machine(tmp_path: Path, sandbox: str) -> Machine:
    httpx.post(f"{sandbox}/control/reset", verify=False).raise_for_status()
    return Machine(tmp_path, sandbox_settings(sandbox))


def completed(sandbox: str, *interview_ids: str) -> None:
    for number, interview_id in enumerate(interview_ids):
        email = f"person-{number:03}@example.com"
        interview = {"state": "completed", "interview_id": interview_id, "email": email, "quality_score": 4.1}
        httpx.post(f"{sandbox}/control/koji/interviews", json=interview, verify=False).raise_for_status()


def sent(sandbox: str) -> int:
    total: int = httpx.get(f"{sandbox}/control/amplitude/events", verify=False).json()["total"]
    return total


def test_json_is_exactly_the_model_and_alone_on_standard_output(machine: Machine) -> None:
    done = machine.run(
        "sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", *GOOD, "--output", "json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert SyncOutput.model_validate_json(done.stdout).model_dump_json() + "\n" == done.stdout
    assert json.loads(done.stdout)["status"] == "synced"
    again = machine.run("sync_interview_to_amplitude", "--yes", "--interview_id=int-1", "--output=json")
    assert again.stdout == done.stdout


def test_a_table_has_no_colours_and_fits_without_a_terminal(machine: Machine) -> None:
    machine.run("sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", *GOOD)
    done = machine.run("list-syncs", more={"COLUMNS": "60"})
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert "int-1" in done.stdout


def test_an_error_is_one_line_with_its_result_and_exit_code(machine: Machine) -> None:
    done = machine.run(
        "sync-interview-to-amplitude", "--yes", "--interview-id", "unknown-interview", "--output", "json"
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: Koji has no such interview")
    assert done.stderr.count("\n") == 1
    assert json.loads(done.stdout)["reason"] == "not_found_in_koji"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("get-run", "--run-id", "run_x"), 3, "error: --run-id: there is no such run"),
        (("get-sync",), 2, "error: --interview-id: is required"),
        (("list-syncs", "--connection", "other"), 3, "error: --connection: there is no connection other"),
        (("list-synks",), 2, "error: there is no command list-synks; did you mean list-syncs?"),
        (("Serve",), 2, "error: there is no command Serve; did you mean serve?"),
    ],
)
def test_exit_codes_tell_what_to_do(machine: Machine, words: tuple[str, ...], code: int, says: str) -> None:
    done = machine.run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_missing_key_is_named(machine: Machine) -> None:
    machine.settings["AMPLITUDE_API_KEY"] = ""
    done = machine.run("sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", *GOOD)
    assert done.returncode == 2
    assert "AMPLITUDE_API_KEY is not set" in done.stderr


def test_a_malformed_setting_is_one_line_and_a_strange_one_a_warning(machine: Machine) -> None:
    done = machine.run("list-connections", more={"PORT": "many"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: PORT: must be a whole number from 1 to 65535; for example PORT=8080\n"
    done = machine.run("list-connections", more={"KOJI_API_KEYS": "x"})
    assert done.returncode == 0
    assert done.stderr.startswith("warning: KOJI_API_KEYS: is not a setting")


def test_a_refused_key_ends_the_watching_and_a_mended_one_goes_on(machine: Machine, sandbox: str) -> None:
    key = machine.settings["AMPLITUDE_API_KEY"]
    machine.settings["AMPLITUDE_API_KEY"] = "revoked-key"
    done = machine.run(
        "sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", *GOOD, "--output", "json"
    )
    assert done.returncode == 4
    assert "AMPLITUDE_API_KEY" in done.stderr
    assert "revoked-key" not in done.stderr
    assert json.loads(done.stdout)["status"] == "pending"
    machine.settings["AMPLITUDE_API_KEY"] = key
    done = machine.run("sync-interview-to-amplitude", "--yes", "--interview-id", "int-1", "--output", "json")
    assert json.loads(done.stdout)["status"] == "synced"
    assert sent(sandbox) == 2


def test_a_wrong_url_ends_the_watching_and_names_the_setting(machine: Machine, sandbox: str) -> None:
    switches = f"{sandbox}/control/koji/switches"
    httpx.post(
        switches, json={"redirect_to": "https://www.koji.example.com"}, verify=False
    ).raise_for_status()
    done = machine.run("backfill-interviews", "--yes", "--interview-ids", "bf-1", "--output", "json")
    assert done.returncode == 5
    assert "KOJI_BASE_URL" in done.stderr
    assert "key" not in done.stderr
    assert json.loads(done.stdout)["status"] == "running"


def test_a_backfill_runs_to_its_end_without_a_server(machine: Machine, sandbox: str) -> None:
    completed(sandbox, "bf-1", "bf-2")
    rows = "interview_id,completed_at\nbf-1,2026-10-01T10:00:00Z\nbf-2,2026-10-02T10:00:00Z\n"
    # watching may last longer than a call over HTTP may wait
    words = ("backfill-interviews", "--yes", "--csv", "-", "--wait-seconds", "60", "--output", "json")
    done = machine.run(*words, text=rows)
    assert done.returncode == 0
    assert json.loads(done.stdout)["synced"] == 2
    assert sent(sandbox) == 4


def test_without_watching_the_rest_waits_for_the_next_process(machine: Machine, sandbox: str) -> None:
    completed(sandbox, "bf-1")
    words = (
        "backfill-interviews",
        "--yes",
        "--interview-ids",
        "bf-1",
        "--wait-seconds",
        "0",
        "--output",
        "json",
    )
    done = machine.run(*words)
    assert done.returncode == 0
    run = json.loads(done.stdout)
    assert run["status"] == "running"
    assert f"koji-amplitude get-run --run-id {run['run_id']}" in done.stderr


def test_a_repeated_idempotency_key_does_nothing_again(machine: Machine, sandbox: str) -> None:
    words = (
        "sync-interview-to-amplitude",
        "--yes",
        "--interview-id",
        "int-1",
        *GOOD,
        "--idempotency-key",
        "k-1",
    )
    first = machine.run(*words, "--output", "json")
    again = machine.run(*words, "--output", "json")
    assert (first.stdout, sent(sandbox)) == (again.stdout, 2)
    assert "earlier call" in again.stderr


def test_a_reading_command_starts_no_work(machine: Machine, sandbox: str) -> None:
    completed(sandbox, "bf-1")
    machine.run("backfill-interviews", "--yes", "--interview-ids", "bf-1", "--wait-seconds", "0")
    before = sent(sandbox)
    for _ in range(2):
        assert machine.run("list-syncs").returncode == 0
    assert sent(sandbox) == before


def test_nothing_is_sent_before_a_person_said_yes(machine: Machine, sandbox: str) -> None:
    words = ("sync-interview-to-amplitude", "--interview-id", "int-1", *GOOD)
    for answer in ("\n", "n\n", "\x04"):
        terminal = machine.terminal(*words)
        question = terminal.expect("[y/N] ")
        assert "interview_id: int-1" in question
        assert "This changes something at Koji or Amplitude." in question
        terminal.type(answer)
        assert terminal.end() == 1
    assert sent(sandbox) == 0
    terminal = machine.terminal(*words)
    terminal.expect("[y/N] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert sent(sandbox) == 2


@pytest.mark.parametrize("words", [("--yes",), ("--dry-run",)])
def test_no_question_when_told_so_or_when_nothing_would_be_sent(
    machine: Machine, words: tuple[str, ...]
) -> None:
    terminal = machine.terminal("sync-interview-to-amplitude", "--interview-id", "int-1", *GOOD, *words)
    assert terminal.end() == 0
    assert "[y/N]" not in terminal.screen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_stops_the_watching_and_not_the_work(
    machine: Machine, sandbox: str, number: signal.Signals, code: int
) -> None:
    httpx.post(
        f"{sandbox}/control/koji/interviews",
        json={"state": "active", "interview_id": "slow-1", "email": "person-001@example.com"},
        verify=False,
    ).raise_for_status()
    terminal = machine.terminal("sync-interview-to-amplitude", "--interview-id", "slow-1", "--yes")
    terminal.expect("analysis_not_ready")
    terminal.signal(number)
    assert terminal.end() == code
    assert "koji-amplitude serve` continues the work" in " ".join(terminal.screen.split())
    assert "get-sync --interview-id slow-1" in " ".join(terminal.screen.split())
    httpx.post(f"{sandbox}/control/reset", verify=False).raise_for_status()
    completed(sandbox, "slow-1")
    done = machine.run("sync-interview-to-amplitude", "--yes", "--interview-id", "slow-1", "--output", "json")
    # the leases were given back, so this process need not wait for them
    assert json.loads(done.stdout)["status"] == "synced"


def test_help_lists_every_command_without_loading_the_machinery(machine: Machine) -> None:
    done = machine.run("--help")
    assert done.returncode == 0
    for name in [op.name.replace("_", "-") for op in OPERATIONS] + list(program.EVERYDAY):
        assert f"\n  {name} " in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "connector", "--help"],
        cwd=machine.cwd, env=machine.environment(), capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
    assert "connector" in names
    assert names & {"starlette", "httpx", "sqlalchemy", "uvicorn", "rich", "structlog"} == set()


@pytest.mark.parametrize("name", list(program.EVERYDAY))
def test_every_everyday_command_has_help(machine: Machine, name: str) -> None:
    done = machine.run(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: koji-amplitude {name}")


def test_a_reader_that_leaves_early_is_no_fault(machine: Machine) -> None:
    command = f"{sys.executable} -m connector list-syncs --output json --help | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=machine.cwd, env=machine.environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert ROOT.exists()


def test_a_fault_of_ours_shows_no_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_words: object) -> int:
        raise KeyError("what a person said to person-001@example.com")

    monkeypatch.setattr(program, "dispatch", broken)
    assert program.main(["list-syncs"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: internal error: KeyError")
    assert "; please report it with these lines\n" in shown
    assert "person" not in shown


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_the_operations_leaves_the_garbage_collector_as_it_was(enabled: bool) -> None:
    program._operations.cache_clear()
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        assert program._operations()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_every_error_class_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_words: object) -> int:
        raise UpstreamRejected("Amplitude refused it.", retry_after=7)

    monkeypatch.setattr(program, "dispatch", refused)
    assert program.main([]) == 5
    assert capsys.readouterr().err == "error: Amplitude refused it. Try again in 7 s.\n"
