"""A shell completes commands, flags and their values, through the script that `completion` prints."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cli_runs import PATIENCE, Machine

pytestmark = pytest.mark.e2e

CASES = [
    (("rotate",), {"rotate-key"}),
    (("list-l",), {"list-launches"}),
    (("serve", "--no"), {"--no-workers"}),
    (("list-syncs", "--wait"), set()),
    (("launch-cohort-interviews", "--reinvite"), {"--reinvite-after-days"}),
    (("launch_cohort_interviews", "--mode", ""), {"text", "voice"}),
    (("list-syncs", "--output", "j"), {"json", "jsonl"}),
    (("list-syncs", "--connection", ""), {"default", "onboarding", "pricing"}),
    (("export", "z"), {"zapier"}),
    (("completion", ""), {"bash", "zsh", "fish"}),
    (("token", "cr"), {"create"}),
    (("token", "create", "zap", "--scopes", "read,s"), {"read,send"}),
]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    tables = "[connections.onboarding]\n[connections.pricing]\n"
    (machine.cwd / "connector.toml").write_text(tables)
    command = machine.home / "koji-amplitude"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(machine.command())} "$@"\n')
    command.chmod(0o755)
    return machine


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(machine: Machine) -> None:
    words = [
        f"COMP_WORDS=(koji-amplitude {' '.join(map(repr, typed))}); COMP_CWORD={len(typed)}; COMPREPLY=(); "
        '_koji_amplitude_completion koji-amplitude; echo "${COMPREPLY[*]}"'
        for typed, _ in CASES
    ]
    script = "\n".join(['eval "$(koji-amplitude completion bash)"', *words, "complete -p koji-amplitude"])
    path = f"{machine.home}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=machine.cwd, env=machine.environment({"PATH": path}),
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    *lines, registered = done.stdout.splitlines()
    assert [set(line.split()) for line in lines] == [expected for _, expected in CASES]
    assert registered.endswith("_koji_amplitude_completion koji-amplitude")
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_asks_this_program(machine: Machine, shell: str) -> None:
    done = machine.run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_KOJI_AMPLITUDE_COMPLETE={shell}_complete" in done.stdout


def test_settings_that_cannot_be_read_complete_no_connection(machine: Machine) -> None:
    (machine.cwd / "connector.toml").write_text("no toml")
    asked = {"_KOJI_AMPLITUDE_COMPLETE": "bash_complete", "COMP_CWORD": "3"}
    done = machine.run(more={**asked, "COMP_WORDS": "koji-amplitude list-syncs --connection "})
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
