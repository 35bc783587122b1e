"""Launches from the command line, as real processes against the sandbox."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.sandbox.options import SandboxOptions
from tests.support.cli_runs import STARTED, Machine, sandbox_settings, wait_for
from tests.support.sandbox_server import running

pytestmark = pytest.mark.e2e

PEOPLE = (
    "\ufeffEmail,user_id,name,plan\n"
    'one@example.com,u-1,"Ada, the first",trial\n'
    "two@example.com,u-2,=HYPERLINK(1),free\n"
    "\n"
    "three@example.com,,,\n"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running(SandboxOptions(koji_rate_limit_per_minute=None)) as base:
        yield base


@pytest.fixture
def machine(tmp_path: Path, sandbox: str) -> Machine:
    httpx.post(f"{sandbox}/control/reset", verify=False).raise_for_status()
    settings = {"KOJI_PROJECT_ID": "p-1", "KOJI_RATE_LIMIT_PER_MINUTE": "6000"}
    return Machine(tmp_path, {**sandbox_settings(sandbox), **settings})


def koji(sandbox: str) -> list[dict[str, Any]]:
    interviews: list[dict[str, Any]] = httpx.get(f"{sandbox}/control/koji/interviews", verify=False).json()[
        "interviews"
    ]
    return interviews


def test_a_cohort_from_a_file_is_planned_launched_and_written_as_csv(machine: Machine, sandbox: str) -> None:
    (machine.cwd / "people.csv").write_text(PEOPLE, encoding="utf-8")
    planned = machine.run(
        "plan-cohort-launch", "--members", "people.csv", "--mode", "text", "--output", "json"
    )
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert (plan["status"], plan["to_invite"], plan["credits_estimate"]) == ("planned", 3, 3)
    assert koji(sandbox) == []
    launched = machine.run(
        "launch-cohort-interviews", "--yes", "--plan-token", plan["plan_token"], "--output", "json"
    )
    assert json.loads(launched.stdout)["status"] == "finished", launched.stderr
    assert [one["email"] for one in koji(sandbox)] == [
        "one@example.com",
        "two@example.com",
        "three@example.com",
    ]
    written = machine.run("get-launch", "--launch-id", plan["launch_id"], "--output", "csv")
    rows = list(csv.DictReader(io.StringIO(written.stdout)))
    assert [row["email"] for row in rows] == ["one@example.com", "two@example.com", "three@example.com"]
    assert rows[0]["name"] == "Ada, the first"
    assert rows[1]["name"] == "'=HYPERLINK(1)"
    assert all("external_id=inv_" in row["interview_link"] for row in rows)


def test_csv_holds_all_pages(machine: Machine) -> None:
    many = "user_id\n" + "".join(f"user-{n}\n" for n in range(60))
    (machine.cwd / "many.csv").write_text(many)
    launched = machine.run(
        "launch-cohort-interviews", "--yes", "--members", "many.csv", "--mode", "text", "--output", "json"
    )
    launch_id = json.loads(launched.stdout)["launch_id"]
    whole = machine.run("get-launch", "--launch-id", launch_id, "--output", "csv")
    assert len(whole.stdout.splitlines()) == 61
    lines = machine.run("get-launch", "--launch-id", launch_id, "--output", "jsonl").stdout.splitlines()
    assert [json.loads(line)["user_id"] for line in lines] == [f"user-{n}" for n in range(60)]
    [entry] = machine.run("list-audit", "--output", "jsonl").stdout.splitlines()
    assert json.loads(entry)["touched"] == {"launch_id": launch_id}
    page = machine.run("get-launch", "--launch-id", launch_id, "--output", "csv", "--limit", "5")
    assert len(page.stdout.splitlines()) == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,Mail\nAda,x\n", "no column user_id or email in its header row, but: name, mail; --email-prop"),
        ("ada@example.com,Ada\n", "but: [address], ada; "),
        ("user_id,email\nu-1,one@example.com,more\n", "line 2 has another number of cells"),
        ('user_id\n"u-1\n', "cannot be read as CSV"),
        ("user_id\n", "names no member"),
        ('user_id\n"4,711,001"\n', "line 2: user_id was formatted by a spreadsheet"),
        ("user_id,email\n\nu-1,not an address\n", "error: --members: line 3: email is no e-mail address"),
    ],
)
def test_a_broken_file_starts_no_interview(machine: Machine, sandbox: str, text: str, says: str) -> None:
    (machine.cwd / "people.csv").write_text(text)
    done = machine.run("launch-cohort-interviews", "--yes", "--members", "people.csv")
    assert done.returncode == 2
    assert says in done.stderr
    assert koji(sandbox) == []


def test_planning_a_cohort_sends_nothing_that_is_due(machine: Machine, sandbox: str) -> None:
    httpx.post(
        f"{sandbox}/control/study", json={"people": 5, "interviews": False}, verify=False
    ).raise_for_status()
    stuck = {"kind": "status", "status": 503, "route": "start", "times": None}
    httpx.post(f"{sandbox}/control/koji/faults", json=stuck, verify=False).raise_for_status()
    machine.run(
        "launch-cohort-interviews", "--yes", "--members", '[{"user_id": "u-1"}]', "--wait-seconds", "1"
    )
    httpx.delete(f"{sandbox}/control/koji/faults", verify=False).raise_for_status()
    for words in (("plan-cohort-launch",), ("launch-cohort-interviews", "--dry-run")):
        done = machine.run(*words, "--cohort-id", "onboarding-drop-off", "--output", "json")
        assert json.loads(done.stdout)["to_invite"] == 5, done.stderr
    assert koji(sandbox) == []


def test_ctrl_c_stops_watching_and_not_the_launch(machine: Machine, sandbox: str) -> None:
    machine.settings["KOJI_RATE_LIMIT_PER_MINUTE"] = "60"
    people = json.dumps([{"user_id": f"user-{n}"} for n in range(5)])
    with machine.started(
        "launch-cohort-interviews", "--yes", "--members", people, "--mode", "text", until=""
    ) as watching:
        wait_for(lambda: koji(sandbox))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(15) == 130
        assert "get-launch --launch-id lau_" in watching.output()
    begun = len(koji(sandbox))
    assert 0 < begun < 5
    machine.settings["KOJI_RATE_LIMIT_PER_MINUTE"] = "6000"
    with machine.started("serve", until=STARTED):
        wait_for(lambda: len(koji(sandbox)) == 5)
    assert len({one["external_id"] for one in koji(sandbox)}) == 5


def test_a_paused_launch_is_not_watched_for_ever(machine: Machine, sandbox: str) -> None:
    httpx.post(
        f"{sandbox}/control/koji/switches", json={"credits_exhausted": True}, verify=False
    ).raise_for_status()
    done = machine.run(
        "launch-cohort-interviews", "--yes", "--members", '[{"user_id": "u-1"}]', "--output", "json"
    )
    launch = json.loads(done.stdout)
    assert (launch["status"], launch["pause_reason"]) == ("paused", "koji_credits")
    assert "credits" in launch["message"]
    httpx.post(
        f"{sandbox}/control/koji/switches", json={"credits_exhausted": False}, verify=False
    ).raise_for_status()
    resumed = machine.run("resume-launch", "--yes", "--launch-id", launch["launch_id"], "--output", "json")
    assert json.loads(resumed.stdout)["status"] == "finished", resumed.stderr


def test_on_a_terminal_the_question_says_people_credits_and_cohort(machine: Machine, sandbox: str) -> None:
    httpx.post(
        f"{sandbox}/control/study", json={"people": 5, "interviews": False}, verify=False
    ).raise_for_status()
    words = ("launch-cohort-interviews", "--cohort-id", "onboarding-drop-off", "--mode", "text")
    terminal = machine.terminal(*words)
    terminal.expect("Invite 5 people of Onboarding drop-off, at most 5 credits? [y/N] ")
    assert koji(sandbox) == []
    terminal.type("n\n")
    assert terminal.end() == 1
    assert "Nothing was done." in terminal.screen
    terminal = machine.terminal(*words)
    terminal.expect("[y/N] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert len(koji(sandbox)) == 5
    links = [line.split()[-1] for line in terminal.screen.splitlines() if "external_id=inv_" in line]
    assert len(links) == 5
    assert all(link.startswith("http") for link in links), terminal.screen


def test_without_a_terminal_and_without_yes_nothing_is_sent(machine: Machine, sandbox: str) -> None:
    for words in (
        ("launch-cohort-interviews", "--members", '[{"user_id": "u-1"}]'),
        ("forget-respondent", "--email", "ada@example.com"),
    ):
        done = machine.run(*words)
        assert done.returncode == 2
        assert "--yes" in done.stderr
    assert koji(sandbox) == []


def test_a_plan_ends_with_the_command_that_launches_it(machine: Machine, sandbox: str) -> None:
    people = [{"user_id": f"user-{n}"} for n in range(8)]
    rows = json.dumps([*people, people[0], people[1], {"name": "Ada"}])
    done = machine.run("plan-cohort-launch", "--members", rows, "--mode", "text", more={"COLUMNS": "60"})
    *shown, last = done.stdout.splitlines()
    assert last.startswith("Next: ")
    assert "launch-cohort-interviews --plan-token plan_lau_" in last
    assert re.search(r"duplicate_in_cohort +2 +user-0, user-1", done.stdout)
    assert re.search(r"no_identifier +1", done.stdout)
    first = done.stdout.split("first_to_invite")[1]
    assert re.findall(r"user-\d", first) == [f"user-{n}" for n in range(5)]
    assert "plan_token" not in "".join(shown)
    launch_id = re.search(r"lau_\w+", last)
    assert launch_id
    by_id = machine.run("launch-cohort-interviews", "--yes", "--plan-token", launch_id[0])
    assert by_id.returncode == 0, by_id.stderr
    assert len(koji(sandbox)) == 8


def test_a_plan_without_anyone_to_invite_says_why(machine: Machine) -> None:
    words = ("--members", '[{"user_id": "user-1"}]', "--mode", "text")
    launched = machine.run("launch-cohort-interviews", "--yes", *words)
    assert launched.returncode == 0, launched.stderr
    last = launched.stdout.splitlines()[-1]
    assert re.fullmatch(r"Next: .*get-launch --launch-id lau_\w+ --output csv", last)
    done = machine.run("plan-cohort-launch", *words)
    assert "Next: " not in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("No person is left to invite: 1 already_invited. --reinvite-after-days N ")
    terminal = machine.terminal("launch-cohort-interviews", *words)
    terminal.expect("No person is left to invite: 1 already_invited. --reinvite-after-days N ")
    assert terminal.end() == 1
    assert "[y/N]" not in terminal.screen


def test_a_column_of_addresses_can_be_named(machine: Machine, sandbox: str) -> None:
    (machine.cwd / "people.csv").write_text("Email Address,plan\none@example.com,trial\n")
    words = ("--members", "people.csv", "--mode", "text")
    named = machine.run("launch-cohort-interviews", "--yes", *words, "--email-property", "Email Address")
    assert named.returncode == 0, named.stderr
    assert [one["email"] for one in koji(sandbox)] == ["one@example.com"]
    (machine.cwd / "people.csv").write_text("user_id\nuser-1\n")
    planned = machine.run("plan-cohort-launch", *words)
    said = " ".join(planned.stdout.split())
    assert "no e-mail address came in the property email; the list of links will have no addresses." in said
    (machine.cwd / "people.csv").write_text("user_id,Plan\nuser-1,trial\n")
    said = " ".join(machine.run("plan-cohort-launch", *words).stdout.split())
    assert "It has plan: --email-property names the one with addresses." in said


def test_an_error_names_flags_and_commands(machine: Machine) -> None:
    unknown = machine.run("plan-cohort-launch", "--cohort-id", "none")
    assert unknown.returncode == 3
    assert unknown.stdout == ""
    [line] = unknown.stderr.splitlines()
    assert line.startswith("error: --cohort-id: Amplitude has no such cohort")
    assert "koji-amplitude list-cohorts shows" in line
    rows = json.dumps([{"user_id": "user-1"}, {"user_id": "user-2", "email": "not an address"}])
    wrong = machine.run("plan-cohort-launch", "--members", rows)
    assert wrong.stderr.startswith("error: --members row 2 email: is no e-mail address")
    without = {"KOJI_PROJECT_ID": ""}
    refused = machine.run("plan-cohort-launch", "--members", '[{"user_id": "user-1"}]', more=without)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: KOJI_PROJECT_ID is not set")
    assert "or give --allow-without-link" in refused.stderr


def test_an_account_without_cohorts_is_told_what_to_do(machine: Machine) -> None:
    done = machine.run("list-cohorts")
    assert "Next: make a cohort in Amplitude, or " in done.stdout
    assert "--members FILE" in done.stdout


def test_a_refused_proxy_is_named(machine: Machine) -> None:
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "AMPLITUDE_REST_URL": "https://analytics.invalid"}
    done = machine.run("list-cohorts", more=proxy)
    assert done.stderr.startswith(
        "error: The proxy for Amplitude's cohorts could not be reached: 127.0.0.1:9 "
    )
    assert "check HTTPS_PROXY" in done.stderr
