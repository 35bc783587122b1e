"""Named tokens in the ledger, on both databases."""

from __future__ import annotations

import pytest

from connector.domain.access import Token
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract

ZAPIER = Token("zapier", "a1" * 32, ("read", "send"), ("default", "shop"), NOW)
ROBOT = Token("robot", "b2" * 32, ("write",), None, NOW)


async def test_a_token_is_found_by_its_digest_in_every_process(ledger: Ledger, other_ledger: Ledger) -> None:
    assert await ledger.tokens.create(ZAPIER)
    assert await ledger.tokens.create(ROBOT)
    assert await other_ledger.tokens.find(ZAPIER.sha256) == ZAPIER
    assert await other_ledger.tokens.find("c3" * 32) is None
    assert await other_ledger.tokens.listed() == [ROBOT, ZAPIER]


async def test_a_name_and_a_digest_belong_to_one_token_for_ever(ledger: Ledger) -> None:
    assert await ledger.tokens.create(ZAPIER)
    assert not await ledger.tokens.create(ROBOT._replace(name="zapier"))
    assert not await ledger.tokens.create(ROBOT._replace(sha256=ZAPIER.sha256))
    await ledger.tokens.revoke("zapier", NOW + 1)
    assert not await ledger.tokens.create(ROBOT._replace(name="zapier"))
    assert await ledger.tokens.create(ROBOT)


async def test_a_revoked_token_keeps_the_time_of_its_end(ledger: Ledger, other_ledger: Ledger) -> None:
    await ledger.tokens.create(ZAPIER)
    assert await ledger.tokens.revoke("zapier", NOW + 1)
    assert await ledger.tokens.revoke("zapier", NOW + 2)
    assert not await ledger.tokens.revoke("robot", NOW)
    assert await other_ledger.tokens.find(ZAPIER.sha256) == ZAPIER._replace(revoked_at=NOW + 1)
