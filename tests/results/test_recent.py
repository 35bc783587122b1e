"""What the intake need not read back."""

from __future__ import annotations

import pytest

from connector.ledger.results.inbox import Recent
from tests.support.fakes import a_webhook

pytestmark = pytest.mark.unit


def test_a_delivery_is_given_once() -> None:
    recent, delivery = Recent(), a_webhook()
    recent.keep(delivery)
    assert recent.take("default", delivery.digest) == delivery
    assert recent.take("default", delivery.digest) is None


def test_only_what_the_intake_will_ask_for_as_it_stands_on_disk_is_kept() -> None:
    recent = Recent()
    for delivery in (
        a_webhook(None),
        a_webhook(body="a\0b"),
        a_webhook(body="half \ud800"),
        a_webhook(state="done"),
    ):
        recent.keep(delivery)
        assert recent.take("default", delivery.digest) is None


def test_the_oldest_make_room() -> None:
    recent = Recent(room=250)
    deliveries = [a_webhook(f"int_{n}", body="x" * 100 + str(n)) for n in range(4)]
    for delivery in deliveries:
        recent.keep(delivery)
    kept = [recent.take("default", delivery.digest) is not None for delivery in deliveries]
    assert kept == [False, False, True, True]
    recent.keep(a_webhook(body="x" * 1_000))
    recent.keep(last := a_webhook(body="x"))
    assert recent.take("default", last.digest) == last
