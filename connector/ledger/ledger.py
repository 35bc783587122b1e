"""The ledger as the rest of the connector sees it (`ports.Ledger`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, text

from connector.context import Revise
from connector.domain.access import AuditEntry, AuditFilter, Claim, Note, Token
from connector.domain.lease import Lease, Pause
from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.interview import Stage
from connector.domain.results.run import RunProgress
from connector.domain.results.sync import InboundWebhook, ListFilter, Outgoing, Settlement, Sync
from connector.ledger.access import (
    audit,
    idempotency,
    secrets,
    tokens,
)
from connector.ledger.db import migrations
from connector.ledger.db.dialect import empty_log, share_suppressions, writer_engine
from connector.ledger.db.reader import Reader
from connector.ledger.db.writer import Writer
from connector.ledger.events import events
from connector.ledger.events.callback_book import CallbackBook
from connector.ledger.events.hook_book import HookBook
from connector.ledger.launches import attribution, cohort_inbox
from connector.ledger.launches.cohort_book import CohortBook
from connector.ledger.launches.launch_book import InvitationBook, LaunchBook
from connector.ledger.people import respondents
from connector.ledger.people.forgetting_book import ForgettingBook
from connector.ledger.results import (
    counters,
    inbox,
    runs,
    sending,
    syncs,
)
from connector.ledger.results.recent import Recent
from connector.ledger.runtime import (
    diagnostics,
    leases,
    rate_limit,
    retention,
)

T = TypeVar("T")
_PRUNE_CHUNK = 1_000
_LOG_KEPT = 1.0
_NOTES_KEPT = 3_600_000


class Book:
    """One durable book. Open it with `open_book`; close it before the event loop ends."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._write_engine = writer_engine(database_url)
        self._writer = Writer(self._write_engine)
        self._reader = Reader(database_url)
        self._recent = Recent()
        self._emptying: asyncio.Task[None] | None = None
        self.hash_user: Callable[[str], str]
        self.launches: LaunchBook
        self.invitations: InvitationBook
        self.cohort_messages: CohortBook
        self.forgettings: ForgettingBook
        self.hooks: HookBook
        self.callbacks: CallbackBook
        self._keep_out: Callable[[Connection, Sequence[Sync]], list[Sync]]

    async def obtain_keys(self, seal: secrets.Seal, unseal: secrets.Open) -> None:
        """Load the keys that hash people and sign plans, made at first start."""
        key = await self.write(lambda c: secrets.obtain(c, "tombstone", seal, unseal))
        plan_key = await self.write(lambda c: secrets.obtain(c, "plan", seal, unseal))
        self.hash_user = partial(secrets.keyed_hash, key)
        self.launches = LaunchBook(self, key, plan_key)
        self.invitations = InvitationBook(self, seal, unseal)
        self.cohort_messages = CohortBook(self, key)
        self.hooks = HookBook(self, seal, unseal)
        self.callbacks = CallbackBook(self, seal, unseal)
        self.forgettings = ForgettingBook(self, self._url, key, seal, unseal)
        self._keep_out = lambda c, changed: respondents.keep_out(c, key, changed)
        while await self.write(lambda c: respondents.fill(c, key)):
            pass

    async def close(self) -> None:
        """Commit what is queued, then let go of the database."""
        if self._emptying is not None:
            self._emptying.cancel()  # closing the last connection empties the log
        await self._writer.close()
        self._write_engine.dispose()
        await asyncio.to_thread(self._reader.close)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction; return after its commit."""
        return cast("T", await self._writer.submit(work))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Return what a query finds."""
        return await self._reader.run(query)

    async def ping(self) -> None:
        """Touch the database."""
        await self.read(lambda c: c.execute(text("SELECT 1")).scalar_one())

    async def accept(self, delivery: InboundWebhook) -> bool:
        """Store what came in; return whether it was new. Raises `StoreUnavailable` after 8 s or so."""
        delivery = self._keyed(delivery)
        fresh = cast("bool", await self._writer.submit(delivery))
        if fresh:
            self._recent.keep(delivery)
        return fresh

    def _keyed(self, delivery: InboundWebhook) -> InboundWebhook:
        """Return it with its digest hashed: it outlives the body, which could be guessed from it."""
        digest = delivery.digest
        return delivery if digest is None else delivery._replace(digest=self.hash_user(digest))

    async def take_new(self, connections: Sequence[str], limit: int) -> list[InboundWebhook]:
        """Return the oldest deliveries of connections that nobody looked at yet."""
        found = await self.read(lambda c: inbox.new_ones(c, connections, limit))
        known = {
            number: one._replace(id=number)
            for number, name, digest in found
            if (one := self._recent.take(name, digest)) is not None
        }
        if unknown := [number for number, _, _ in found if number not in known]:
            known |= {one.id: one for one in await self.read(lambda c: inbox.read(c, unknown))}
        return [known[number] for number, _, _ in found if number in known]

    async def revise(
        self,
        keys: Sequence[tuple[str, str]],
        revise: Revise,
        *,
        lease: Lease | None = None,
        done: Sequence[int] = (),
        record: Sequence[InboundWebhook] = (),
    ) -> list[Sync]:
        """Load syncs, store what `revise` makes of them, in one transaction.

        `revise` runs in the writer's thread and, when another process came in between, more than once. Of
        interviews that are nobody's, what came in about them is erased, whether or not it changed anything.
        Whatever it makes of those whose respondent was forgotten, nothing but that is stored.
        """

        def work(c: Connection) -> tuple[list[Sync], int]:
            if lease is not None:
                leases.fence(c, lease)
            share_suppressions(c)  # before any row, as whoever forgets does
            before = syncs.load(c, keys)
            changed = self._keep_out(c, revise(before))
            syncs.save(c, before, changed)
            inbox.mark_done(c, done)
            if record:
                inbox.accept(c, [self._keyed(one) for one in record])
            after = {**before, **{(one.connection, one.interview_id): one for one in changed}}
            nobodys = [key for key, one in after.items() if is_anonymous_or_erased(one.reason, one.facts)]
            erased = inbox.erase_bodies(c, nobodys)
            erased += attribution.unbind(c, nobodys)
            events.to_the_day(c, nobodys)
            attribution.bind(c, changed)
            return changed, erased

        changed, erased = await self.write(work)
        if erased:
            self.empty_log()
        return changed

    async def find_many(self, connection: str, interview_ids: Sequence[str]) -> Mapping[str, Sync]:
        """Return syncs by interview id."""
        return await self.read(lambda c: syncs.find_many(c, connection, interview_ids))

    async def find(self, connection: str, interview_id: str) -> Sync | None:
        """Return one sync."""
        return (await self.find_many(connection, [interview_id])).get(interview_id)

    async def listed(
        self, connection: str, where: ListFilter, *, limit: int, after: tuple[int, str] | None
    ) -> list[Sync]:
        """Return syncs, newest first receipt first."""
        return await self.read(lambda c: syncs.listed(c, connection, where, limit, after))

    async def received(self, connection: str, interview_id: str) -> list[InboundWebhook]:
        """Return what came in about one interview."""
        return await self.read(lambda c: inbox.of_interview(c, connection, interview_id))

    async def unreadable(
        self, connection: str, *, limit: int, before: int | None = None
    ) -> list[InboundWebhook]:
        """Return deliveries without an interview id."""
        return await self.read(lambda c: inbox.unreadable(c, connection, limit=limit, before=before))

    async def reread(self, found: Mapping[int, tuple[str | None, str]]) -> None:
        """Give unreadable deliveries back to the intake."""
        await self.write(lambda c: inbox.reread(c, found))

    async def due_reads(self, connections: Sequence[str], now: int, limit: int) -> list[Sync]:
        """Return syncs for which Koji must be read now."""
        return await self.read(lambda c: syncs.due_reads(c, connections, now, limit))

    async def next_due(self, stage: Stage, connections: Sequence[str]) -> int | None:
        """Return when the next sync of a stage is due."""
        return await self.read(lambda c: syncs.next_due(c, stage, connections))

    async def waiting(self, stage: Stage, connections: Sequence[str]) -> int:
        """Count the syncs in a stage."""
        return await self.read(lambda c: syncs.waiting(c, stage, connections))

    async def begin_send(
        self, lease: Lease, connections: Sequence[str], now: int, limit: int
    ) -> list[Outgoing]:
        """Take due syncs and mark them as being sent."""

        def work(c: Connection) -> list[Outgoing]:
            leases.fence(c, lease)
            return sending.begin_send(c, connections, now, limit)

        return await self.write(work)

    async def is_overtaken(self, connections: Sequence[str], sync: Sync) -> bool:
        """Tell whether a newer interview of the same user owns the user properties."""
        return bool(await self.read(lambda c: sending.overtaken(c, connections, [sync])))

    async def settle(
        self, lease: Lease, settlements: Sequence[Settlement], now: int, paced_until: int
    ) -> None:
        """Store what a send led to."""

        def work(c: Connection) -> None:
            leases.fence(c, lease, paced_until=paced_until)
            sending.settle(c, settlements, now)

        await self.write(work)

    async def recover_sends(self, lease: Lease, connections: Sequence[str], now: int) -> int:
        """Mark sends that a dead owner left behind."""

        def work(c: Connection) -> int:
            leases.fence(c, lease)
            return sending.recover_sends(c, connections, now)

        return await self.write(work)

    async def acquire(self, lane: str, owner: str, now: int, ttl: int) -> Lease | None:
        """Take a lane that nobody holds."""
        return await self.write(lambda c: leases.acquire(c, lane, owner, now, ttl))

    async def renew(self, lease: Lease, now: int, ttl: int) -> Lease | None:
        """Prolong a lease."""
        return await self.write(lambda c: leases.renew(c, lease, now, ttl))

    async def release(self, lease: Lease) -> None:
        """Give a lane back."""
        await self.write(lambda c: leases.release(c, lease))

    async def pause(self, lane: str, until: int, code: str, words: str) -> None:
        """Let a lane rest."""
        await self.write(lambda c: leases.pause(c, lane, until, code, words))

    async def resume(self, lane: str) -> bool:
        """End a pause."""
        return await self.write(lambda c: leases.resume(c, lane))

    async def pauses(self) -> list[Pause]:
        """Return the lanes that rest."""
        return await self.read(leases.pauses)

    async def take_call(self, key: str, now: int, interval: int, *, interactive: bool) -> int:
        """Take one call of a key's budget."""
        return await self.write(lambda c: rate_limit.take(c, key, now, interval, interactive=interactive))

    async def create_run(
        self, run_id: str, connection: str, operation: str, interview_ids: Sequence[str], now: int
    ) -> None:
        """Store a run over many interviews."""
        await self.write(lambda c: runs.create(c, run_id, connection, operation, interview_ids, now))

    async def run_progress(self, run_id: str) -> RunProgress | None:
        """Return how far a run is."""
        return await self.read(lambda c: runs.progress(c, run_id))

    async def release_backfills(self, now: int) -> int:
        """Let held syncs go whose whole backfill was read."""
        return await self.write(lambda c: runs.release_backfills(c, now))

    async def totals(self, connection: str) -> dict[tuple[str, str], int]:
        """Return the counters of a connection."""
        return await self._reader.glance(lambda c: counters.totals(c, connection))

    async def note(self, connection: str, kind: str, detail: Mapping[str, Any], now: int, keep: int) -> None:
        """Remember something for diagnostics."""
        await self.write(lambda c: diagnostics.add(c, connection, kind, detail, now, keep))

    async def notes(self, connection: str, kind: str, since: int) -> list[Note]:
        """Return notes, newest first."""
        return await self.read(lambda c: diagnostics.since(c, connection, kind, since))

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Store that an operation begins; return the number of its entry."""
        return await self.write(lambda c: audit.begin(c, entry))

    async def end_audit(self, number: int, outcome: str, touched: dict[str, str], now: int) -> None:
        """Store how an operation ended."""
        await self.write(lambda c: audit.end(c, number, outcome, touched, now))

    async def audited(self, connection: str, where: AuditFilter, limit: int) -> list[AuditEntry]:
        """Return entries of the audit log, newest first."""
        return await self.read(lambda c: audit.listed(c, connection, where, limit))

    async def latest_webhook(self, connection: str) -> InboundWebhook | None:
        """Return the newest accepted webhook."""
        return await self.read(lambda c: inbox.latest_webhook(c, connection))

    async def claim_answer(self, scope: str, key: str, digest: str, now: int) -> Claim:
        """Claim an idempotency key, or tell its standing."""
        # hashed, because people build both from names and addresses
        key, digest = self.hash_user(key), self.hash_user(digest)
        return await self.write(lambda c: idempotency.claim(c, scope, key, digest, now))

    async def store_answer(
        self, scope: str, key: str, token: str | None, status: int, body: str, now: int
    ) -> None:
        """Store the answer of a claim."""
        hashed = self.hash_user(key)
        await self.write(lambda c: idempotency.store(c, scope, hashed, token, status, body, now))

    async def release_answer(self, scope: str, key: str, token: str | None) -> None:
        """Give a claim back unanswered."""
        hashed = self.hash_user(key)
        await self.write(lambda c: idempotency.release(c, scope, hashed, token))

    async def create_token(self, token: Token) -> bool:
        """Store a named token; False when its name was ever used."""
        return await self.write(lambda c: tokens.create(c, token))

    async def find_token(self, sha256: str) -> Token | None:
        """Return the token of a digest, revoked or not."""
        return await self._reader.glance(lambda c: tokens.by_digest(c, sha256))

    async def tokens(self) -> list[Token]:
        """Return all named tokens by name."""
        return await self.read(tokens.listed)

    async def revoke_token(self, name: str, now: int) -> bool:
        """End a token; False when there is none of that name."""
        return await self.write(lambda c: tokens.revoke(c, name, now))

    async def prune(self, before: int, now: int) -> int:
        """Remove what is older than `before`, in chunks that let others write in between."""
        total = 0
        for remove in (
            lambda c: inbox.prune(c, before, _PRUNE_CHUNK),
            lambda c: retention.prune_syncs(c, before, now, _PRUNE_CHUNK),
            lambda c: retention.prune_invitations(c, before, now, _PRUNE_CHUNK),
            lambda c: retention.prune_launches(c, before, _PRUNE_CHUNK),
            lambda c: cohort_inbox.prune(c, before, _PRUNE_CHUNK),
        ):
            while removed := await self.write(remove):
                total += removed
        while await self.write(lambda c: events.prune(c, before, _PRUNE_CHUNK)):
            pass
        await self.write(lambda c: runs.prune(c, before))
        await self.write(lambda c: diagnostics.prune(c, now - _NOTES_KEPT))
        await self.write(lambda c: idempotency.prune(c, now))
        if total and not await asyncio.to_thread(empty_log, self._url):
            self.empty_log()
        return total

    def empty_log(self) -> None:
        """Let what was erased leave SQLite's log too, soon: who reads the files must not find it there."""
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._empty_log(), name="empty log")

    async def _empty_log(self) -> None:
        emptied = False
        while not emptied:
            await asyncio.sleep(_LOG_KEPT)  # what is erased meanwhile goes along
            emptied = await asyncio.to_thread(empty_log, self._url)


async def open_book(database_url: str, seal: secrets.Seal, unseal: secrets.Open) -> Book:
    """Open the book behind a URL, upgraded to this version's schema.

    Raises `SettingsError` for a database that this program cannot use.
    """
    await asyncio.to_thread(migrations.migrate, database_url)
    book = Book(database_url)
    try:
        await book.obtain_keys(seal, unseal)
    except BaseException:
        with suppress(Exception):
            await book.close()
        raise
    return book
