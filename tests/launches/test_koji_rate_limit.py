"""Which of Koji's calls count against the key's rate limit, how long each waits for it, and what a caller is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import pytest

from connector.domain.launches.launch import KojiStart
from connector.errors import (
    ConnectorError,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamUnavailable,
)
from connector.koji.client import KojiClient
from connector.koji.rate_limit import RateLimitedKoji
from connector.ledger.ledger import Ledger
from tests.support.fakes import NOW, FakeKoji, ManualClock

pytestmark = pytest.mark.contract

PER_MINUTE = 20
INTERVAL = 3_050
PATIENCE = 8.0


class RefusingKoji(FakeKoji):
    """Refuses whatever is asked."""

    def __init__(self, refusal: Exception) -> None:
        super().__init__(answers=[refusal])
        self.refusal = refusal

    async def read(
        self, interview_id: str, *, patience: float | None = None, fresh: bool = False
    ) -> Mapping[str, Any]:
        raise self.refusal

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> Mapping[str, Any]:
        raise self.refusal


class SilentKoji(FakeKoji):
    """Never answers a complete."""

    async def complete(
        self, interview_id: str, session_token: str, reason: str, *, patience: float | None = None
    ) -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError


def budgeted(calls: FakeKoji, ledger: Ledger, clock: ManualClock) -> RateLimitedKoji:
    return RateLimitedKoji(
        cast("KojiClient", calls), partial(ledger.rate_limit.take, "koji:1"), clock, per_minute=PER_MINUTE
    )


async def test_turns_stand_an_interval_apart(ledger: Ledger, clock: ManualClock) -> None:
    koji = budgeted(FakeKoji(), ledger, clock)
    for _ in range(4):
        await koji.turn()
    assert clock.now() == NOW + 3 * INTERVAL


async def test_turns_of_two_processes_are_of_one_budget(
    ledger: Ledger, other_ledger: Ledger, clock: ManualClock
) -> None:
    await budgeted(FakeKoji(), ledger, clock).turn()
    await budgeted(FakeKoji(), other_ledger, clock).turn()
    assert clock.now() == NOW + INTERVAL


async def test_a_start_takes_nothing_beside_its_turn(ledger: Ledger, clock: ManualClock) -> None:
    calls = FakeKoji(answers=[KojiStart("int-a", "st-a", "https://a")])
    koji = budgeted(calls, ledger, clock)
    await koji.turn()
    bodies = [{"mode": "text"}, {"mode": "voice"}]
    told = [await koji.start(body) for body in bodies]
    assert told == [KojiStart("int-a", "st-a", "https://a"), KojiStart("int_2", "st_2", None)]
    assert calls.starts == bodies
    assert clock.now() == NOW
    await koji.turn()
    assert clock.now() == NOW + INTERVAL


async def test_a_complete_takes_one_call(ledger: Ledger, clock: ManualClock) -> None:
    calls = FakeKoji()
    koji = budgeted(calls, ledger, clock)
    await koji.turn()
    told = await koji.complete("int-1", "st-1", "timeout")
    assert told == {"interview_id": "int-1", "status": "completed"}
    assert calls.completed == [("int-1", "st-1", "timeout")]
    assert clock.now() == NOW + INTERVAL


async def test_completes_are_never_shared_as_reads_are(ledger: Ledger, clock: ManualClock) -> None:
    calls = FakeKoji()
    koji = budgeted(calls, ledger, clock)
    await asyncio.gather(*(koji.complete("int-1", "st-1", "manual") for _ in range(2)))
    assert len(calls.completed) == 2


async def test_reads_within_two_seconds_are_one_call_but_for_a_fresh_one(
    ledger: Ledger, clock: ManualClock
) -> None:
    calls = FakeKoji(interviews={"int-1": {"interview_id": "int-1"}})
    koji = budgeted(calls, ledger, clock)
    for patience in (None, 60, None):
        await koji.read("int-1", patience=patience)
    assert len(calls.reads) == 1
    await koji.read("int-1", patience=60, fresh=True)
    assert len(calls.reads) == 2


async def test_an_interactive_complete_leaves_half_to_the_lanes(ledger: Ledger, clock: ManualClock) -> None:
    calls = FakeKoji()
    koji = budgeted(calls, ledger, clock)
    await koji.complete("int-1", "st-1", "manual", patience=PATIENCE)
    await koji.complete("int-2", "st-2", "manual", patience=PATIENCE)
    assert clock.now() == NOW + 2 * INTERVAL
    await koji.turn()
    assert clock.now() == NOW + 3 * INTERVAL


async def test_a_complete_waits_no_longer_than_its_caller(ledger: Ledger, clock: ManualClock) -> None:
    calls = FakeKoji()
    koji = budgeted(calls, ledger, clock)
    await koji.complete("int-1", "st-1", "manual", patience=6.0)
    with pytest.raises(UpstreamUnavailable) as raised:
        await koji.complete("int-2", "st-2", "manual", patience=6.0)
    assert (raised.value.reason, raised.value.retry_after) == ("koji_budget", 7)
    assert [interview_id for interview_id, _, _ in calls.completed] == ["int-1"]
    assert clock.now() == NOW


async def test_a_complete_that_koji_does_not_answer_ends_in_time(ledger: Ledger, clock: ManualClock) -> None:
    with pytest.raises(UpstreamUnavailable) as raised:
        await budgeted(SilentKoji(), ledger, clock).complete("int-1", "st-1", "manual", patience=0.2)
    assert (raised.value.reason, raised.value.retry_after) == ("upstream_unavailable", 5)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (CredentialsRejected("The key.", code="koji_key"), "credentials_rejected"),
        (CredentialsRejected("The permission.", code="koji_permission"), "credentials_rejected"),
        (CredentialsRejected("One of the two.", code="koji_session"), "koji_session"),
        (UpstreamRejected("The credits.", code="koji_credits"), "upstream_refused"),
        (UpstreamRejected("The address.", code="koji_redirect"), "upstream_refused"),
        (NotFound("Not there.", code="not_found_in_koji"), "not_found_in_koji"),
        (UpstreamUnavailable("Later.", retry_after=9), "upstream_unavailable"),
    ],
    ids=lambda value: value.reason if isinstance(value, ConnectorError) else None,
)
async def test_a_caller_knows_few_codes_and_a_lane_all(
    ledger: Ledger, clock: ManualClock, refusal: ConnectorError, code: str
) -> None:
    koji = budgeted(RefusingKoji(refusal), ledger, clock)
    for patience, known in ((PATIENCE, code), (None, refusal.reason)):
        for call in (
            koji.read("int-1", patience=patience),
            koji.complete("int-1", "st-1", "manual", patience=patience),
        ):
            with pytest.raises(type(refusal)) as raised:
                await call
            assert raised.value.reason == known
            assert raised.value.message == refusal.message
            assert raised.value.retry_after == refusal.retry_after


async def test_what_a_start_raises_is_told_as_it_is(ledger: Ledger, clock: ManualClock) -> None:
    refusal = OutcomeUnknown("Cut.")
    with pytest.raises(OutcomeUnknown) as raised:
        await budgeted(RefusingKoji(refusal), ledger, clock).start({})
    assert raised.value is refusal
