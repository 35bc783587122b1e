"""What an interview costs of a processor, from its webhook to Amplitude's answer.

The server's own processor time (user and system, of all its processes) for each interview, divided by that of a plain
Starlette server which only verifies, parses and answers. Other work on the machine hardly changes it. PostgreSQL's own
processes are not counted.
"""

from __future__ import annotations

import os
import statistics
import time
import uuid
from contextlib import nullcontext
from pathlib import Path

from tests.bench.children import Load, child, connector, free_port, sandbox, settings, state
from tests.support.postgres import database

TOTAL = 24_000
_TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(pid: int) -> float:
    """Return the processor time of a process and of all that it started, also of those that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / _TICKS
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(seconds_of(int(other)) for other in children)


def bare(directory: Path) -> float:
    """Return the seconds that a plain server needs for one webhook."""
    port = free_port()
    arguments = ["-m", "tests.bench.bare_webhook", str(port)]
    with child(arguments, {}, directory, f"http://127.0.0.1:{port}/healthz") as pid:
        load = Load(port, TOTAL)
        before = seconds_of(pid)
        load.send()
        return (seconds_of(pid) - before) / TOTAL


def whole(directory: Path, database_url: str) -> float:
    """Return the seconds that the connector needs for one interview, until Amplitude's stand-in counted the last."""
    port, prefix = free_port(), uuid.uuid4().hex[:8]
    with (
        sandbox(directory) as base,
        connector(port, settings(port, database_url, base), directory) as pid,
    ):
        load = Load(port, TOTAL, "--prefix", prefix)
        before = seconds_of(pid)
        load.send()
        while state(base)["amplitude"]["events_by_type"].get("koji.interview_completed", 0) < TOTAL:
            time.sleep(0.2)
        return (seconds_of(pid) - before) / TOTAL


def measure(root: Path, server_url: str | None, rounds: int = 3) -> None:
    """Print both, in turns, and the median of their ratios."""
    print("\nProcessor time of an interview, against a plain server that verifies, parses and answers")
    ratios: dict[str, list[float]] = {
        store: [] for store in ("SQLite", "PostgreSQL")[: 2 if server_url else 1]
    }
    for turn in range(rounds):
        directory = root / f"processor-{turn}"
        directory.mkdir()
        least = bare(directory)
        for store, seen in ratios.items():
            where = (
                database(server_url)
                if server_url and store == "PostgreSQL"
                else nullcontext(f"sqlite:///{directory}/ledger.db")
            )
            with where as url:
                cost = whole(directory, url)
            seen.append(cost / least)
            print(f"  {store:10} {cost * 1e6:5.0f} µs, plain {least * 1e6:4.0f} µs, ratio {seen[-1]:.2f}")
    for store, seen in ratios.items():
        print(f"  {store:10} median {statistics.median(seen):.2f}")
