"""What an interview costs as the ledger grows: processor time and bytes written, and how long reads take.

Each size is filled by SQL, with keys as random as real ones; then as many interviews go from webhook to Amplitude's
stand-in as fit in a minute. On PostgreSQL, its own processes count too.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer
from tests.bench.children import Load, connector, free_port, sandbox, settings, state
from tests.bench.processor import seconds_of
from tests.support.postgres import database

INTERVIEWS: Final = 6_000
_PORTION: Final = 250_000
_TIMES: Final = 20
_FACTS: Final = (
    '{"interview_id":"int-\' || n || \'","respondent_email":"person-\' || n || \'@example.com",'
    '"themes":["price","speed"],"quality_score":4}'
)
_NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM c WHERE n < {end})",
    "postgresql": "WITH c(n) AS (SELECT * FROM generate_series({start}::bigint, {end}::bigint))",
}
_RANDOM: Final = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "md5(n::text)"}
_STATEMENTS: Final = (
    f"""INSERT INTO sync (connection, interview_id, status, first_received_at, updated_at, facts, user_id, user_hash,
    identify, event, from_call, reads, tries, backfill, force, respondent, completed_at)
    SELECT 'default', 'int-' || RANDOM, 'synced', 1700000000000 + n, 1700000000000 + n, '{_FACTS}', 'user-' || n,
    RANDOM, '{{"a":"b"}}', '{{"c":"d"}}', FALSE, 0, 1, FALSE, FALSE, n * 7919 * 1000003, 1700000000000 + n FROM c""",
    f"""INSERT INTO inbox (connection, received_at, source, state, interview_id, digest, body)
    SELECT 'default', 1700000000000 + n, 'webhook', 'done', 'int-' || RANDOM, RANDOM, '{_FACTS}' FROM c""",
    "INSERT INTO alias (key, person) SELECT (n * 7919 * 1000003) % 9007199254740881, n FROM c",
)


def measure(root: Path, sizes: list[int], server_url: str | None) -> None:
    """Print the costs at each size, as shares of those at the smallest, for SQLite or for a PostgreSQL server."""
    print(f"\nThe cost of an interview as the ledger grows ({'PostgreSQL' if server_url else 'SQLite'})")
    smallest: dict[str, float] = {}
    for size in sizes:
        directory = root / f"growth-{size}-{server_url is not None}"
        directory.mkdir()
        with _store(directory, server_url) as url:
            _fill(url, size)
            costs = _costs(directory, url)
        smallest = smallest or costs
        shown = (f"{name} {cost:.1f} ({cost / smallest[name]:.2f})" for name, cost in costs.items())
        print(f"  {size:9,} interviews: {', '.join(shown)}", flush=True)


@contextmanager
def _store(directory: Path, server_url: str | None) -> Iterator[str]:
    if server_url is None:
        yield f"sqlite:///{directory}/ledger.db"
    else:
        with database(server_url) as url:
            yield url


def _fill(url: str, size: int) -> None:
    asyncio.run(_make(url))
    on_sqlite = url.startswith("sqlite")
    dialect = "sqlite" if on_sqlite else "postgresql"
    with closing(
        sqlite3.connect(url.removeprefix("sqlite:///"))
        if on_sqlite
        else psycopg.connect(url, autocommit=True)
    ) as connection:
        for start in range(1, size + 1, _PORTION):
            numbers = _NUMBERS[dialect].format(start=start, end=min(size, start + _PORTION - 1))
            for statement in _STATEMENTS:
                connection.execute(f"{numbers} {statement.replace('RANDOM', _RANDOM[dialect])}")
            connection.commit()
        if not on_sqlite:
            connection.execute("VACUUM ANALYZE")


async def _make(url: str) -> None:
    ledger = await open_ledger(url, Sealer([b"bench-bench-bench-bench-bench-01"]))
    await ledger.close()


def _costs(directory: Path, url: str) -> dict[str, float]:
    """Return microseconds of processor and kilobytes written for each interview, and milliseconds of reads."""
    port, on_postgres = free_port(), url.startswith("postgres")
    with (
        sandbox(directory) as base,
        connector(port, settings(port, url, base), directory) as pid,
    ):
        counted = [pid, *([_postmaster(url)] if on_postgres else [])]
        Load(port, 1_000, "--prefix", uuid.uuid4().hex[:8]).send()
        _until(base, 1_000)
        load = Load(port, INTERVIEWS, "--prefix", uuid.uuid4().hex[:8])
        seconds, written = sum(map(seconds_of, counted)), _written(pid, url)
        load.send()
        _until(base, 1_000 + INTERVIEWS)
        costs = {
            "µs": (sum(map(seconds_of, counted)) - seconds) / INTERVIEWS * 1e6,
            "kB": (_written(pid, url) - written) / INTERVIEWS / 1_000,
        }
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": "bench-token"}, trust_env=False
        ) as client:
            listed = client.get("/actions/list_syncs").json()
            some = listed["items"][0]["interview_id"]
            asked: dict[str, tuple[str, dict[str, Any]]] = {
                "list ms": ("/actions/list_syncs", {}),
                "list failed ms": ("/actions/list_syncs", {"status": "failed"}),
                "search ms": ("/actions/list_syncs", {"search": "person-7@example.com"}),
                "receipt ms": ("/actions/get_sync", {"interview_id": some}),
                "overview ms": ("/actions/get_overview", {}),
            }
            costs |= {name: _milliseconds(client, *call) for name, call in asked.items()}
    return costs


def _milliseconds(client: httpx.Client, path: str, fields: dict[str, Any]) -> float:
    took = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        client.get(path, params=fields).raise_for_status()
        took.append((time.perf_counter() - began) * 1_000)
    return statistics.median(took)


def _until(base: str, total: int) -> None:
    while state(base)["amplitude"]["events_by_type"].get("koji.interview_completed", 0) < total:
        time.sleep(0.2)


def _postmaster(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(Path(f"/proc/{row[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _written(pid: int, url: str) -> float:
    if url.startswith("sqlite"):
        return float(Path(f"/proc/{pid}/io").read_text().split("\nwrite_bytes: ")[1].split()[0])
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return float(row[0])
