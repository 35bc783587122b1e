"""Run one operation from the command line: the same ledger as the server, and workers of its own."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from connector import log
from connector.app import build
from connector.cli.arguments import dashed, flag, with_flags
from connector.cli.operations import plan
from connector.cli.operations.confirm import confirmed, is_agreed, must_ask
from connector.cli.operations.csv_rows import ROW_FORMATS, with_all_pages
from connector.cli.operations.progress import end_pauses, progress_display, state_reporter
from connector.cli.operations.tables import print_answer
from connector.cli.operations.values import read_payload
from connector.cli.startup import on_signals, read_settings, run_in_context, secrets_of
from connector.cli.terminal import INTERRUPTED, PROGRAM, say, show_error
from connector.context import Context
from connector.errors import Conflict, ConnectorError
from connector.operations import OPERATIONS
from connector.operations.launch_cohort_interviews import LAUNCH_COHORT_INTERVIEWS
from connector.operations.list_cohorts import LIST_COHORTS
from connector.security.caller import COMMAND_LINE
from connector.service.checks.running import settings_check
from connector.service.execution.execute import execute
from connector.service.execution.follow_up import follow
from connector.service.execution.operation import AnyOperation, Effect, Input, Output, WaitInput
from connector.service.views.launch import LaunchOutput
from connector.settings.model import Settings

_TERMINATED = 143
_DECLINED = 1
_BY_NAME: Mapping[str, AnyOperation] = {op.name: op for op in OPERATIONS}


@dataclass(slots=True)
class _Call:
    """One call; `output` is the call's latest state. Without `watch_seconds`, watch until the end."""

    op: AnyOperation
    payload: Input
    form: str = "json"
    watch_seconds: float | None = None
    output: Output | None = None
    replayed: bool = False
    terminated: bool = False


def run_operation(
    op: AnyOperation, flags: dict[str, Any], source: str | None, form: str, *, yes: bool
) -> int:
    """Run one operation; print the answer on standard output and return the exit code.

    `flags` and `source` are the input (`read_payload`); `form` is table, json, csv or jsonl.
    """
    try:
        watch_seconds = flags.pop("wait_seconds", None) if issubclass(op.input, WaitInput) else None
        payload = read_payload(op, flags, source)
        settings = read_settings(quiet=True)
        if settings.connector_log_level == "info":  # errors and progress say what a warning would
            log.configure("error", secrets=secrets_of(settings))
        if op.effect is Effect.SEND:
            run_in_context(settings, _require_same_settings)
        if must_ask(op, payload, yes=yes):
            is_launch = op is LAUNCH_COHORT_INTERVIEWS
            agreed = _agreed_plan(settings, payload) if is_launch else confirmed(op, payload)
            if agreed is None:
                say("Nothing was done.")
                return _DECLINED
            payload = agreed
        return _call(settings, _Call(op, payload, form, watch_seconds))
    except ConnectorError as error:
        show_error(error, partial(_worded, op))
        # a cancelled plan says nothing to a person that the error does not
        if error.result is not None and (form != "table" or error.result.get("status") != "cancelled"):
            print_answer(error.result, form)
        return error.exit_code


async def _require_same_settings(ctx: Context) -> None:
    """Raise `Conflict` if a running server's workers would send by other caps and keys than these."""
    status, message = await settings_check(ctx)
    if status != "ok":
        raise Conflict(f"{message} Nothing was sent.", code="settings_differ")


def _worded(op: AnyOperation, text: str) -> str:
    """Return a message with flags for the operation's fields, and commands for names of operations."""
    commands = r"\b(" + "|".join(_BY_NAME) + r")\b"
    text = re.sub(commands, lambda name: f"{PROGRAM} {dashed(name[0])}", text)
    return with_flags(text, op.input.model_fields)


def _agreed_plan(settings: Settings, payload: Any) -> Input | None:
    """Plan a launch, ask about its people and credits, and return the input that launches them, or None."""
    dry: Input = payload.model_copy(update={"dry_run": True, "wait_seconds": 0})
    decided: Any = asyncio.run(_run(settings, _Call(LAUNCH_COHORT_INTERVIEWS, dry)))
    if decided.plan_token is None:  # launched by an earlier call, whose answer is shown
        return dry
    for warning in decided.warnings:
        say(f"warning: {_worded(LAUNCH_COHORT_INTERVIEWS, warning)}")
    if not decided.to_invite:
        say(plan.next_line(decided, payload.connection))
        return None
    if decided.skipped:
        say(f"Not invited: {', '.join(f'{reason} {n}' for reason, n in decided.skipped.items())}.")
    if not is_agreed(plan.question(decided)):
        return None
    people = {"cohort_id": None, "members": None, "plan_token": decided.plan_token}
    agreed: Input = payload.model_copy(update=people)
    return agreed


