"""Named tokens in the book, on both databases."""

from __future__ import annotations

from connector.domain.access import Token
from connector.ledger.ledger import Book
from tests.fakes import NOW

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
