"""Polls, lists and the console's pages beside a large ledger, over HTTP."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import Connection

from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer
from tests.bench.children import connector, cpu_seconds, free_port, settings
from tests.bench.filling import ALIASES, INVITATIONS, NUMBERS, RESPONDENT, SYNCS, interviewed

_LAUNCHES = f"""{NUMBERS} INSERT INTO launch (id, connection, status, goes_on, single, created_at, options,
    members_total, with_email, bad_emails, skipped, planned, standing, waiting, sending, started, completed, expired, failed, in_doubt,
    cancelled) SELECT 'lau_' || n, 'default', 'finished', 1, 0, n, '{{"max_interviews":100}}', 1, 1, 0, '{{}}',
    0, 0, 0, 0, 1, 0, 0, 0, 0, 0 FROM c"""
_EVENTS = f"""{NUMBERS} INSERT INTO event (id, type, connection, at, subject, payload) SELECT 'evt_' || n,
    CASE n % 2 WHEN 0 THEN 'interview_synced' ELSE 'invitation_created' END, 'default', n,
    CASE n % 2 WHEN 0 THEN 'int-' || n ELSE 'inv_' || printf('%032x', n) END, '{{}}' FROM c"""
_AUDIT = f"""{NUMBERS} INSERT INTO audit (connection, at, token, surface, operation, effect, touched)
    SELECT 'default', n, 'ops', 'http', 'replay_syncs', 'send', '{{}}' FROM c"""
# a year that ends today: 1,000,000 interviews over 200 themes, four sentiments and two questions
_TALLIES = """WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200),
    d(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 365),
    day(day) AS (SELECT unixepoch() / 86400 - n FROM d),
    label(kind, subject, value, n) AS (SELECT 'interview', '', '', 2740
    UNION ALL SELECT 'sentiment', '', value, 685 FROM mood UNION ALL SELECT 'quality', '', n + 5, 685 FROM c WHERE n < 5
    UNION ALL SELECT 'theme', 'theme ' || n, '', 41 FROM c
    UNION ALL SELECT 'felt', 'theme ' || n, value, 10 FROM c, mood
    UNION ALL SELECT 'question', 'question ' || n, '', 2740 FROM c WHERE n < 3
    UNION ALL SELECT 'answer', 'question ' || (n % 2), n / 2, 548 FROM c WHERE n < 11),
    mood(value) AS (VALUES ('positive'), ('mixed'), ('neutral'), ('negative')),
    size(days) AS (VALUES (1), (8), (64))
    INSERT INTO tally (connection, kind, days, day, subject, value, n)
    SELECT 'default', kind, days, day - day % days, subject, value, sum(n) FROM size, day, label GROUP BY 2, 3, 4, 5, 6"""
_TIMES: Final = 40
_PAGES: Final = (
    "/console",
    "/console/receipts",
    "/console/receipts?status=synced&since=1970-01-01T00:10:00Z",
    "/console/receipts?search=no.other@example.com",
    "/console/receipts/int-7",
    "/console/launches",
    "/console/launches/lau_1",
    "/console/person?person=no.other@example.com",
    "/console/themes",
    f"/console/themes?since={datetime.now(UTC).date() - timedelta(days=365)}",
    "/console/setup",
    "/console/access",
)


def measure(root: Path, rows: int) -> None:
    """Print how long polls, lists and pages take with so many rows of each kind."""
    directory = root / "lists"
    directory.mkdir()
    database = f"sqlite:///{directory}/ledger.db"
    environ = settings(port := free_port(), database)
    asyncio.run(_fill(database, rows))
    with connector(port, environ, directory) as pid:
        _measure(port, pid, rows)


async def _fill(database: str, rows: int) -> None:
    sealer = Sealer([b"bench-bench-bench-bench-bench-01"])
    ledger = await open_ledger(database, sealer)
    try:
        for statement in (SYNCS, INVITATIONS, ALIASES, _LAUNCHES, _EVENTS, _AUDIT, _TALLIES):
            given = (rows,) if "?" in statement else ()
            fill = partial(Connection.exec_driver_sql, statement=statement, parameters=given)
            await ledger.db.write(fill, patient=True)
        await interviewed(ledger, RESPONDENT)
    finally:
        await ledger.close()


def _measure(port: int, pid: int, rows: int) -> None:
    asked: dict[str, dict[str, Any]] = {
        "/triggers/interview_synced": {},
        "/triggers/invitation_created": {},
        "/actions/list_syncs": {},
        "/actions/list_syncs?status=synced": {"status": "synced"},
        "/actions/list_syncs?since": {"since": "1970-01-01T00:10:00Z"},
        "/actions/list_launches": {},
        "/actions/get_launch": {"launch_id": "lau_1"},
        "/actions/list_audit": {},
        "/actions/get_overview": {},
        "/actions/get_theme_report": {},
        "/actions/get_person": {"email": "no.other@example.com", "user_id": "user-of-no-other"},
        "/actions/list_syncs?search": {"search": "int-77"},
    }
    print(
        f"  polls and lists with {rows:,} rows of each kind, median and 95th percentile of {_TIMES}, and processor time:"
    )
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": "bench-token"}, trust_env=False
    ) as client:
        for path, fields in asked.items():
            _time(client, pid, path, path.partition("?")[0], fields)
    print("  pages of the console beside them:")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        client.post("/console/session", data={"token": "bench-token"})
        for path in _PAGES:
            _time(client, pid, path, path, None)


def _time(client: httpx.Client, pid: int, name: str, path: str, fields: dict[str, Any] | None) -> None:
    took, used = [], cpu_seconds(pid)
    for _ in range(_TIMES):
        began = time.perf_counter()
        answer = client.get(path, params=fields)
        took.append((time.perf_counter() - began) * 1_000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    used = (cpu_seconds(pid) - used) / _TIMES * 1_000
    times = f"{statistics.median(took):6.1f} ms {statistics.quantiles(took, n=20)[-1]:6.1f} ms"
    print(f"    {name:<60} {times} {used:6.1f} ms")
