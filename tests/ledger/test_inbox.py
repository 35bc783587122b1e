"""What the ledger promises about what comes in, on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.errors import Conflict, LedgerUnavailable
from connector.ledger.db import writer
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW, a_sync, a_webhook

pytestmark = pytest.mark.contract


async def test_many_at_once_are_all_stored_before_they_are_answered(
    ledger: Ledger, other_ledger: Ledger
) -> None:
    async def accept(number: int) -> tuple[bool, int]:
        fresh = await ledger.inbox.accept(a_webhook(f"int_{number}"))
        return fresh, len(await other_ledger.inbox.received("default", f"int_{number}"))

    assert await asyncio.gather(*map(accept, range(200))) == [(True, 1)] * 200


async def test_every_column_comes_back(ledger: Ledger) -> None:
    given = a_webhook(webhook_id="msg_1", header="x-koji-signature", scheme="timestamped", signed_at=NOW - 5)
    await ledger.inbox.accept(given)
    [stored] = await ledger.inbox.take_new(["default"], 10)
    assert stored == given._replace(id=stored.id, digest=ledger.keyed_hash(given.digest or ""))
    assert await ledger.inbox.latest_webhook("default") == stored
    assert await ledger.inbox.latest_webhook("other") is None


async def test_known_by_digest_or_webhook_id_in_one_group_and_across_groups(ledger: Ledger) -> None:
    first = a_webhook(webhook_id="msg_1")
    group = [
        first,
        first,
        a_webhook(webhook_id="msg_1"),
        first._replace(webhook_id="msg_2"),
        a_webhook(webhook_id="msg_3"),
        first._replace(connection="other"),
    ]
    assert await asyncio.gather(*map(ledger.inbox.accept, group)) == [True, False, False, False, True, True]
    assert await asyncio.gather(*map(ledger.inbox.accept, group)) == [False] * 6
    assert len(await ledger.inbox.take_new(["default", "other"], 10)) == 3


async def test_what_carries_no_mark_is_never_a_duplicate(ledger: Ledger) -> None:
    plain = a_webhook(digest=None, source="call")
    assert await asyncio.gather(*(ledger.inbox.accept(plain) for _ in range(3))) == [True, True, True]


async def test_two_processes_agree_on_what_is_new(ledger: Ledger, other_ledger: Ledger) -> None:
    deliveries = [a_webhook(f"int_{number}") for number in range(100)]
    answers = await asyncio.gather(
        *map(ledger.inbox.accept, deliveries), *map(other_ledger.inbox.accept, reversed(deliveries))
    )
    assert sum(answers) == 100
    assert len(await ledger.inbox.take_new(["default"], 500)) == 100


async def test_taken_oldest_first_until_done(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.inbox.accept(a_webhook(f"int_{number}"))
    taken = await ledger.inbox.take_new(["default"], 3)
    assert [one.interview_id for one in taken] == ["int_0", "int_1", "int_2"]
    await ledger.syncs.revise([], lambda *_: [], done=[one.id for one in taken])
    assert [one.interview_id for one in await ledger.inbox.take_new(["default"], 3)] == ["int_3", "int_4"]


async def test_large_bodies_are_taken_a_few_at_a_time(ledger: Ledger) -> None:
    body = '{"words": "' + "é\\n" * 349_000 + '"}'
    for number in range(20):
        await ledger.inbox.accept(a_webhook(f"int_{number}", body=body, digest=f"{number}"))
    taken = await ledger.inbox.take_new(["default"], 500)
    assert 1 <= len(taken) < 20
    assert taken[0].body == body


async def test_texts_that_a_database_cannot_hold(ledger: Ledger) -> None:
    odd = a_webhook(event="a\0b", webhook_id="half \ud83d", scheme="whole \U0001f600", body="\udc00 \0 é")
    assert await ledger.inbox.accept(odd)
    assert not await ledger.inbox.accept(odd)
    [stored] = await ledger.inbox.take_new(["default"], 10)
    assert (stored.event, stored.webhook_id) == ("a\ufffdb", "half \ufffd")
    assert (stored.scheme, stored.body) == ("whole \U0001f600", "\ufffd \ufffd é")


async def test_a_failing_piece_of_work_does_not_undo_its_group(ledger: Ledger) -> None:
    def refuse(_: Any, __: People) -> list[Any]:
        raise Conflict("no")

    results = await asyncio.gather(
        ledger.inbox.accept(a_webhook("int_1")),
        ledger.syncs.revise([], refuse),
        ledger.inbox.accept(a_webhook("int_2")),
        ledger.syncs.revise([("default", "int_3")], lambda *_: [a_sync("int_3")]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [bool, Conflict, bool, list]
    assert len(await ledger.inbox.take_new(["default"], 10)) == 2
    stored = await ledger.syncs.find("default", "int_3")
    assert stored is not None
    assert stored._replace(respondent=None) == a_sync("int_3")
    assert await ledger.counters.totals("default") == {("pending", ""): 1}


async def test_a_full_queue_refuses_deliveries_and_nothing_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_LIMIT", 3)
    results = await asyncio.gather(
        *(ledger.inbox.accept(a_webhook(f"int_{number}")) for number in range(5)),
        ledger.leases.acquire("lane", "me", NOW, 1_000),
        return_exceptions=True,
    )
    assert results[:3] == [True, True, True]
    assert [type(result) for result in results[3:5]] == [LedgerUnavailable, LedgerUnavailable]
    assert results[5] is not None
    assert await ledger.inbox.accept(a_webhook("int_9"))


async def test_a_queue_of_long_bodies_is_full_early(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_SIZE", 1_000)
    long = [a_webhook(body=f"{number}" * 1_000) for number in range(2)]
    results = await asyncio.gather(*map(ledger.inbox.accept, long), return_exceptions=True)
    assert [type(result) for result in results] == [bool, LedgerUnavailable]
    assert await ledger.inbox.accept(long[1])


async def test_close_finishes_what_is_queued_and_refuses_the_rest(
    ledger: Ledger, other_ledger: Ledger
) -> None:
    queued = [asyncio.ensure_future(ledger.inbox.accept(a_webhook(f"int_{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    await ledger.close()
    assert await asyncio.gather(*queued) == [True] * 50
    assert len(await other_ledger.inbox.take_new(["default"], 100)) == 50
    with pytest.raises(LedgerUnavailable):
        await ledger.inbox.accept(a_webhook())
    with pytest.raises(LedgerUnavailable):
        await ledger.syncs.find("default", "int_1")


async def test_unreadable_ones_are_listed_and_given_back(ledger: Ledger) -> None:
    for number in range(3):
        await ledger.inbox.accept(a_webhook(None, body=f"{number}"))
    newest = await ledger.inbox.unreadable("default", limit=2)
    assert [one.body for one in newest] == ["2", "1"]
    assert [one.body for one in await ledger.inbox.unreadable("default", limit=2, before=newest[-1].id)] == [
        "0"
    ]
    assert await ledger.inbox.take_new(["default"], 10) == []
    await ledger.inbox.reread({newest[0].id: ("interview.completed", "int_7"), newest[1].id: (None, "int_8")})
    assert [(one.event, one.interview_id) for one in await ledger.inbox.take_new(["default"], 10)] == [
        (None, "int_8"),
        ("interview.completed", "int_7"),
    ]
    assert len(await ledger.inbox.unreadable("default", limit=10)) == 1


async def test_unreadable_ones_that_are_repeated_and_readable_by_now_are_taken(ledger: Ledger) -> None:
    first = a_webhook(webhook_id="msg_1")._replace(state="unreadable", interview_id=None, event=None)
    other = a_webhook("int_2", digest="d_2")._replace(state="unreadable", interview_id=None, body="{2}")
    assert [await ledger.inbox.accept(one) for one in (first, other)] == [True, True]
    again = first._replace(state="new", interview_id="int_1", event="interview.completed", digest="changed")
    assert [
        await ledger.inbox.accept(first),
        await ledger.inbox.accept(again),
        await ledger.inbox.accept(again),
    ] == [False] * 3
    [taken] = await ledger.inbox.take_new(["default"], 10)
    assert (taken.interview_id, taken.event) == ("int_1", "interview.completed")
    assert [one.body for one in await ledger.inbox.unreadable("default", limit=10)] == [other.body]
    await ledger.syncs.revise([], lambda *_: [], done=[taken.id])
    assert not await ledger.inbox.accept(again)
    assert await ledger.inbox.take_new(["default"], 10) == []


async def test_a_store_that_hangs_is_told_in_time_and_loses_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.ledger.db.writer.ACCEPT_SECONDS", 0.05)
    begun, held = threading.Event(), threading.Event()

    def hang(_: Mapping[tuple[str, str], Sync], __: People) -> list[Sync]:
        begun.set()
        held.wait(10)
        return []

    hanging = asyncio.ensure_future(ledger.syncs.revise([], hang))
    await asyncio.to_thread(begun.wait, 10)
    delivery = a_webhook()
    with pytest.raises(LedgerUnavailable) as told:
        await ledger.inbox.accept(delivery)
    assert told.value.retry_after
    with pytest.raises(LedgerUnavailable):
        await hanging
    with pytest.raises(LedgerUnavailable):  # at once
        await ledger.syncs.revise([], lambda *_: pytest.fail("it was refused"))
    held.set()
    await ledger.db.write(lambda _: None, patient=True)
    assert await ledger.inbox.accept(delivery) is False
    assert len(await ledger.inbox.received("default", "int_1")) == 1
