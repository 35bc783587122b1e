"""Planning a large cohort: from the file's bytes to the stored plan, against nobody and against everybody known."""

from __future__ import annotations

import asyncio
import csv
import gzip
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from connector.amplitude.cohort_file import CohortFile
from connector.cli.serving import reduce_garbage_collection
from connector.clock import SystemClock
from connector.context import Context
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus, Phase
from connector.domain.launches.sample import Method
from connector.domain.people.same_person import Member, member
from connector.ledger.ledger import Ledger, open_ledger
from connector.net.target_client import Targets
from connector.security.sealing import Sealer
from connector.service import planning
from connector.settings.sources import load

_COLUMNS = ["email", "name"]
_READ = 65_536
_PAIRS = 3


def measure(directory: Path, people: int) -> None:
    """Print how long plans and a launch of so many people take, and the share that known people add."""
    file = directory / "cohort.csv.gz"
    with gzip.open(file, "wt", compresslevel=1, newline="") as text:
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["amplitude_id", "user_id", *_COLUMNS])
        writer.writerows(
            [n, f"user-{n:07d}", f"person-{n:07d}@example.com", f"Person {n}"] for n in range(people)
        )
    reduce_garbage_collection()
    asyncio.run(_measure(directory, file, people))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def _measure(directory: Path, file: Path, people: int) -> None:
    idle = _peak()
    sealer = Sealer([b"bench-bench-bench-bench-bench-01"])
    full, empty = directory / "full", directory / "empty"
    async with AsyncExitStack() as stack:
        ledgers: dict[Path, tuple[Ledger, str]] = {}
        for folder in (full, empty):
            folder.mkdir()
            url = f"sqlite:///{folder}/ledger.db"
            ledger = await open_ledger(url, sealer)
            stack.push_async_callback(ledger.close)
            ledgers[folder] = (ledger, url)
        await _plan(*ledgers[empty], empty, file, cap=100)
        memory = (_peak() - idle) // 1024
        launched = await _plan(*ledgers[full], full, file, cap=people, goes_on=True)
        ways: tuple[tuple[Path, Method], ...] = ((empty, "first"), (empty, "random"), (full, "random"))
        took: dict[tuple[Path, Method], list[float]] = {way: [] for way in ways}
        for _ in range(_PAIRS):  # in turns, because a machine's other work comes and goes
            for folder, sample in ways:
                took[folder, sample].append(
                    await _plan(*ledgers[folder], folder, file, cap=100, sample=sample)
                )
    first, unknown, known = (median(took[way]) for way in ways)
    print(
        f"  planning {people:,} people: {unknown:.1f} s against nobody known, {known:.1f} s against all of them "
        f"({known / unknown:.2f}, medians of {_PAIRS} in turns); launching all of them stores in {launched:.1f} s"
    )
    print(
        f"  a random sample of 100 takes {unknown / first:.2f} times as long as the first 100 ({first:.1f} s)"
    )
    print(f"  memory of a plan above idle: {memory} MB")


async def _plan(
    ledger: Ledger,
    url: str,
    directory: Path,
    file: Path,
    *,
    cap: int,
    goes_on: bool = False,
    sample: Method = "random",
) -> float:
    settings = load(
        {"DATABASE_URL": url, "CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH": str(cap)}, directory
    ).settings
    context = Context(
        settings=settings,
        clock=SystemClock(),
        ledger=ledger,
        koji={},
        amplitude={},
        amplitude_users={},
        amplitude_elsewhere={},
        amplitude_cohorts={},
        targets=Targets(allow_private=False),
    )
    launch = Launch(
        id=f"lau_{cap}_{time.time_ns()}",
        connection="default",
        status=LaunchStatus.PLANNING,
        created_at=context.clock.now(),
        options=LaunchOptions(max_interviews=cap, sample=sample),
        goes_on=goes_on,
        phase=Phase.READ,
        phase_due=0,
        cohort_id="bench",
    )
    await ledger.planning.create(launch)
    began = time.perf_counter()
    planned = await planning.decide(context, launch, _pieces(file))
    assert planned is not None
    if goes_on:
        await planning.activate(context, planned)
    return time.perf_counter() - began


async def _pieces(file: Path) -> AsyncIterator[list[Member]]:
    rows = CohortFile(_COLUMNS)
    piece: list[Member] = []
    with file.open("rb") as data:
        while chunk := data.read(_READ):
            for some in rows.feed(chunk):
                piece += [member(row["user_id"], row["email"], row["name"]) for row in some]
            while len(piece) >= planning.CHUNK:
                yield piece[: planning.CHUNK]
                piece = piece[planning.CHUNK :]
            await asyncio.sleep(0)
    piece += [member(row["user_id"], row["email"], row["name"]) for row in rows.finish(whole=True)]
    if piece:
        yield piece
