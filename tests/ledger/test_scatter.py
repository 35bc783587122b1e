"""Rows of interviews without a respondent are rewritten, each with some of those rewritten before."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, func, select

from connector.ledger.db.schema.results import sync
from connector.ledger.ledger import Ledger
from connector.ledger.people import scatter
from tests.support.fakes import a_sync

pytestmark = pytest.mark.contract

KEYS = [("default", f"int-{n:04}") for n in range(700)]


async def test_a_round_reads_a_bounded_number_of_rows(ledger: Ledger) -> None:
    await ledger.syncs.revise(KEYS, lambda *_: [a_sync(interview_id) for _, interview_id in KEYS])

    in_order = select(sync.c.scatter).order_by(sync.c.interview_id)

    async def numbers() -> list[int | None]:
        return await ledger.db.read(lambda c: list(c.execute(in_order).scalars()))

    await ledger.db.write(lambda c: scatter.mark(c, KEYS))
    while await ledger.scatter.interviews():
        pass
    before = await numbers()
    assert scatter.TO_DO not in before
    assert None not in before
    asked: list[str] = []

    @event.listens_for(ledger.db._write_engine, "before_cursor_execute")
    def _listen(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    await ledger.db.write(lambda c: scatter.mark(c, KEYS[:1]))
    assert not await ledger.scatter.interviews()
    picked = [one for one in asked if one.startswith("SELECT") and "scatter" in one]
    assert len(picked) == 3
    assert all("LIMIT" in one for one in picked)
    changed = sum(was != now for was, now in zip(before, await numbers(), strict=True))
    assert 150 < changed <= 201  # the marked one and 200 others, of which some keep their number by chance
    rows = select(func.count()).where(sync.c.scatter == scatter.TO_DO)
    assert await ledger.db.read(lambda c: c.execute(rows).scalar_one()) == 0
