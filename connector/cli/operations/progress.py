"""How far a thing is, for somebody who watches: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from connector.cli.terminal import clean, say, stderr
from connector.service.execution.operation import Output
from connector.service.views.launch import LaunchOutput
from connector.service.views.run import RunOutput

_LINE_EVERY = 30.0
_SETTLING = 3.0  # seconds until a rate means something


class Watcher(Protocol):
    """Is told how things stand."""

    def show(self, output: Output, unread: int, why: str) -> None:
        """Show the present state: `unread` interviews wait to be read; `why` says what is waited for."""
        ...


@contextmanager
def watching(title: str) -> Iterator[Watcher]:
    """Yield a watcher for one thing; what it drew is gone at the end."""
    console = stderr()
    if not console.is_terminal:
        yield _Lines(title)
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
        yield _Bar(progress, title)


class _TwoLines(Progress):
    """A bar, and below it the words that have no room beside it."""

    words = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return both lines."""
        yield self.make_tasks_table(self.tasks)
        yield Text(f"  {self.words}", style="dim", no_wrap=True, overflow="ellipsis")


class _Bar:
    def __init__(self, progress: _TwoLines, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, count="")
        self._pace = _Pace(time.monotonic())

    def show(self, output: Output, unread: int, why: str) -> None:
        self._progress.words = summary(output, self._pace, why)
        if isinstance(output, RunOutput):
            # reading is half of the way, and in a backfill nothing ends before all is read
            way = output.total - (output.pending + min(unread, output.pending)) / 2
            self._progress.update(self._task, total=output.total, completed=way, count=_count(output))
        elif isinstance(output, LaunchOutput) and output.to_invite:
            done = output.to_invite - output.waiting
            self._progress.update(self._task, total=output.to_invite, completed=done, count=_count(output))


class _Lines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._next = time.monotonic() + _LINE_EVERY
        self._pace = _Pace(time.monotonic())

    def show(self, output: Output, unread: int, why: str) -> None:  # noqa: ARG002 - a bar shows it
        words = summary(output, self._pace, why)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY
            counts = f" {_count(output)}" if isinstance(output, RunOutput | LaunchOutput) else ""
            say(f"{self._title}:{counts} {words}")


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
    parts: list[str] = []
    if isinstance(output, RunOutput):
        rate = pace.per_minute(output.total - output.pending)
        parts += [f"{rate:.0f}/min"] if rate is not None else []
        parts += [f"about {duration(output.eta_seconds)} left"] if output.eta_seconds else []
        parts += [
            f"{output.synced} synced",
            *_counts("skipped", output.skipped),
            *_counts("failed", output.failed),
        ]
    elif isinstance(output, LaunchOutput):
        parts += _of_launch(output, pace)
    else:
        parts += [str(value) for name in ("status", "reason") if (value := getattr(output, name, None))]
    return clean(" · ".join([*parts, why] if why else parts))


def _of_launch(output: LaunchOutput, pace: _Pace) -> list[str]:
    rate = pace.per_minute(output.to_invite - output.waiting)
    counts = [("invited", output.invited), ("waiting", output.waiting), ("failed", output.failed)]
    return [
        output.status if output.pause_reason is None else f"{output.status}: {output.pause_reason}",
        *([f"{rate:.0f}/min"] if rate is not None else []),
        *([f"about {duration(output.eta_seconds)} left"] if output.eta_seconds else []),
        *(f"{n} {word}" for word, n in [*counts, ("in doubt", output.in_doubt)] if n),
        *([f"until {output.resumes_at}"] if output.resumes_at else []),
        *([output.message] if output.message else []),
        *([f"{output.members_total} rows so far"] if output.status == "planning" else []),
    ]


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
