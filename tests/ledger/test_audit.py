"""The audit log only grows, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from connector.domain.access import AuditEntry, AuditFilter
from connector.errors import LedgerUnavailable
from connector.ledger.db.dialect import writer_engine
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract


def an_entry(at: int = NOW, **fields: str) -> AuditEntry:
    return AuditEntry(
        connection=fields.get("connection", "default"),
        at=at,
        token=fields.get("token", "ops"),
        surface=fields.get("surface", "http"),
        operation=fields.get("operation", "replay_syncs"),
        effect="send",
        touched={"run_id": "run_1"},
    )


async def test_an_entry_is_there_before_its_outcome(ledger: Ledger) -> None:
    number = await ledger.audit.begin(an_entry())
    [open_] = await ledger.audit.listed("default", AuditFilter(), 10)
    assert (open_.id, open_.outcome, open_.ended_at) == (number, None, None)
    await ledger.audit.end(number, "done", {"launch_id": "lau_1"}, NOW + 5)
    [ended] = await ledger.audit.listed("default", AuditFilter(), 10)
    assert (ended.outcome, ended.ended_at) == ("done", NOW + 5)
    assert ended.touched == {"run_id": "run_1", "launch_id": "lau_1"}


async def test_entries_are_listed_newest_first_and_by_what_is_asked(ledger: Ledger) -> None:
    first = await ledger.audit.begin(an_entry(NOW, token="ops"))
    second = await ledger.audit.begin(an_entry(NOW + 1, token="zap", surface="cli"))
    await ledger.audit.begin(an_entry(NOW + 2, connection="other"))
    third = await ledger.audit.begin(an_entry(NOW + 2, operation="start_interview"))

    async def found(**where: object) -> list[int]:
        return [one.id for one in await ledger.audit.listed("default", AuditFilter(**where), 10)]  # type: ignore[arg-type]

    assert await found() == [third, second, first]
    assert await found(token="zap") == [second]
    assert await found(surface="cli") == [second]
    assert await found(operation="start_interview") == [third]
    assert await found(since=NOW + 1) == [third, second]
    assert await found(until=NOW + 1) == [first]
    assert await found(before=second) == [first]
    assert await found(token="half \ud800 nul \0") == []


@pytest.mark.parametrize("table", ["audit", "audit_outcome"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
async def test_the_database_refuses_to_change_or_remove(
    ledger: Ledger, database_url: str, table: str, statement: str
) -> None:
    await ledger.audit.end(await ledger.audit.begin(an_entry()), "done", {}, NOW)
    engine = writer_engine(database_url)
    try:
        with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement.format(table)))
    finally:
        engine.dispose()
    [kept] = await ledger.audit.listed("default", AuditFilter(), 10)
    assert (kept.at, kept.outcome, kept.ended_at) == (NOW, "done", NOW)


async def test_pruning_keeps_every_entry(ledger: Ledger) -> None:
    await ledger.audit.end(await ledger.audit.begin(an_entry()), "done", {}, NOW)
    later = NOW + 4_000 * 86_400_000
    await ledger.retention.prune(later, later)
    assert len(await ledger.audit.listed("default", AuditFilter(), 10)) == 1


async def test_a_closed_ledger_writes_no_entry(ledger: Ledger) -> None:
    await ledger.close()
    with pytest.raises(LedgerUnavailable):
        await ledger.audit.begin(an_entry())
