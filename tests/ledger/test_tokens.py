"""Named tokens in the ledger, on both databases."""

from __future__ import annotations

import pytest

from connector.domain.access import Token
from connector.domain.events.event import EventType, Hook
from connector.errors import Unauthenticated
from connector.ledger.ledger import Ledger
from tests.ledger.test_callbacks import a_callback
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
    await ledger.tokens.revoke("zapier", NOW + 1)
    await ledger.tokens.revoke("zapier", NOW + 2)
    assert await other_ledger.tokens.find(ZAPIER.sha256) == ZAPIER._replace(revoked_at=NOW + 1)


def a_hook(owner: str | None) -> Hook:
    kind = EventType.INTERVIEW_SYNCED
    return Hook(f"hook_{owner}", "default", kind, f"https://hooks.example.com/{owner}", NOW, owner)


async def owners(ledger: Ledger) -> tuple[set[str | None], set[str | None]]:
    """Return who has subscriptions, and who has callbacks."""
    hooks = await ledger.hooks.listed(["default"], None)
    return {one.token for one in hooks}, {one.token for one in await ledger.callbacks.due(NOW, 10)}


async def test_what_a_token_made_ends_with_it(ledger: Ledger, other_ledger: Ledger) -> None:
    await ledger.tokens.create(ZAPIER)
    for owner in ("zapier", "robot", None):
        await ledger.hooks.subscribe(a_hook(owner), "secret")
        await ledger.callbacks.add(a_callback(f"cb_{owner}")._replace(token=owner))
    assert await other_ledger.tokens.revoke("zapier", NOW) == (1, 1)
    assert await owners(ledger) == ({"robot", None}, {"robot", None})


async def test_a_revoked_token_makes_nothing_more(ledger: Ledger) -> None:
    await ledger.tokens.create(ZAPIER)
    await ledger.tokens.revoke("zapier", NOW)
    with pytest.raises(Unauthenticated):  # its request was let in before
        await ledger.hooks.subscribe(a_hook("zapier"), "secret")
    await ledger.callbacks.add(a_callback()._replace(token="zapier"))
    assert await owners(ledger) == (set(), set())
