"""A new key seals every sealed column anew."""

from __future__ import annotations

import pytest
from sqlalchemy import Text

from connector.domain.events.event import EventType, Hook
from connector.errors import NotConfigured
from connector.ledger.access.reseal import SEALED, reseal
from connector.ledger.db.schema import metadata
from connector.security.sealing import Sealer
from tests.conftest import SEALER
from tests.ledger.erasure.desk import ANN, EMAIL, JO, ErasureDesk, live
from tests.ledger.test_callbacks import a_callback

pytestmark = pytest.mark.contract


async def test_every_sealed_column_is_sealed_anew(desk: ErasureDesk) -> None:
    await live(desk, ANN, "ann")
    await desk.launch(JO)
    one = await desk.send()
    await desk.settle(one, "started")
    hook = Hook("hook_1", "default", EventType.INTERVIEW_SYNCED, "https://hooks.example.com/1", desk.now)
    await desk.ledger.hooks.subscribe(hook, "whsec_c2VjcmV0")
    await desk.ledger.callbacks.add(a_callback())
    await desk.erase(email=EMAIL)  # stays open: its row is sealed
    sealed = {column.table.name + "." + column.name for _, column in SEALED}
    assert await opened_by(desk, SEALER) == sealed
    fresh = Sealer([b"n" * 32])
    await reseal(desk.ledger, Sealer([b"n" * 32, b"k" * 32]))
    assert await opened_by(desk, fresh) == sealed
    assert await opened_by(desk, SEALER) == set()


async def opened_by(desk: ErasureDesk, sealer: Sealer) -> set[str]:
    """Return the columns of texts, in all tables, that hold a value which a sealer opens."""
    found = set()
    texts = {
        table.name: [one.name for one in table.c if isinstance(one.type, Text)]
        for table in metadata.tables.values()
    }
    for table, rows in (await desk.dump()).items():
        for row in rows:
            for name in texts[table]:
                try:
                    sealer.open(str(row[name]).encode())
                except NotConfigured:
                    continue
                found.add(f"{table}.{name}")
    return found
