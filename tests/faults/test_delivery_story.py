"""Deliveries to hooks: whatever happens in whatever order, each event reaches each subscriber, or is given up late."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import Connection, select

from connector.domain.events.event import EventType, Hook
from connector.ledger.db.schema.events import event, hook, hook_delivery
from connector.workers.events.delivery import GIVE_UP_AFTER
from tests.faults.story import BOTH, LedgerUrls, Story, play
from tests.support.fakes import Counted
from tests.support.outside import Trouble

pytestmark = pytest.mark.contract

ANSWERS = [
    *[Trouble()] * 3,
    *(Trouble(status, happens=False) for status in (301, 400, 401, 404, 429, 500, 503)),
    Trouble(410, happens=False),
    Trouble(0),
    Trouble(0, happens=False),
    *(Trouble(happens=happens, dies=True) for happens in (True, False)),
    *(Trouble(status, happens, oversleeps=True) for status, happens in ((200, True), (500, False))),
]
OF_INTERVIEWS = (EventType.INTERVIEW_SYNCED, EventType.INTERVIEW_SKIPPED)
KINDS = st.sampled_from(OF_INTERVIEWS)


def deliveries(c: Connection) -> list[tuple[int, str, str, str, int, int]]:
    """Return number, message, state, outcome, tries and event's time of every delivery."""
    of_hook = hook_delivery.join(event, event.c.number == hook_delivery.c.event_number)
    of_hook = of_hook.join(hook, hook.c.id == hook_delivery.c.hook_id)
    name = hook.c.target_url + " " + event.c.id
    columns = hook_delivery.c.number, name, hook_delivery.c.state, hook_delivery.c.outcome
    query = select(*columns, hook_delivery.c.tries, event.c.at).select_from(of_hook)
    return [tuple(one) for one in c.execute(query.order_by(hook_delivery.c.number))]


class DeliveryStory(Story):
    """Interviews whose outcomes are told to subscribers."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.interviews = 0
        self.delivered: dict[int, int] = {}
        for kind in OF_INTERVIEWS:
            self.subscribed(0, kind)

    @rule(which=st.integers(1, 2), kind=KINDS)
    def subscribe(self, which: int, kind: EventType) -> None:
        self.subscribed(which, kind)

    def subscribed(self, which: int, kind: EventType) -> None:
        url, now = f"https://hooks.example.com/{which}", self.bench.clock.now()
        new = Hook(f"hook-{which}-{kind}-{now}", "default", kind, url, now)
        self.bench.run(self.bench.ledger.hooks.subscribe(new, "whsec_" + "a" * 32))

    @rule(which=st.integers(1, 2))
    def unsubscribe(self, which: int) -> None:
        url = f"https://hooks.example.com/{which}"
        self.bench.run(self.bench.ledger.hooks.unsubscribe(["default"], hook_id=None, target_url=url))

    @rule(is_skipped=st.booleans(), trouble=st.none() | st.sampled_from(ANSWERS))
    def interview_ends(self, *, is_skipped: bool, trouble: Trouble | None) -> None:
        self.interviews += 1
        said = {"quality_score": 2.0 if is_skipped else 4.2, "themes": ["pricing"]}
        self.bench.tell(
            f"int-{self.interviews}",
            event="interview.analysis_ready",
            respondent_email=f"person-{self.interviews}@example.com",
            completed_at="2026-09-20T10:00:00Z",
            **said,
        )
        self.bench.drain("intake")
        self.bench.drain("amplitude")
        if trouble is not None:
            self.deliver(trouble)

    @rule(trouble=st.sampled_from(ANSWERS))
    def deliver_on(self, trouble: Trouble) -> None:
        self.deliver(trouble)

    def deliver(self, trouble: Trouble) -> None:
        self.bench.drain("hooks", trouble)
        self.nothing_stored_as_delivered_is_sent_again()

    @rule(trouble=st.sampled_from(ANSWERS), number=st.integers(0, 20), what=st.sampled_from("eur"))
    def deliver_while_something_happens(self, trouble: Trouble, number: int, what: str) -> None:
        async def meanwhile() -> None:
            hooks = self.bench.ledger.hooks
            match what:
                case "e":
                    person = f"person-{number % max(1, self.interviews)}@example.com"
                    await self.bench.called("forget_respondent", email=person)
                case "u":
                    url = f"https://hooks.example.com/{1 + number % 2}"
                    await hooks.unsubscribe(["default"], hook_id=None, target_url=url)
                case _:
                    for one in await hooks.listed(["default"], None):
                        await hooks.replay(["default"], one.id, self.bench.clock.now())

        self.bench.drain("hooks", trouble, meanwhile=meanwhile)
        self.nothing_stored_as_delivered_is_sent_again()

    @precondition(lambda self: self.interviews)
    @rule()
    def replay_all(self) -> None:
        async def replay() -> None:
            for one in await self.bench.ledger.hooks.listed(["default"], None):
                await self.bench.ledger.hooks.replay(["default"], one.id, self.bench.clock.now())

        self.bench.run(replay())

    @rule(seconds=st.sampled_from([1, 20, 601, 20_000, 86_400, 4 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.bench.clock.advance(seconds)

    def nothing_stored_as_delivered_is_sent_again(self) -> None:
        """Compare how often each message arrived with what was known when it was stored as delivered."""
        now = self.bench.clock.now()
        for number, name, state, outcome, tries, at in self.bench.ask(deliveries):
            if state == "delivered":
                arrived = self.bench.subscriber.got[name]
                assert arrived >= 1, "what did not arrive is stored as delivered"
                assert self.delivered.setdefault(number, arrived) == arrived, "it was sent again"
            elif state == "failed":
                assert tries, outcome
                assert now - at >= GIVE_UP_AFTER // 2

    def at_the_end(self) -> None:
        self.nothing_stored_as_delivered_is_sent_again()
        found = self.bench.ask(deliveries)
        assert {state for _, _, state, *_ in found} <= {"delivered", "failed"}
        self.facts["events delivered"] += sum(state == "delivered" for _, _, state, *_ in found)
        self.facts["given up"] += sum(state == "failed" for _, _, state, *_ in found)


def test_each_event_reaches_each_subscriber(ledger_urls: LedgerUrls, counted: Counted) -> None:
    counted(play(DeliveryStory, ledger_urls, stories=3, steps=25))


@pytest.mark.proof
@BOTH
def test_each_event_reaches_each_subscriber_in_many_stories(
    ledger_urls: LedgerUrls, counted: Counted
) -> None:
    counted(play(DeliveryStory, ledger_urls, stories=150, steps=40))
