"""Two transactions that write the same rows on PostgreSQL: one waits for the other, never each for the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from connector.ledger.db import migrations
from connector.ledger.db.dialect import TryAgainError, writer_engine
from connector.ledger.results import inbox, syncs
from tests.support.fakes import a_sync, a_webhook

pytestmark = [pytest.mark.contract, pytest.mark.postgres]
Work = Callable[[Connection], Any]
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class Transactions:
    """Transactions of several processes on one ledger; all are rolled back."""

    def __init__(self, url: str, pool: ThreadPoolExecutor) -> None:
        self._url = url
        self._pool = pool

    @contextmanager
    def open(self) -> Iterator[Connection]:
        engine = writer_engine(self._url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def begin(self, work: Work) -> Future[Any]:
        """Run work in a thread, and return what will come of it."""

        def run() -> Any:
            with self.open() as connection:
                return work(connection)

        return self._pool.submit(run)

    def rest(self, *works: Future[Any]) -> None:
        """Return when each of these has ended or waits for a lock."""
        end = time.monotonic() + 60
        with psycopg.connect(self._url, autocommit=True) as watching:
            while self._waiting(watching) < sum(not one.done() for one in works):
                assert time.monotonic() < end

    def _waiting(self, watching: psycopg.Connection[Any]) -> int:
        row = watching.execute(_WAITING).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def transactions(postgres_url: str) -> Iterator[Transactions]:
    migrations.migrate(postgres_url)
    with ThreadPoolExecutor() as pool:
        yield Transactions(postgres_url, pool)


DELIVERIES = [a_webhook(f"int_{number}", digest=f"digest {number}") for number in range(9)]
SYNCS = [a_sync(f"int_{number}") for number in range(9)]


@pytest.mark.parametrize(
    "insert",
    [
        pytest.param(lambda c, at: inbox.accept(c, [DELIVERIES[one] for one in at]), id="deliveries"),
        pytest.param(lambda c, at: syncs.save(c, {}, [SYNCS[one] for one in at]), id="syncs"),
    ],
)
def test_rows_go_in_in_the_order_of_their_keys(
    transactions: Transactions, insert: Callable[..., Any]
) -> None:
    up, down = list(range(9)), list(reversed(range(9)))
    # whoever inserts in an order of its own stops at the row in the middle, with the rows before it already in
    with transactions.open() as other:
        insert(other, [4])
        works = [transactions.begin(partial(insert, at=order)) for order in (up, down)]
        transactions.rest(*works)
    for work in works:
        work.result(60)


def test_ids_are_in_the_order_of_arrival(transactions: Transactions) -> None:
    arrived = [DELIVERIES[at] for at in (3, 7, 1, 8, 2)]
    with transactions.open() as connection:
        assert inbox.accept(connection, [DELIVERIES[7]]) == [True]
        assert inbox.accept(connection, arrived) == [True, False, True, True, True]
        stored = inbox.new_webhooks(connection, ["default"], 10)
        assert [digest for _, _, digest in stored] == [f"digest {at}" for at in (7, 3, 1, 8, 2)]


def test_of_two_bodies_under_one_webhook_id_the_first_is_stored(transactions: Transactions) -> None:
    bodies = [DELIVERIES[at]._replace(webhook_id="msg_1") for at in (5, 2, 8)]
    with transactions.open() as connection:
        with pytest.raises(TryAgainError):  # the writer then stores each alone, in the order of arrival
            inbox.accept(connection, bodies)
        assert [inbox.accept(connection, [body]) for body in bodies] == [[True], [False], [False]]
