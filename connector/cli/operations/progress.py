"""Show how far a thing is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from connector.cli.terminal import clean, say, stderr
from connector.service.execution.operation import Output
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput

_LINE_EVERY = 30.0
_SETTLING = 3.0  # seconds until a rate means something


Show = Callable[[Output, int, str], None]
"""Shows the present state: how many interviews wait to be read, and what is waited for."""


@contextmanager
def watching(title: str) -> Iterator[Show]:
    """Yield what shows the states of one thing; what it drew is gone at the end."""
    console = stderr()
    if not console.is_terminal:
        yield _lines(title)
        return
    with _TwoLines(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        yield _bar(progress, title)


class _TwoLines(Progress):
    """A bar, and below it the text that has no room beside it."""

    text = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return both lines."""
        yield self.make_tasks_table(self.tasks)
        yield Text(f"  {self.text}", style="dim", no_wrap=True, overflow="ellipsis")


def _bar(progress: _TwoLines, title: str) -> Show:
    task = progress.add_task(title, total=None, count="")
    pace = _Pace(time.monotonic())

    def show(output: Output, unread: int, why: str) -> None:
        progress.text = summary(output, pace, why)
        if isinstance(output, RunOutput):
            # reading is half of the way, and in a backfill nothing ends before all is read
            way = output.total - (output.pending + min(unread, output.pending)) / 2
            progress.update(task, total=output.total, completed=way, count=_count(output))
        elif isinstance(output, LaunchOutput) and output.to_invite:
            done = output.to_invite - output.waiting
            progress.update(task, total=output.to_invite, completed=done, count=_count(output))

    return show


def _lines(title: str) -> Show:
    pace = _Pace(time.monotonic())
    due = time.monotonic() + _LINE_EVERY

    def show(output: Output, _unread: int, why: str) -> None:
        nonlocal due
        text = summary(output, pace, why)
        if time.monotonic() >= due:
            due = time.monotonic() + _LINE_EVERY
            counts = f" {_count(output)}" if isinstance(output, RunOutput | LaunchOutput) else ""
            say(f"{title}:{counts} {text}")

    return show


@dataclass(slots=True)
class _Pace:
    begun: float
    first: int | None = None

    def per_minute(self, done: int) -> float | None:
        """Return how many a minute end since the watching began; None before that can be told."""
        if self.first is None:
            self.first = done
        elapsed = time.monotonic() - self.begun
        return (done - self.first) * 60 / elapsed if elapsed >= _SETTLING and done > self.first else None


def summary(output: Output, pace: _Pace, why: str) -> str:
    """Return rate, remaining time, counts and what is waited for, in one line."""
    if isinstance(output, RunOutput):
        parts = [
            *_speed(pace, output.total - output.pending, output.eta_seconds),
            f"{output.synced} synced",
            *_counts("skipped", output.skipped),
            *_counts("failed", output.failed),
        ]
    elif isinstance(output, LaunchOutput):
        parts = _of_launch(output, pace)
    else:
        parts = [str(value) for name in ("status", "reason") if (value := getattr(output, name, None))]
    return clean(" · ".join([*parts, why] if why else parts))


def _of_launch(output: LaunchOutput, pace: _Pace) -> list[str]:
    counts = [("invited", output.invited), ("waiting", output.waiting), ("failed", output.failed)]
    return [
        output.status if output.pause_reason is None else f"{output.status}: {output.pause_reason}",
        *_speed(pace, output.to_invite - output.waiting, output.eta_seconds),
        *(f"{n} {word}" for word, n in [*counts, ("in doubt", output.in_doubt)] if n),
        *([f"until {output.resumes_at}"] if output.resumes_at else []),
        *([output.message] if output.message else []),
        *([f"{output.members_total} rows so far"] if output.status == "planning" else []),
    ]


def _speed(pace: _Pace, done: int, eta_seconds: int | None) -> list[str]:
    rate = pace.per_minute(done)
    left = [f"about {duration(eta_seconds)} left"] if eta_seconds else []
    return [*([f"{rate:.0f}/min"] if rate is not None else []), *left]


def duration(seconds: int) -> str:
    """Return seconds as people say them."""
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _count(output: RunOutput | LaunchOutput) -> str:
    if isinstance(output, LaunchOutput):
        return f"{output.to_invite - output.waiting}/{output.to_invite}"
    return f"{output.total - output.pending}/{output.total}"


def _counts(word: str, by_reason: Mapping[str, int]) -> list[str]:
    if not by_reason:
        return []
    reasons = ", ".join(f"{reason} {n}" for reason, n in by_reason.items())
    return [f"{sum(by_reason.values())} {word} ({reasons})"]
