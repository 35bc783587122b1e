"""Events that many subscriptions want: deliveries a second with pacing off, all on this machine."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from connector.app import build
from connector.context import Context
from connector.domain.events.event import EventType, Hook
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.sync import Sync
from connector.security.delivery_signature import new_secret
from connector.settings.sources import load
from connector.workers.events.hooks import HookWorker
from tests.bench.children import child, free_port
from tests.support.harness import until


def measure(root: Path, events: int, subscriptions: int) -> None:
    """Print how many deliveries a second reach receivers in another process."""
    directory = root / "hooks"
    directory.mkdir()
    port = free_port()
    with child(["-m", "tests.bench.receiver", str(port)], {}, directory, f"http://127.0.0.1:{port}/"):
        asyncio.run(_measure(directory, port, events, subscriptions))


async def _measure(directory: Path, port: int, events: int, subscriptions: int) -> None:
    environ = {
        "DATABASE_URL": f"sqlite:///{directory}/ledger.db",
        "CONNECTOR_ALLOW_PRIVATE_TARGETS": "true",
        "CONNECTOR_ENCRYPTION_KEY": "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtMDE=",
    }
    async with build(load(environ, directory).settings, workers=False) as running:
        ctx = running.context
        for n in range(subscriptions):
            target = f"http://127.0.0.1:{port}/{n}"
            hook = Hook(f"hook_{n}", "default", EventType.INTERVIEW_SYNCED, target, ctx.clock.now())
            await ctx.ledger.hooks.subscribe(hook, new_secret())
        await _happen(ctx, events // subscriptions)
        lane = HookWorker(ctx, paced=False)
        began = time.perf_counter()
        running.runner.start([lane])
        await until(partial(_is_done, ctx), 120)
        took = time.perf_counter() - began
        await lane.close()
    print(
        f"  {events:,} deliveries to {subscriptions} subscriptions, pacing off: {events / took:,.0f} a second"
    )


async def _is_done(ctx: Context) -> bool:
    return await ctx.ledger.hooks.next_due() is None


async def _happen(ctx: Context, interviews: int) -> None:
    """Let interviews be synced; each is told to every subscription."""
    ids = [f"int_{n}" for n in range(interviews)]
    now = ctx.clock.now()
    synced = [
        Sync(
            connection="default",
            interview_id=one,
            status=SyncStatus.SYNCED,
            first_received_at=now,
            updated_at=now,
            synced_at=now,
            user_id=f"user-{one}",
            facts=Interview(one, ready=True, themes=("price",), sentiment="mixed", quality_score=4.0),
        )
        for one in ids
    ]
    await ctx.ledger.syncs.revise([("default", one) for one in ids], lambda *_: synced)
