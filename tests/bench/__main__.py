"""`make bench`: every figure of docs/performance.md, as ratios against a ceiling of the same run."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from tests.bench import cohorts, erasure, growth, hooks, large, lists, mcp, planning, processor
from tests.bench.children import Load, ceiling, connector, cpu_seconds, free_port, sandbox, settings, state
from tests.support.postgres import database, is_available, server

ROUNDS = 3
SECONDS = "4"
_ALL = (
    "ack",
    "e2e",
    "processor",
    "growth",
    "latency",
    "reads",
    "cohorts",
    "hooks",
    "large",
    "lists",
    "mcp",
    "plan",
    "start",
)


def acknowledgements(where: Callable[[Path], str] | None, directory: Path) -> dict[str, float]:
    """Measure durable acknowledgements once; without a database, the ceiling."""
    port = free_port()
    environ = settings(port, where(directory) if where else "sqlite:///unused.db")
    served = (
        connector(port, environ, directory, "--no-workers") if where else ceiling(port, environ, directory)
    )
    with served:
        load = Load(port, 60_000, "--seconds", SECONDS, "--prefix", uuid.uuid4().hex[:8])
        return load.send()


def compare_acknowledgements(root: Path, postgres: str | None) -> None:
    """Print durable acknowledgements a second, as shares of the same server with no storage."""
    variants: dict[str, Callable[[Path], str] | None] = {
        "no storage (ceiling)": None,
        "SQLite, synchronous=FULL": lambda directory: f"sqlite:///{directory}/ledger.db",
    }
    if postgres:
        variants["PostgreSQL"] = lambda _: postgres
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for turn in range(ROUNDS):
        for name, where in variants.items():
            directory = root / f"ack-{turn}-{len(measured[name])}-{variants[name] is None}-{name[:3]}"
            directory.mkdir()
            measured[name].append(acknowledgements(where, directory))
    highest = statistics.median(m["per_second"] for m in measured["no storage (ceiling)"])
    print("\nDurable acknowledgements: one process, 64 connections, 2 KB signed bodies")
    for name, results in measured.items():
        rate = statistics.median(m["per_second"] for m in results)
        p99 = statistics.median(m["p99_ms"] for m in results)
        errors = sum(m["errors"] for m in results)
        print(
            f"  {name:28} {rate:8.0f}/s  ratio {rate / highest:5.2f}  p99 {p99:6.1f} ms  errors {errors:.0f}"
        )


def end_to_end(root: Path) -> None:
    """Print interviews a second from the first webhook to the last one counted at the stand-in."""
    total = 20_000
    rates = []
    for turn in range(ROUNDS):
        directory = root / f"e2e-{turn}"
        directory.mkdir()
        port = free_port()
        with sandbox(directory) as base:
            environ = settings(port, f"sqlite:///{directory}/ledger.db", base)
            with connector(port, environ, directory) as pid:
                load = Load(port, total, "--prefix", f"e2e{turn}")
                started = time.perf_counter()
                acknowledged = load.send()
                while state(base)["amplitude"]["events_by_type"].get("koji.interview_completed", 0) < total:
                    time.sleep(0.02)
                elapsed = time.perf_counter() - started
                rates.append(total / elapsed)
                memory = _memory(pid)
        print(
            f"  end to end: {total / elapsed:6.0f} interviews/s; acknowledged {acknowledged['per_second']:.0f}/s, "
            f"p99 {acknowledged['p99_ms']} ms; memory {memory} MB"
        )
    print(f"  median {statistics.median(rates):.0f} interviews/s")


def latency(root: Path) -> None:
    """Print the time from webhook to Amplitude's answer at 100 a second."""
    directory = root / "latency"
    directory.mkdir()
    port = free_port()
    with sandbox(directory) as base:
        environ = settings(port, f"sqlite:///{directory}/ledger.db", base, AMPLITUDE_EVENTS_PER_SECOND="1000")
        with connector(port, environ, directory):
            Load(port, 1_000, "--pace", "100", "--prefix", "pace").send()
            time.sleep(1)
            with sqlite3.connect(directory / "ledger.db") as database:
                took = [
                    row[0]
                    for row in database.execute(
                        "SELECT synced_at - first_received_at FROM sync WHERE status = 'synced' ORDER BY 1"
                    )
                ]
    print(
        f"  webhook to Amplitude's answer at 100/s: {len(took)} of 1000 synced, p50 {took[len(took) // 2]} ms, "
        f"p95 {took[int(len(took) * 0.95)]} ms"
    )


def reads(root: Path) -> None:
    """Print how webhooks fare that must be read at 60 a minute."""
    directory = root / "reads"
    directory.mkdir()
    port = free_port()
    with sandbox(directory) as base:
        environ = settings(port, f"sqlite:///{directory}/ledger.db", base)
        with connector(port, environ, directory):
            load = Load(port, 2_000, "--thin", "--prefix", "thin")
            acknowledged = load.send()
            time.sleep(20)
            calls = state(base)["koji"]["calls"]
    print(
        f"  webhooks that must be read: acknowledged {acknowledged['per_second']:.0f}/s; "
        f"Koji was read {calls} times in about 20 s at 60 a minute"
    )


def start_up(root: Path) -> None:
    """Print the time of `--help` and what an idle server costs."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "connector", "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    directory = root / "idle"
    directory.mkdir()
    port = free_port()
    with (
        sandbox(directory) as base,
        connector(port, settings(port, f"sqlite:///{directory}/ledger.db", base), directory) as pid,
    ):
        time.sleep(3)
        before = cpu_seconds(pid)
        time.sleep(10)
        share = (cpu_seconds(pid) - before) / 10
        print(f"  --help {statistics.median(times):.2f} s; idle {share:.2%} of a core, {_memory(pid)} MB")


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def main() -> None:
    """Measure what is asked for, everything by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "only",
        nargs="*",
        choices=[*_ALL, []],
        default=[],
    )
    parser.add_argument(
        "--directory", type=Path, help="the disk to measure on; default: that of temporary files"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000], help="ledgers of growth"
    )
    given = parser.parse_args()
    only = given.only or _ALL
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    root = Path(tempfile.mkdtemp(prefix="koji-amplitude-bench-", dir=given.directory))
    try:
        if "ack" in only:
            if is_available():
                with server(durable=True) as url, database(url) as postgres:
                    compare_acknowledgements(root, postgres)
            else:
                compare_acknowledgements(root, None)
        if "e2e" in only:
            end_to_end(root)
        if "processor" in only:
            with server(durable=True) if is_available() else nullcontext() as found:
                processor.measure(root, found)
        if "growth" in only:
            growth.measure(root, given.sizes, None)
            if is_available():
                with server(durable=True) as url:
                    growth.measure(root, given.sizes, url)
        if "latency" in only:
            latency(root)
        if "reads" in only:
            reads(root)
        if "cohorts" in only:
            cohorts.measure(root, 10_000, 4, 10)
        if "hooks" in only:
            hooks.measure(root, 10_000, 20)
        if "large" in only:
            large.measure(root)
        if "lists" in only:
            lists.measure(root, 1_000_000)
        if "mcp" in only:
            mcp.measure(root)
        if "plan" in only:
            planning.measure(root, 200_000)
            erasure.measure(root, 1_000_000)
        if "start" in only:
            start_up(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