def _call(settings: Settings, call: _Call) -> int:
    if isinstance(call.payload, WaitInput):
        # Watching shows progress from the start; waiting inside the operation would not.
        if call.watch_seconds is None and "wait_seconds" in call.payload.model_fields_set:  # from --json
            call.watch_seconds = float(call.payload.wait_seconds)
        call.payload = call.payload.model_copy(update={"wait_seconds": 0})
    try:
        output = asyncio.run(_run(settings, call))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_follow_up(call, "Stopped watching.")
        return _TERMINATED if call.terminated else INTERRUPTED
    if call.replayed:
        say("This is the answer of an earlier call with the same idempotency key; nothing was done again.")
    if call.form == "table" and isinstance(output, LaunchOutput) and output.plan_token:
        shown = plan.table_of(output)
        print_answer({**shown, "warnings": _worded(call.op, shown["warnings"])}, call.form)
        sys.stdout.write(f"\n{plan.next_line(output, call.payload.connection)}\n")
    else:
        print_answer(output, call.form)
    if output.follow_up() is not None:
        _say_follow_up(call, "Not finished yet.")
    elif call.form == "table" and (following := _next_step(call.op, output, call.payload.connection)):
        sys.stdout.write(f"\nNext: {following}\n")
    return 0


def _next_step(op: AnyOperation, output: Output, connection: str) -> str | None:
    """Return what a person does with a launch that has ended, or without any cohort."""
    if op.effect is Effect.SEND and isinstance(output, LaunchOutput) and output.invited:
        fields = {"connection": connection, "launch_id": output.launch_id, "output": "csv"}
        return _command("get_launch", fields)
    if op is LIST_COHORTS and not getattr(output, "items", None):
        return f"make a cohort in Amplitude, or {PROGRAM} launch-cohort-interviews --members FILE"
    return None


async def _run(settings: Settings, call: _Call) -> Output:
    _stop_on_sigterm(call)
    op, payload, connection = call.op, call.payload, call.payload.connection
    works = op.effect is not Effect.READ
    # Planning a cohort needs the planning worker; no other worker may run, because nothing is sent yet.
    plans = works and (op.effect is Effect.WRITE or getattr(payload, "dry_run", False))
    async with build(settings, workers=works, only={"launches"} if plans else None) as running:
        ctx = running.context
        status, message = await settings_check(ctx) if works else ("ok", "")
        if status != "ok":
            say(f"warning: {message}")
        payload = plan.with_token(ctx, payload)
        if works and not plans and connection in settings.connections:
            await end_pauses(ctx, connection)
        executed = await execute(ctx, op, payload, caller=COMMAND_LINE, by_name=_BY_NAME)
        if call.form in ROW_FORMATS:
            executed = await with_all_pages(ctx, op, payload, executed)
        output = call.output = executed.output
        call.replayed = executed.replayed
        if output.follow_up() is not None and call.watch_seconds != 0:
            call.output = await _watched(ctx, call, output)
        return await plan.with_first_people(ctx, call.output) if call.form == "table" else call.output


async def _watched(ctx: Context, call: _Call, output: Output) -> Output:
    """Show the progress of a call, for its `watch_seconds` at most; return its last state."""
    connection = call.payload.connection
    with progress_display(call.op.title) as show_state:
        show = state_reporter(ctx, connection, show_state)

        async def report(state: Output) -> None:
            call.output = state
            await show(state)

        seconds = call.watch_seconds
        return await follow(ctx, call.op, connection, output, _BY_NAME, seconds=seconds, tell=report)


def _stop_on_sigterm(call: _Call) -> None:
    """Let SIGTERM stop the watching as Ctrl-C does, so that the workers release their leases."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine

    def end() -> None:
        call.terminated = True
        task.cancel()

    on_signals(end, signal.SIGTERM)


def _say_follow_up(call: _Call, first: str) -> None:
    follow_up = call.output.follow_up() if call.output else None
    if follow_up is None:
        say(first)
        return
    name, arguments = follow_up
    command = _command(name, {"connection": call.payload.connection, **arguments})
    say(f"{first} The next `{PROGRAM} serve` continues the work; see its state with: {command}")


def _command(name: str, fields: dict[str, Any]) -> str:
    if fields["connection"] == Input.model_fields["connection"].default:
        del fields["connection"]
    return " ".join([PROGRAM, dashed(name), *(f"{flag(key)} {value}" for key, value in fields.items())])
