"""Subscriptions are bounded also when two processes make them at once."""

from __future__ import annotations

import asyncio
import threading
import time

import psycopg
import pytest
from sqlalchemy import event

from connector.domain.events.event import EventType, Hook
from connector.errors import Conflict
from connector.ledger.events import hooks
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW

pytestmark = pytest.mark.postgres
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_concurrent_subscriptions_do_not_pass_the_limit(
    ledger: Ledger, other_ledger: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST", 1)
    stopped, go = threading.Event(), threading.Event()

    def stop(_: object) -> None:
        stopped.set()
        assert go.wait(60)

    def subscribed(by: Ledger, name: str) -> asyncio.Task[object]:
        hook = Hook(name, "default", EventType.INTERVIEW_SYNCED, f"https://example.com/{name}", NOW)
        return asyncio.ensure_future(by.hooks.subscribe(hook, "secret"))

    event.listen(ledger.db._write_engine, "commit", stop)
    first = subscribed(ledger, "first")
    assert await asyncio.to_thread(stopped.wait, 60)
    second, end = subscribed(other_ledger, "second"), time.monotonic() + 60
    with psycopg.connect(postgres_url, autocommit=True) as watching:
        while not second.done() and watching.execute(_WAITING).fetchone() == (0,):
            assert time.monotonic() < end
            await asyncio.sleep(0.001)
    go.set()
    with pytest.raises(Conflict):
        await asyncio.gather(first, second)
    assert [hook.id for hook in await ledger.hooks.listed(["default"], None)] == ["first"]
