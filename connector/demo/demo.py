"""`koji-amplitude demo`: the closed loop on this machine, with no account."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import httpx
from rich.console import Console
from rich.text import Text

from connector.demo.calls import Calls
from connector.demo.child import DemoError
from connector.demo.progress import follow
from connector.demo.proof import gather, mismatches
from connector.demo.scenario import OUTAGE_SECONDS, PEOPLE, Story
from connector.demo.screens import show_outcomes, show_payoff, show_plan, show_proof, show_receipt
from connector.demo.servers import Servers, running
from connector.demo.style import columns, heading, open_console, print_to

INTERRUPTED: Final = 130
_CALL_SECONDS: Final = 20.0


def main(*, keep: bool, program: str) -> int:
    """Run the demo; with `keep` its servers run until Ctrl-C. Return 0 if everything was proven, otherwise 1.

    `program` is how a person calls it here. Nothing leaves this machine; no setting of the caller is read.
    """
    console = open_console()
    try:
        with (
            _ended_by_signals(),
            tempfile.TemporaryDirectory(
                prefix="koji-amplitude-demo-", ignore_cleanup_errors=True
            ) as directory,
        ):
            return _run(console, Path(directory), program, keep=keep)
    except DemoError as error:
        console.print(
            Text(str(error), "bold red"), *(Text(f"  {line}", "dim") for line in error.log), sep="\n"
        )
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return INTERRUPTED


def _run(console: Console, directory: Path, program: str, *, keep: bool) -> int:
    _introduce(console)
    with running(directory) as servers:
        with httpx.Client(trust_env=False, timeout=_CALL_SECONDS) as client:
            proven = _show(console, Calls(servers, client))
        _next_steps(console, program, servers if keep else None)
        if keep:
            _wait(servers)
    return 0 if proven else 1


def _show(console: Console, calls: Calls) -> bool:
    """Play the story and print its result; return whether all three sides agree."""
    story = Story(calls)
    plan = story.prepare()
    show_plan(console, plan)
    follow(console, story.play(plan))
    calls.control_sandbox("study/behaviour")
    story.leave_people_to_ask()
    evidence = gather(calls, story.refused.email, plan["launch_id"], story.launch_again())
    wrong = mismatches(evidence)
    show_outcomes(console, evidence)
    show_proof(console, evidence, wrong)
    show_receipt(console, evidence)
    show_payoff(console, calls.read_sandbox("payoff"))
    return not wrong


def _introduce(console: Console) -> None:
    heading(console, "koji-amplitude demo", "the real connector between stand-ins of Koji and Amplitude")
    text = (
        f"{PEOPLE} synthetic people stopped in the middle of onboarding. The connector asks each of them "
        "why;\nnothing leaves this machine. Koji repeats some webhooks, Amplitude refuses one person and is "
        f"down for {OUTAGE_SECONDS:.0f} s."
    )
    print_to(console, Text(text, "dim"), "")


def _next_steps(console: Console, program: str, kept: Servers | None) -> None:
    heading(console, "Next")
    steps = {f"{program} init": "connect your own Koji and Amplitude, step by step"}
    if kept is None:
        steps[f"{program} demo --keep"] = "leave both servers running to look around"
    else:
        steps |= {
            "console": f"{kept.connector.url}/console",
            "assistants": f"{kept.connector.url}/mcp (the cohort Power users is not asked yet)",
            "token": f"{kept.token} (signs in to the console, and assistants)",
            "stand-ins": f"{kept.sandbox.url}/control/state",
            "data": f"{kept.directory} (removed at the end)",
            "Ctrl-C": "ends both servers",
        }
    table = columns(count=2)
    for name, value in steps.items():
        table.add_row("", Text(name, "bold"), value)
    print_to(console, table)


def _wait(servers: Servers) -> None:
    """Wait for Ctrl-C. Raises DemoError when a server ends before."""
    with suppress(KeyboardInterrupt):
        while True:
            servers.require_running()
            time.sleep(0.5)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (a closed terminal) into Ctrl-C: the servers must not outlive the demo."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
