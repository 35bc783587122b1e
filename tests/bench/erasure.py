"""Erasing one person in a large ledger."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from connector.clock import SystemClock
from connector.domain.people.erasure import ErasureRules
from connector.ledger.ledger import open_ledger
from connector.security.sealing import Sealer
from tests.bench.filling import ALIASES, INBOX, INVITATIONS, RESPONDENT, SYNCS, interviewed


def measure(directory: Path, people: int) -> None:
    """Print how long one of so many people takes to be forgotten."""
    asyncio.run(_measure(directory, people))


async def _measure(directory: Path, people: int) -> None:
    sealer = Sealer([b"bench-bench-bench-bench-bench-01"])
    ledger = await open_ledger(f"sqlite:///{directory}/erasure.db", sealer)
    try:
        for statement in (SYNCS, INBOX, INVITATIONS, ALIASES):
            await ledger.db.write(
                partial(Connection.exec_driver_sql, statement=statement, parameters=(people,))
            )
        await interviewed(ledger, RESPONDENT)
        began = time.perf_counter()
        now = SystemClock().now()
        rules = ErasureRules(trust_external_id=False, can_unset=False, min_id_length=5)
        await ledger.erasures.begin("run_1", "default", RESPONDENT, rules, now)
        lease = await ledger.leases.acquire("erasure", "bench", now, 60_000)
        assert lease is not None
        await ledger.erasures.go_on(lease, "run_1", rules, now)
        took = time.perf_counter() - began
        forgotten = await ledger.erasures.find("run_1")
        assert forgotten is not None
        assert forgotten.finished_at is not None
        assert forgotten.interviews == ["int-of-them"]
    finally:
        await ledger.close()
    print(f"  erasing one person among {people:,}: {took * 1000:.0f} ms, with both looks and the emptied log")
