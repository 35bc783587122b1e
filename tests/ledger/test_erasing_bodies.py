"""Of an interview that is nobody's, nothing stays of what came in about it, on both databases."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg import sql

from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.sync import InboundWebhook, Sync
from connector.domain.results.transitions import advance
from connector.ledger.db.dialect import is_sqlite, sqlite_path
from connector.ledger.ledger import Ledger
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from tests.support.fakes import NOW, a_settlement, a_sync, a_webhook

pytestmark = pytest.mark.contract

WORDS = "a-respondents-own-words"
KEY = ("default", "int_1")
OURS = Connection(koji_project_id="ours", connector_null_email_is_anonymous=True)
ENDS: list[dict[str, Any]] = [
    {"status": SyncStatus.SKIPPED, "reason": "anonymous"},
    {"status": SyncStatus.SKIPPED, "reason": "other_project"},
    {"status": SyncStatus.FAILED, "reason": "not_found_in_koji"},
    {"status": SyncStatus.SYNCED},
]
MARKED = Interview("int_1", anonymous=True)


def a_message(interview_id: str = "int_1", **told: Any) -> InboundWebhook:
    """Return a delivery that quotes a respondent."""
    return a_webhook(interview_id, body=json.dumps({"words": WORDS, "of": interview_id, **told}))


async def look(ledger: Ledger, after: Sync | None = None) -> None:
    """Deal with everything new, as the intake does; `after` is what the interview became."""
    new = await ledger.inbox.take_new(["default"], 100)
    await ledger.syncs.revise([KEY], lambda *_: [after] if after else [], done=[one.id for one in new])


async def bodies(ledger: Ledger, interview_id: str = "int_1") -> list[str | None]:
    return [one.body for one in await ledger.inbox.received("default", interview_id)]


async def kept(ledger: Ledger, database_url: str) -> str:
    """Close the ledger, and return everything that the database holds."""
    await ledger.close()
    if is_sqlite(database_url):
        folder = sqlite_path(database_url).parent
        return b"".join(one.read_bytes() for one in folder.iterdir()).decode("latin-1")
    with psycopg.connect(database_url) as connection:
        found = [
            str(row)
            for table in ("inbox", "sync")
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
        ]
    return "".join(found)


async def test_what_is_nobodys_keeps_no_body(ledger: Ledger, database_url: str) -> None:
    for interview_id in ("int_1", "int_1", "int_2"):
        await ledger.inbox.accept(a_message(interview_id))
    await look(ledger, a_sync(status=SyncStatus.SKIPPED, reason="anonymous"))
    assert await bodies(ledger) == [None]  # the same message twice is one
    assert None not in await bodies(ledger, "int_2")
    assert WORDS in await kept(ledger, database_url)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: str(end.get("reason") or end["status"]))
async def test_a_mark_erases_however_it_ended(ledger: Ledger, database_url: str, end: dict[str, Any]) -> None:
    await ledger.inbox.accept(a_message(nr=1))
    await look(ledger, a_sync(stage=None, **end))
    await ledger.inbox.accept(a_message(nr=2))
    await look(ledger, a_sync(stage=None, facts=MARKED, **end))
    assert await bodies(ledger) == [None, None]
    await ledger.inbox.accept(a_message(nr=3))
    assert [body is None for body in await bodies(ledger)] == [True, True, False]
    await look(ledger)
    assert await bodies(ledger) == [None, None, None]
    assert WORDS not in await kept(ledger, database_url)


async def test_what_a_caller_told_is_erased_too(ledger: Ledger, database_url: str) -> None:
    call = a_webhook(source="call", state="done", digest=None, body=json.dumps({"themes": [WORDS]}))
    await ledger.syncs.revise([KEY], lambda *_: [a_sync(stage=None, facts=MARKED)], record=[call])
    assert await bodies(ledger) == [None]
    assert WORDS not in await kept(ledger, database_url)


@pytest.mark.parametrize(
    "mark",
    [{"anonymous": True}, {"anonymous": True, "project_id": "theirs"}, {"email_given": True}],
    ids=["mark", "mark in another project", "null e-mail"],
)
async def test_a_synced_interview_that_turns_out_anonymous(
    ledger: Ledger, database_url: str, mark: dict[str, Any]
) -> None:
    lease = await ledger.leases.acquire("amplitude:1", "me", NOW, 30_000)
    assert lease is not None
    await ledger.inbox.accept(a_message())
    await look(ledger, a_sync())
    [sent] = await ledger.sending.begin(lease, ["default"], NOW, 1)
    await ledger.sending.settle(lease, [a_settlement(sent.sync)], NOW, 0)
    heard = Observation(rules=sync_rules(OURS), interview=Interview("int_1", **mark), at=NOW + 1)
    [after] = await ledger.syncs.revise([KEY], lambda found, people: [advance(found[KEY], heard, people)])
    assert after.status is SyncStatus.SYNCED
    left = await kept(ledger, database_url)
    assert WORDS not in left
    assert "ada@example.com" not in left


async def test_pruned_and_heard_of_again(ledger: Ledger, database_url: str) -> None:
    await look(ledger, a_sync(stage=None, facts=MARKED, status=SyncStatus.SKIPPED, reason="other_project"))
    await ledger.retention.prune(NOW + 1, NOW + 1)
    await ledger.inbox.accept(a_message())
    await look(ledger)
    assert await bodies(ledger) == [None]
    assert WORDS not in await kept(ledger, database_url)


async def test_what_nobody_looked_at_yet_may_still_tell_who_it_was(ledger: Ledger) -> None:
    await ledger.inbox.accept(a_message(nr=1))
    [first] = await ledger.inbox.take_new(["default"], 10)
    await ledger.inbox.accept(a_message(nr=2))
    nobodys = a_sync(stage=None, status=SyncStatus.SKIPPED, reason="anonymous")
    await ledger.syncs.revise([KEY], lambda *_: [nobodys], done=[first.id])
    [second] = await ledger.inbox.take_new(["default"], 10)
    assert second.body is not None
    await look(ledger, a_sync())
    assert await bodies(ledger) == [None, second.body]
