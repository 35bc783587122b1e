"""Polls, lists and the console's pages beside a large ledger, over HTTP."""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import Connection

from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer
from tests.bench.children import connector, free_port, settings
from tests.bench.filling import INVITATIONS, NUMBERS, SYNCS

_LAUNCHES = f"""{NUMBERS} INSERT INTO launch (id, connection, status, goes_on, single, created_at, options,
    members_total, with_email, bad_emails, skipped, planned, standing, waiting, sending, started, completed, expired, failed, in_doubt,
    cancelled) SELECT 'lau_' || n, 'default', 'finished', 1, 0, n, '{{"max_interviews":100}}', 1, 1, 0, '{{}}',
    0, 0, 0, 0, 1, 0, 0, 0, 0, 0 FROM c"""
_EVENTS = f"""{NUMBERS} INSERT INTO event (id, type, connection, at, subject, payload) SELECT 'evt_' || n,
    CASE n % 2 WHEN 0 THEN 'interview_synced' ELSE 'invitation_created' END, 'default', n,
    CASE n % 2 WHEN 0 THEN 'int-' ELSE 'inv_' END || n, '{{}}' FROM c"""
_AUDIT = f"""{NUMBERS} INSERT INTO audit (connection, at, token, surface, operation, effect, touched)
    SELECT 'default', n, 'ops', 'http', 'replay_syncs', 'send', '{{}}' FROM c"""
_TIMES: Final = 20
_PAGES: Final = (
    "/console",
    "/console/receipts",
    "/console/receipts?status=synced&since=1970-01-01T00:10:00Z",
    "/console/receipts?search=person-7@example.com",
    "/console/receipts/int-7",
    "/console/launches",
    "/console/launches/lau_1",
    "/console/person?person=person-7@example.com",
    "/console/themes",
    "/console/setup",
    "/console/access",
)


def measure(root: Path, rows: int) -> None:
    """Print how long polls and lists take, the median and the slowest, with so many rows of each kind."""
    directory = root / "lists"
    directory.mkdir()
    database = f"sqlite:///{directory}/ledger.db"
    environ = settings(port := free_port(), database)
    asyncio.run(_fill(database, rows))
    with connector(port, environ, directory):
        _measure(port, rows)


async def _fill(database: str, rows: int) -> None:
    sealer = Sealer([b"bench-bench-bench-bench-bench-01"])
    ledger = await open_ledger(database, sealer)
    try:
        for statement in (SYNCS, INVITATIONS, _LAUNCHES, _EVENTS, _AUDIT):
            await ledger.db.write(
                partial(Connection.exec_driver_sql, statement=statement, parameters=(rows,))
            )
    finally:
        await ledger.close()


def _measure(port: int, rows: int) -> None:
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
        "/actions/get_person": {"email": "person-7@example.com", "user_id": "user-7"},
        "/actions/list_syncs?search": {"search": "int-77"},
    }
    print(f"  polls and lists with {rows:,} rows of each kind, median and slowest of {_TIMES}:")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": "bench-token"}, trust_env=False
    ) as client:
        for path, fields in asked.items():
            _time(client, path, path.partition("?")[0], fields)
    print("  pages of the console beside them:")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        client.post("/console/session", data={"token": "bench-token"})
        for path in _PAGES:
            _time(client, path, path, None)


def _time(client: httpx.Client, name: str, path: str, fields: dict[str, Any] | None) -> None:
    took = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        answer = client.get(path, params=fields)
        took.append((time.perf_counter() - began) * 1_000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    print(f"    {name:<48} {statistics.median(took):5.1f} ms {max(took):6.1f} ms")
