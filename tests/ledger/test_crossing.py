"""Two processes that change the same rows on PostgreSQL, however they meet: neither waits for the other for ever.

One is stopped after each statement that locks rows, while the other goes on as far as it can.
"""

from __future__ import annotations

import asyncio
import re
import time

import psycopg
import pytest

from connector.ledger.ledger import Ledger
from tests.ledger.crossing import WORK, Process, set_scene
from tests.ledger.desk import Desk
from tests.support.fakes import NOW

pytestmark = pytest.mark.postgres
_LOCKS = re.compile("INSERT|UPDATE|DELETE|advisory")
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def meet(processes: tuple[Process, Process], name: str, other: str, url: str) -> None:
    """Let the first process stop with whatever it has locked so far, and the second come along."""
    first, second = processes
    await first.run(WORK[name])
    stops = [at for at, statement in enumerate(first.statements, 1) if _LOCKS.search(statement)]
    with psycopg.connect(url, autocommit=True) as watching:
        for at in stops:
            running = asyncio.create_task(first.run(WORK[name], at))
            await asyncio.to_thread(first.stopped.wait, 60)
            meeting = asyncio.create_task(second.run(WORK[other]))
            end = time.monotonic() + 60
            while not meeting.done() and watching.execute(_WAITING).fetchone() == (0,):
                assert time.monotonic() < end
                await asyncio.sleep(0.001)
            first.go.set()
            await asyncio.gather(running, meeting)
            assert first.failures == second.failures == [], f"{name} stopped after {at} and met {other}"


@pytest.fixture
async def processes(desk: Desk, other_ledger: Ledger) -> tuple[Process, Process]:
    scene = await set_scene(desk)
    lease = await other_ledger.leases.acquire("koji:2", "other", NOW, 30_000)
    assert lease is not None
    return Process(desk.ledger, desk.lease, scene), Process(other_ledger, lease, scene)


ON_LAUNCHES = set(list(WORK)[: list(WORK).index("save")])
ON_BOTH = {"come_back", "unbind", "forget"}
MEETINGS = [
    ("cancel", "begin_start"),
    ("cancel", "forget"),
    ("started", "not_started"),
    ("not_started", "recover"),
    ("recover", "unbind"),
    ("activate", "begin_reading"),
    ("activate", "end_unplanned"),
    ("save", "save_backwards"),
]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_neither_waits_for_the_other_for_ever(
    processes: tuple[Process, Process], postgres_url: str
) -> None:
    for name, other in MEETINGS:
        await meet(processes, name, other, postgres_url)


@pytest.mark.proof
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", WORK)
async def test_none_waits_for_any_other_for_ever(
    processes: tuple[Process, Process], postgres_url: str, name: str
) -> None:
    names = list(WORK)
    others = ON_LAUNCHES if name in ON_LAUNCHES - ON_BOTH else WORK
    for other in names[names.index(name) :]:
        if other in others:
            await meet(processes, name, other, postgres_url)
