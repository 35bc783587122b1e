"""Named tokens in the book, on both databases."""

from __future__ import annotations

from sqlalchemy import delete, text

from connector.domain.access import Token
from connector.ledger.db.schema import schema_version
from connector.ledger.ledger import Book, open_book
from tests.conftest import SEALER
from tests.fakes import NOW, a_sync

ZAPIER = Token("zapier", "a1" * 32, ("read", "send"), ("default", "shop"), NOW)
ROBOT = Token("robot", "b2" * 32, ("write",), None, NOW)


async def test_a_token_is_found_by_its_digest_in_every_process(book: Book, other_book: Book) -> None:
    assert await book.create_token(ZAPIER)
    assert await book.create_token(ROBOT)
    assert await other_book.find_token(ZAPIER.sha256) == ZAPIER
    assert await other_book.find_token("c3" * 32) is None
    assert await other_book.tokens() == [ROBOT, ZAPIER]


async def test_a_name_and_a_digest_belong_to_one_token_for_ever(book: Book) -> None:
    assert await book.create_token(ZAPIER)
    assert not await book.create_token(ROBOT._replace(name="zapier"))
    assert not await book.create_token(ROBOT._replace(sha256=ZAPIER.sha256))
    await book.revoke_token("zapier", NOW + 1)
    assert not await book.create_token(ROBOT._replace(name="zapier"))
    assert await book.create_token(ROBOT)


async def test_a_revoked_token_keeps_the_time_of_its_end(book: Book, other_book: Book) -> None:
    await book.create_token(ZAPIER)
    assert await book.revoke_token("zapier", NOW + 1)
    assert await book.revoke_token("zapier", NOW + 2)
    assert not await book.revoke_token("robot", NOW)
    assert await other_book.find_token(ZAPIER.sha256) == ZAPIER._replace(revoked_at=NOW + 1)


async def test_a_database_from_before_tokens_is_upgraded(book: Book, database_url: str) -> None:
    await book.revise([("default", "int_1")], lambda _: [a_sync("int_1")])
    before = await book.find("default", "int_1")
    assert before is not None
    with book._write_engine.begin() as connection:
        for was_not_there in (
            "TABLE token",
            "TABLE forgetting",
            "INDEX sync_respondent",
            "INDEX sync_external",
            "INDEX launch_standing",
            "INDEX invitation_counted",
        ):
            connection.execute(text(f"DROP {was_not_there}"))
        for column in ("respondent", "external"):
            connection.execute(text(f"ALTER TABLE sync DROP COLUMN {column}"))
        connection.execute(text("ALTER TABLE launch DROP COLUMN standing"))
        connection.execute(text("ALTER TABLE invitation DROP COLUMN counted_day"))
        connection.execute(delete(schema_version))
        connection.execute(text("INSERT INTO schema_version (version, applied_at) VALUES (2, 1)"))
    upgraded = await open_book(database_url, SEALER.seal, SEALER.open)
    assert await upgraded.create_token(ZAPIER)
    assert await upgraded.tokens() == [ZAPIER]
    found = await upgraded.find("default", "int_1")
    assert found is not None
    assert found.respondent == before.respondent is not None
    await upgraded.close()
