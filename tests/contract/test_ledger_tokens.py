"""Named tokens in the ledger, on both databases."""

from __future__ import annotations

from sqlalchemy import delete, text

from connector.domain.access import Token
from connector.ledger.db.schema import schema_version
from connector.ledger.ledger import Ledger, open_ledger
from tests.conftest import SEALER
from tests.fakes import NOW, a_sync

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


async def test_a_database_from_before_tokens_is_upgraded(ledger: Ledger, database_url: str) -> None:
    await ledger.syncs.revise([("default", "int_1")], lambda _: [a_sync("int_1")])
    before = await ledger.syncs.find("default", "int_1")
    assert before is not None
    with ledger.db._write_engine.begin() as connection:
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
    upgraded = await open_ledger(database_url, SEALER)
    assert await upgraded.tokens.create(ZAPIER)
    assert await upgraded.tokens.listed() == [ZAPIER]
    found = await upgraded.syncs.find("default", "int_1")
    assert found is not None
    assert found.respondent == before.respondent is not None
    await upgraded.close()
