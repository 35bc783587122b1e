"""OAuth clients and grants in the ledger, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from connector.domain.access import Grant, GrantSecret, OAuthClient
from connector.ledger.access import grants
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW

pytestmark = pytest.mark.contract

DAY = 86_400_000
HOUR = 3_600_000
CLIENT = OAuthClient("c1", "Assistant", ("https://assistant.example.com/callback",), NOW)
GRANT = Grant(
    "assistant-1", "c1", "Assistant", "token", "a1" * 32, ("read",), ("default",), "x", "https://y", NOW, NOW
)
CODE, ACCESS, REFRESH = "c0" * 32, "ac" * 32, "4e" * 32


async def begun(ledger: Ledger, grant: Grant = GRANT) -> Grant:
    until = NOW + 60_000
    await ledger.grants.begin(grant._replace(expires_at=until), GrantSecret(CODE, "code", until), NOW)
    return grant


async def exchanged(ledger: Ledger, spent: str = CODE, *, mark: str = "") -> bool:
    fresh = [
        GrantSecret(mark + ACCESS, "access", NOW + HOUR),
        GrantSecret(mark + REFRESH, "refresh", NOW + 30 * DAY),
    ]
    return await ledger.grants.exchange(spent, fresh, NOW)


async def test_a_code_becomes_tokens_that_every_process_finds(ledger: Ledger, other_ledger: Ledger) -> None:
    await begun(ledger)
    assert await ledger.grants.find(CODE, "code", NOW + 60_000) is None
    assert await exchanged(ledger)
    lives = GRANT._replace(expires_at=NOW + 30 * DAY)
    assert await other_ledger.grants.find(ACCESS, "access", NOW + HOUR - 1) == (lives, False)
    assert await other_ledger.grants.find(ACCESS, "access", NOW + HOUR) is None
    assert await other_ledger.grants.find(ACCESS, "refresh", NOW) is None
    assert await other_ledger.grants.find(CODE, "code", NOW + HOUR) == (lives, True)
    assert await other_ledger.grants.listed(NOW) == [lives]
    await ledger.grants.used(GRANT.id, NOW + 5)
    assert [grant.used_at for grant in await other_ledger.grants.listed(NOW)] == [NOW + 5]
    assert await other_ledger.grants.listed(NOW + 30 * DAY) == []


@pytest.mark.parametrize("again", [CODE, REFRESH])
async def test_a_second_use_ends_everything(ledger: Ledger, again: str) -> None:
    await begun(ledger)
    assert await exchanged(ledger)
    assert await exchanged(ledger, REFRESH, mark="2")
    assert not await exchanged(ledger, again, mark="3")
    for digest, kind in [(ACCESS, "access"), ("2" + ACCESS, "access"), ("2" + REFRESH, "refresh")]:
        assert await ledger.grants.find(digest, kind, NOW) is None
    assert await ledger.grants.listed(NOW) == []
    assert not await exchanged(ledger, "unknown", mark="4")


async def test_a_client_revokes_only_its_own(ledger: Ledger) -> None:
    await begun(ledger)
    await exchanged(ledger)
    await ledger.grants.revoke(REFRESH, "c2")
    await ledger.grants.revoke(ACCESS, "c1")
    assert await ledger.grants.find(ACCESS, "access", NOW) is None
    assert await ledger.grants.find(REFRESH, "refresh", NOW) is not None
    await exchanged(ledger, REFRESH, mark="2")
    await ledger.grants.revoke("2" + REFRESH, "c1")
    assert await ledger.grants.find("2" + ACCESS, "access", NOW) is None


async def test_all_grants_end_at_once(ledger: Ledger) -> None:
    await begun(ledger)
    await exchanged(ledger)
    await ledger.grants.end(id="another")
    await ledger.grants.end(token_name="another")
    assert await ledger.grants.listed(NOW)
    await ledger.grants.end()
    assert await ledger.grants.listed(NOW) == []
    assert await ledger.grants.find(ACCESS, "access", NOW) is None


async def test_expired_grants_go_with_their_secrets(ledger: Ledger) -> None:
    await begun(ledger)
    later = NOW + 61_000
    other = GRANT._replace(id="assistant-2", expires_at=later + 60_000)
    await ledger.grants.begin(other, GrantSecret("d0" * 32, "code", later + 60_000), later)
    assert [grant.id for grant in await ledger.grants.listed(0)] == ["assistant-2"]


async def test_unused_clients_go_after_a_day_and_used_ones_stay(ledger: Ledger) -> None:
    assert await ledger.grants.register(CLIENT, NOW)
    assert await ledger.grants.register(CLIENT._replace(client_id="c2"), NOW)
    await begun(ledger)
    await exchanged(ledger)
    later = NOW + DAY + 1
    assert await ledger.grants.register(CLIENT._replace(client_id="c3", created_at=later), later)
    assert await ledger.grants.client("c1") == CLIENT
    assert await ledger.grants.client("c2") is None


async def test_the_oldest_unused_client_makes_room(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MOST_CLIENTS", 2)
    await ledger.grants.register(CLIENT, NOW)
    await ledger.grants.register(CLIENT._replace(client_id="c2", created_at=NOW + 1), NOW + 1)
    await begun(ledger)
    await exchanged(ledger)
    later = NOW + 600_001
    assert not await ledger.grants.register(CLIENT._replace(client_id="c3", created_at=later - 1), later - 1)
    assert await ledger.grants.client("c2") is not None  # its person may be about to say yes
    assert await ledger.grants.register(CLIENT._replace(client_id="c3", created_at=later), later)
    assert await ledger.grants.client("c2") is None
    assert await ledger.grants.client("c1") == CLIENT


async def test_no_room_is_made_at_the_cost_of_a_live_grant(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MOST_CLIENTS", 1)
    await ledger.grants.register(CLIENT, NOW)
    await begun(ledger)
    assert not await ledger.grants.register(CLIENT._replace(client_id="c2"), NOW)
    assert await ledger.grants.client("c1") == CLIENT


async def test_of_two_at_once_one_gets_tokens_and_then_none_has_any(
    ledger: Ledger, other_ledger: Ledger
) -> None:
    await begun(ledger)
    got = await asyncio.gather(
        *(exchanged(each, mark=str(n)) for n, each in enumerate([ledger, other_ledger] * 3))
    )
    assert got.count(True) == 1
    assert await ledger.grants.listed(NOW) == []
