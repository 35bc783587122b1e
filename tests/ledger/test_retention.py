"""What stays when the ledger forgets, and what does not, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance
from connector.ledger.db.dialect import is_sqlite, sqlite_path
from connector.ledger.db.schema.results import inbox
from connector.ledger.ledger import Ledger
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from tests.support.fakes import NOW, a_run, a_settlement, a_sync, a_webhook

pytestmark = pytest.mark.contract

DAY = 86_400_000
LATER = NOW + 91 * DAY
WORDS = "a-respondents-own-words"
WHO = "grace.hopper@example.com"


async def store(ledger: Ledger, *syncs: Sync) -> None:
    await ledger.syncs.revise([(one.connection, one.interview_id) for one in syncs], lambda *_: syncs)


def remains(database_url: str) -> bytes:
    """Return every byte that SQLite keeps: file and log."""
    path = sqlite_path(database_url)
    return b"".join(one.read_bytes() for one in sorted(path.parent.iterdir()))


async def send(ledger: Ledger) -> Sync:
    """Let one interview come in, be sent and be accepted."""
    await ledger.inbox.accept(a_webhook(body=f'{{"q": "{WORDS}", "respondent_email": "{WHO}"}}'))
    [delivery] = await ledger.inbox.take_new(["default"], 1)
    sync = a_sync(user=WHO, event=f'{{"user_id": "{WHO}", "q": "{WORDS}"}}')
    await ledger.syncs.revise([("default", "int_1")], lambda *_: [sync], done=[delivery.id])
    lease = await ledger.leases.acquire("amplitude:1", "me", NOW, 1_000)
    assert lease is not None
    [taken] = await ledger.sending.begin(lease, ["default"], NOW, 1)
    await ledger.sending.settle(
        lease, [a_settlement(taken.sync, attempts=({"at": NOW, "words": WHO},))], NOW, 0
    )
    return sync


async def test_what_names_or_quotes_a_person_goes(ledger: Ledger, database_url: str) -> None:
    await send(ledger)
    await ledger.diagnostics.add("", "refused", {"words": WORDS}, NOW, 5)
    claim = await ledger.idempotency.claim("scope", "key", "digest", NOW)
    await ledger.idempotency.store("scope", "key", claim.token, 200, f'{{"user_id": "{WHO}"}}', NOW)
    if is_sqlite(database_url):
        assert WORDS.encode() in remains(database_url)
    assert await ledger.retention.prune(LATER - 90 * DAY, LATER) == 2
    assert await ledger.inbox.received("default", "int_1") == []
    stored = await ledger.syncs.find("default", "int_1")
    assert stored is not None
    assert (stored.facts, stored.user_id, stored.identify, stored.event, stored.attempts) == (
        None,
        None,
        None,
        None,
        (),
    )
    assert (stored.status, stored.pruned_at) == (SyncStatus.SYNCED, LATER)
    assert await ledger.diagnostics.since("", "refused", 0) == []
    if is_sqlite(database_url):
        left = remains(database_url)
        assert WORDS.encode() not in left
        assert WHO.encode() not in left
        assert b"int_1" in left


async def test_promises_outlive_pruning(ledger: Ledger) -> None:
    sync = await send(ledger)
    await ledger.retention.prune(LATER - 90 * DAY, LATER)
    assert await ledger.counters.totals("default") == {("synced", ""): 1}
    older = a_sync("int_0", user=WHO, completed_at=NOW - DAY)
    assert await ledger.sending.is_overtaken(["default"], older)
    stored = await ledger.syncs.find("default", "int_1")
    assert stored is not None
    assert (stored.status, stored.user_hash, stored.completed_at, stored.frozen_at) == (
        SyncStatus.SYNCED,
        sync.user_hash,
        sync.completed_at,
        NOW,
    )


async def test_what_is_young_new_or_on_its_way_stays(ledger: Ledger) -> None:
    await ledger.inbox.accept(a_webhook("int_1"))
    await ledger.inbox.accept(a_webhook("int_2", state="done"))
    await ledger.inbox.accept(a_webhook("int_3", state="done", received_at=NOW + 10 * DAY))
    await store(
        ledger,
        a_sync("int_4", stage=Stage.READ),
        a_sync("int_5", stage=None, sending_since=NOW, status=SyncStatus.SKIPPED, reason="anonymous"),
        a_sync("int_6", stage=None, status=SyncStatus.SYNCED, updated_at=NOW + 10 * DAY),
    )
    assert await ledger.retention.prune(NOW + 5 * DAY, LATER) == 1
    assert [len(await ledger.inbox.received("default", f"int_{at}")) for at in (1, 2, 3)] == [1, 0, 1]
    for at in (4, 5, 6):
        kept = await ledger.syncs.find("default", f"int_{at}")
        assert kept is not None
        assert kept.facts is not None


async def test_what_is_told_again_is_forgotten_again(ledger: Ledger) -> None:
    ended = a_sync(stage=None, status=SyncStatus.SKIPPED, reason="below_quality_gate")
    await store(ledger, ended)
    await ledger.retention.prune(LATER - 90 * DAY, LATER)
    pruned = await ledger.syncs.find("default", "int_1")
    assert pruned is not None
    await store(ledger, pruned._replace(facts=ended.facts, updated_at=LATER))
    assert await ledger.retention.prune(LATER, LATER) == 0
    assert await ledger.retention.prune(LATER + 1, LATER + DAY) == 1
    again = await ledger.syncs.find("default", "int_1")
    assert again is not None
    assert (again.facts, again.pruned_at) == (None, LATER + DAY)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (SyncStatus.SKIPPED, "anonymous"),
        (SyncStatus.SKIPPED, "other_project"),
        (SyncStatus.FAILED, "not_found_in_koji"),
        (SyncStatus.SYNCED, None),
    ],
)
async def test_an_anonymous_mark_outlives_pruning(
    ledger: Ledger, database_url: str, status: SyncStatus, reason: str | None
) -> None:
    facts = Interview(
        'int"\\1', ready=True, anonymous=True, themes=(WORDS,), quality_score=4.5, project_id="theirs"
    )
    await store(ledger, a_sync('int"\\1', facts=facts, stage=None, status=status, reason=reason))
    assert await ledger.retention.prune(LATER, LATER) == 1
    assert await ledger.retention.prune(LATER, LATER) == 0
    pruned = await ledger.syncs.find("default", 'int"\\1')
    assert pruned is not None
    assert (pruned.facts, pruned.pruned_at) == (Interview('int"\\1', anonymous=True), LATER)
    assert (pruned.status, pruned.reason) == (status, reason)
    whole = facts._replace(anonymous=False, respondent_email=WHO, email_given=True, project_id=None)
    for force in (False, True):
        heard = Observation(
            rules=sync_rules(Connection()), interview=whole, at=LATER, from_call=True, force=force
        )
        after = advance(pruned, heard, People(str, lambda *_: 1))
        assert after.stage is after.event is after.user_id is None
        assert WHO not in repr(after)
    if is_sqlite(database_url):
        assert WORDS.encode() not in remains(database_url)


async def test_whoever_was_nobody_stays_nobody(ledger: Ledger) -> None:
    await store(ledger, a_sync(stage=None, status=SyncStatus.SKIPPED, reason="anonymous"))
    await ledger.retention.prune(LATER, LATER)
    pruned = await ledger.syncs.find("default", "int_1")
    assert pruned is not None
    assert pruned.facts == Interview("int_1", anonymous=True)


async def test_more_than_one_chunk(ledger: Ledger) -> None:
    syncs = [a_sync(f"int_{at}", stage=None, status=SyncStatus.SYNCED) for at in range(1_100)]
    await store(ledger, *syncs)
    assert await ledger.retention.prune(LATER, LATER) == 1_100
    assert await ledger.retention.prune(LATER, LATER) == 0


@pytest.mark.parametrize(("stage", "stays"), [(Stage.HOLD, True), (None, False)])
async def test_an_old_run_stays_while_something_of_it_waits(
    ledger: Ledger, stage: Stage | None, stays: bool
) -> None:
    await a_run(ledger, "run_1", ["int_1"])
    await store(ledger, a_sync(run_id="run_1", stage=stage, status=SyncStatus.PENDING, updated_at=LATER))
    await ledger.retention.prune(LATER, LATER)
    assert (await ledger.runs.progress("run_1") is not None) is stays


async def test_webhooks_whose_order_is_hidden_go_too(ledger: Ledger) -> None:
    midnight = NOW - NOW % DAY
    for at in range(5):
        erased = a_webhook(f"int_{at}", state="done", body=None, digest=f"d{at}", received_at=midnight)
        await ledger.inbox.accept(erased)
    await ledger.inbox.accept(a_webhook("int_9", state="done", received_at=LATER))
    assert not await ledger.scatter.webhooks()
    ids = select(inbox.c.id).order_by(inbox.c.id)
    numbers = await ledger.db.read(lambda c: list(c.execute(ids).scalars()))
    assert [number < 0 for number in numbers] == [True] * 5 + [False]
    await ledger.inbox.accept(a_webhook("int_10", state="new"))
    assert max(await ledger.db.read(lambda c: list(c.execute(ids).scalars()))) > numbers[-1]
    assert await ledger.retention.prune(midnight, LATER) == 0
    assert await ledger.retention.prune(midnight + 1, LATER) == 5
