"""Run one operation from the command line: the same store as the server, and workers of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.app import build
from connector.cli.operations.confirm import may_go_on
from connector.cli.operations.flags import ROW_FORMATS, flag
from connector.cli.operations.follow import forget_pauses, showing
from connector.cli.operations.progress import watching
from connector.cli.operations.rows import as_csv, as_json_lines, with_all_pages
from connector.cli.operations.tables import show
from connector.cli.operations.values import read_payload
from connector.cli.startup import read_settings
from connector.cli.terminal import INTERRUPTED, PROGRAM, say, show_error, stdout
from connector.errors import ConnectorError
from connector.operations import OPERATIONS
from connector.security.caller import COMMAND_LINE
from connector.service.execution.execute import execute
from connector.service.execution.follow_up import follow
from connector.service.execution.operation import AnyOperation, Effect, Input, Output, WaitInput
from connector.settings.model import Settings

TERMINATED = 143
DECLINED = 1
BY_NAME: Mapping[str, AnyOperation] = {op.name: op for op in OPERATIONS}


@dataclass(slots=True)
class _Call:
    """One call; `output` is its state as last seen. Without `watch_seconds` it is watched to its end."""

    op: AnyOperation
    payload: Input
    watch_seconds: float | None
    output: Output | None = None
    replayed: bool = False
    terminated: bool = False


def run_operation(
    op: AnyOperation, flags: Mapping[str, Any], source: str | None, form: str, *, yes: bool
) -> int:
    """Run one operation; print the answer on standard output and return the exit code.

    `flags` and `source` are the input (`read_payload`); `form` is table, json, csv or jsonl.
    """
    try:
        payload = read_payload(op, flags, source)
        settings = read_settings(quiet=True)
        if not may_go_on(op, payload, yes=yes):
            say("Nothing was done.")
            return DECLINED
        return _call(settings, op, payload, form)
    except ConnectorError as error:
        show_error(error)
        if error.result is not None:
            _print(error.result, form)
        return error.exit_code


def _call(settings: Settings, op: AnyOperation, payload: Input, form: str) -> int:
    call = _prepared(op, payload)
    try:
        output = asyncio.run(_run(settings, call, all_rows=form in ROW_FORMATS))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_what_goes_on(call, "Stopped watching.")
        return TERMINATED if call.terminated else INTERRUPTED
    if call.replayed:
        say("This is the answer of an earlier call with the same idempotency key; nothing was done again.")
    _print(output, form)
    if output.follow_up() is not None:
        _say_what_goes_on(call, "Not finished yet.")
    return 0


def _prepared(op: AnyOperation, payload: Input) -> _Call:
    """Watch instead of waiting inside the operation, so that progress shows from the first moment."""
    if not isinstance(payload, WaitInput):
        return _Call(op, payload, None)
    is_given = "wait_seconds" in payload.model_fields_set
    seconds = float(payload.wait_seconds) if is_given else None
    return _Call(op, payload.model_copy(update={"wait_seconds": 0}), seconds)


async def _run(settings: Settings, call: _Call, *, all_rows: bool) -> Output:
    _end_on_terminate(call)
    op, payload, connection = call.op, call.payload, call.payload.connection
    works = op.effect is not Effect.READ
    # deciding over a cohort takes the planning worker; while a person only looks, nothing else may happen
    plans = works and (op.effect is Effect.WRITE or getattr(payload, "dry_run", False))
    async with build(settings, workers=works, only={"launches"} if plans else None) as running:
        ctx = running.context
        if works and not plans and connection in settings.connections:
            await forget_pauses(ctx, connection)
        executed = await execute(ctx, op, payload, caller=COMMAND_LINE, by_name=BY_NAME)
        if all_rows:
            executed = await with_all_pages(ctx, op, payload, executed)
        output = call.output = executed.output
        call.replayed = executed.replayed
        if output.follow_up() is None or call.watch_seconds == 0:
            return output
        with watching(op.title) as show_state:
            tell = showing(ctx, connection, show_state)

            async def see(state: Output) -> None:
                call.output = state
                await tell(state)

            seconds = call.watch_seconds
            call.output = await follow(ctx, op, connection, output, BY_NAME, seconds=seconds, tell=see)
        return call.output


def _end_on_terminate(call: _Call) -> None:
    """Let SIGTERM stop the watching as Ctrl-C does, so that lanes are given back."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine

    def end() -> None:
        call.terminated = True
        task.cancel()

    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)


def _say_what_goes_on(call: _Call, first: str) -> None:
    follow_up = call.output.follow_up() if call.output else None
    if follow_up is None:
        say(first)
        return
    name, arguments = follow_up
    given = {"connection": call.payload.connection, **arguments}
    if given["connection"] == Input.model_fields["connection"].default:
        del given["connection"]
    words = [PROGRAM, name.replace("_", "-"), *(f"{flag(key)} {value}" for key, value in given.items())]
    say(f"{first} What is left goes on with the next `{PROGRAM} serve`; look with: {' '.join(words)}")


def _print(answer: Output | Mapping[str, Any], form: str) -> None:
    """Print the exact JSON of the model, its rows, or a table."""
    values = answer.model_dump(mode="json") if isinstance(answer, Output) else answer
    if form == "table":
        show(stdout(), values)
    elif form in ROW_FORMATS:
        sys.stdout.write(as_csv(values) if form == "csv" else as_json_lines(values))
    else:
        sys.stdout.write(_json(answer, 2 if sys.stdout.isatty() else None) + "\n")
    sys.stdout.flush()


def _json(answer: Output | Mapping[str, Any], indent: int | None) -> str:
    if isinstance(answer, Output):
        return answer.model_dump_json(indent=indent)
    separators = None if indent else (",", ":")
    return json.dumps(answer, indent=indent, separators=separators, ensure_ascii=False)
