"""The audit log only grows, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from connector.domain.access import AuditEntry, AuditFilter
from connector.errors import StoreUnavailable
from connector.ledger.db.dialect import writer_engine
from connector.ledger.ledger import Book
from tests.fakes import NOW


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


async def test_an_entry_is_there_before_its_outcome(book: Book) -> None:
    number = await book.begin_audit(an_entry())
    [open_] = await book.audited("default", AuditFilter(), 10)
    assert (open_.id, open_.outcome, open_.ended_at) == (number, None, None)
    await book.end_audit(number, "done", {"launch_id": "lau_1"}, NOW + 5)
    [ended] = await book.audited("default", AuditFilter(), 10)
    assert (ended.outcome, ended.ended_at) == ("done", NOW + 5)
    assert ended.touched == {"run_id": "run_1", "launch_id": "lau_1"}


async def test_entries_are_listed_newest_first_and_by_what_is_asked(book: Book) -> None:
    first = await book.begin_audit(an_entry(NOW, token="ops"))
    second = await book.begin_audit(an_entry(NOW + 1, token="zap", surface="cli"))
    await book.begin_audit(an_entry(NOW + 2, connection="other"))
    third = await book.begin_audit(an_entry(NOW + 2, operation="start_interview"))

    async def found(**where: object) -> list[int]:
        return [one.id for one in await book.audited("default", AuditFilter(**where), 10)]  # type: ignore[arg-type]

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
    book: Book, database_url: str, table: str, statement: str
) -> None:
    await book.end_audit(await book.begin_audit(an_entry()), "done", {}, NOW)
    engine = writer_engine(database_url)
    try:
        with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement.format(table)))
    finally:
        engine.dispose()
    [kept] = await book.audited("default", AuditFilter(), 10)
    assert (kept.at, kept.outcome, kept.ended_at) == (NOW, "done", NOW)


async def test_pruning_keeps_every_entry(book: Book) -> None:
    await book.end_audit(await book.begin_audit(an_entry()), "done", {}, NOW)
    later = NOW + 4_000 * 86_400_000
    await book.prune(later, later)
    assert len(await book.audited("default", AuditFilter(), 10)) == 1


async def test_a_closed_book_writes_no_entry(book: Book) -> None:
    await book.close()
    with pytest.raises(StoreUnavailable):
        await book.begin_audit(an_entry())
