"""Show a call's progress and reason for waiting: as a bar on a terminal, otherwise as a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from connector.cli.terminal import console, say
from connector.context import Context
from connector.domain.people.erasure import FORGET_RESPONDENT
from connector.domain.results.interview import Stage
from connector.service.execution.operation import Output
from connector.service.lane_pause import pause_of_lanes, raise_for_pause
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput
from connector.text.cells import clean

_LINE_EVERY = 30.0  # seconds
_STANDSTILL = 3_000  # milliseconds without any change while a lane is paused
_SETTLING = 3.0  # seconds until a rate means something

ShowState = Callable[[Output, int, str], None]
"""Shows a call's state, the number of its interviews that are read but not ended, and why it waits."""


def state_reporter(ctx: Context, connection: str, show: ShowState) -> Callable[[Output], Awaitable[None]]:
    """Return a function that shows each state of a call on a connection.

    The function raises as `raise_for_pause` does: watching longer cannot help.
    """
    limit = ctx.connection(connection).koji_rate_limit_per_minute
    last: Output | None = None
    changed_at = ctx.clock.now()

    async def report(state: Output) -> None:
        nonlocal last, changed_at
        if state != last:
            last, changed_at = state, ctx.clock.now()
        pause = await pause_of_lanes(ctx, _lanes(ctx, connection))
        if pause is not None and ctx.clock.now() - changed_at > _STANDSTILL:
            raise_for_pause(pause, state.model_dump(mode="json"))
        unread = await ctx.ledger.syncs.waiting(Stage.READ, [connection])
        unsent = await ctx.ledger.syncs.waiting(Stage.SEND, [connection])
        waiting = [f"{unread} to read from Koji, at most {limit} a minute"] if unread else []
        waiting += [f"{unsent} to send"] if unsent else []
        why = pause.message if pause else ", ".join(waiting)
        # a launch itself says why it waits
        show(state, await _half_done(ctx, state), "" if isinstance(state, LaunchOutput) else why)

    return report


async def _half_done(ctx: Context, state: Output) -> int:
    """Count the interviews of a run that are read from Koji and wait to be sent; 0 for other outputs."""
    progress = await ctx.ledger.runs.progress(state.run_id) if isinstance(state, RunOutput) else None
    if progress is None or progress.operation == FORGET_RESPONDENT:  # an erasure reads nothing
        return 0
    return progress.pending - progress.unread


async def end_pauses(ctx: Context, connection: str) -> None:
    """End the pauses of a connection's lanes: the caller may have replaced a refused key."""
    for lane in _lanes(ctx, connection):
        await ctx.ledger.leases.resume(lane)


def _lanes(ctx: Context, connection: str) -> list[str]:
    settings = ctx.connection(connection)
    return [lane for lane in (settings.koji_lane, settings.amplitude_lane) if lane is not None]


@contextmanager
def progress_display(title: str) -> Iterator[ShowState]:
    """Yield a function that shows the states of one call; the bar disappears at the end."""
    terminal = console(sys.stderr)
    if not terminal.is_terminal:
        yield _lines(title)
        return
    with _TwoLines(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=terminal,
        transient=True,
    ) as progress:
        yield _bar(progress, title)


class _TwoLines(Progress):
    """A bar, and a line of text below it."""

    text = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return both lines."""
        yield self.make_tasks_table(self.tasks)
        yield Text(f"  {self.text}", style="dim", no_wrap=True, overflow="ellipsis")


def _bar(progress: _TwoLines, title: str) -> ShowState:
    task = progress.add_task(title, total=None, count="")
    pace: _Pace | None = None

    def show_state(output: Output, half_done: int, why: str) -> None:
        nonlocal pace
        ended, total = _ended(output)
        pace = pace or _Pace(time.monotonic(), ended)
        progress.text = summary(output, pace, why)
        if total:
            # A read interview counts half: in a backfill, no interview ends before all are read.
            progress.update(task, total=total, completed=ended + half_done / 2, count=f"{ended}/{total}")

    return show_state


def _lines(title: str) -> ShowState:
    pace: _Pace | None = None
    next_line = time.monotonic() + _LINE_EVERY

    def show_state(output: Output, _half_done: int, why: str) -> None:
        nonlocal pace, next_line
        ended, total = _ended(output)
        pace = pace or _Pace(time.monotonic(), ended)
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + _LINE_EVERY
            text = summary(output, pace, why)
            say(f"{title}: {ended}/{total} {text}" if total else f"{title}: {text}")

    return show_state


@dataclass(frozen=True, slots=True)
class _Pace:
    """The rate at which items end since `began` (seconds, monotonic), when `first` had ended already."""

    began: float
    first: int

    def per_minute(self, ended: int) -> str:
        """Return the rate, or no text if it is not known yet."""
        elapsed = time.monotonic() - self.began
        is_known = elapsed >= _SETTLING and ended > self.first
        return f"{(ended - self.first) * 60 / elapsed:.0f}/min" if is_known else ""


def summary(output: Output, pace: _Pace, why: str) -> str:
    """Return rate, remaining time, counts and the reason for waiting, in one line."""
    if isinstance(output, RunOutput):
        parts = [
            *_speed(output, pace),
            f"{output.synced} synced",
            _counts("skipped", output.skipped),
            _counts("failed", output.failed),
        ]
    elif isinstance(output, LaunchOutput):
        names = ("invited", "waiting", "failed", "in_doubt")
        counts = {name.replace("_", " "): getattr(output, name) for name in names}
        parts = [
            output.status if output.pause_reason is None else f"{output.status}: {output.pause_reason}",
            *_speed(output, pace),
            *(f"{number} {name}" for name, number in counts.items() if number),
            f"until {output.resumes_at}" if output.resumes_at else "",
            output.message or "",
            f"{output.members_total} rows so far" if output.status == "planning" else "",
        ]
    else:
        parts = [str(getattr(output, name, None) or "") for name in ("status", "reason")]
    return clean(" · ".join(filter(None, [*parts, why])))


def _ended(output: Output) -> tuple[int, int]:
    """Return the number of ended interviews or invitations and the total; (0, 0) for other outputs."""
    if isinstance(output, RunOutput):
        return output.total - output.pending, output.total
    if isinstance(output, LaunchOutput):
        return output.to_invite - output.waiting, output.to_invite
    return 0, 0


def _speed(output: RunOutput | LaunchOutput, pace: _Pace) -> list[str]:
    seconds = output.eta_seconds
    return [pace.per_minute(_ended(output)[0]), f"about {duration(seconds)} left" if seconds else ""]


def duration(seconds: int) -> str:
    """Write a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _counts(word: str, by_reason: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{reason} {number}" for reason, number in by_reason.items())
    return f"{sum(by_reason.values())} {word} ({reasons})" if by_reason else ""
