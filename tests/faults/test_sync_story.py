"""Interviews on their way to Amplitude: whatever happens in whatever order, each counts once or is parked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.faults.story import BOTH, LedgerUrls, Story, play
from tests.support import truth
from tests.support.fakes import Counted
from tests.support.outside import Trouble

pytestmark = pytest.mark.contract

INTERVIEWS = st.sampled_from([f"int-{n}" for n in range(4)])
PEOPLE = st.sampled_from([f"person-{n}@example.com" for n in range(6)])
ANSWERS = [
    *[Trouble()] * 8,
    Trouble(status=200, body={"code": 200, "events_ingested": 1}),
    Trouble(status=200, happens=False, body={"hello": "this is a proxy"}),
    Trouble(status=400, happens=False),
    Trouble(status=400, happens=False, body={"code": 400, "error": "Invalid API key: 1"}),
    Trouble(status=400, happens=False, body={"code": 400, "events_with_invalid_fields": {"time": [0]}}),
    Trouble(status=403, happens=False),
    Trouble(status=413, happens=False),
    Trouble(status=429, happens=False),
    Trouble(status=429, happens=False, body={"code": 429, "throttled_events": [0]}),
    *(Trouble(status, happens) for status in (408, 500, 502, 504, 0) for happens in (True, False)),
    Trouble(status=503, happens=False),
    Trouble(status=307, happens=False),
    *(Trouble(happens=happens, dies=True) for happens in (True, False)),
    *(Trouble(status, happens, oversleeps=True) for status, happens in ((200, True), (503, False))),
]
READS = [
    *[Trouble()] * 5,
    *(Trouble(status, happens=False) for status in (401, 402, 403, 404, 408, 429, 500, 503, 307, 0)),
    Trouble(dies=True),
    Trouble(oversleeps=True),
]


class SyncStory(Story):
    """Four interviews of six people."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.erased: set[str] = set()
        for number in range(4):
            self.bench.tell(f"int-{number}", **self.whole(f"person-{number}@example.com"))
        self.bench.drain("intake")

    def whole(self, person: str, **fields: Any) -> dict[str, Any]:
        return {
            "event": "interview.analysis_ready",
            "respondent_email": person,
            "themes": ["pricing"],
            "quality_score": 4.2,
            "completed_at": "2026-09-20T10:00:00Z",
            **fields,
        }

    @rule(
        interview=INTERVIEWS,
        person=PEOPLE,
        score=st.sampled_from([4.2, 4.2, 2.0]),
        trouble=st.none() | st.sampled_from(ANSWERS),
    )
    def webhook_that_says_all(
        self, interview: str, person: str, score: float, trouble: Trouble | None
    ) -> None:
        self.bench.tell(interview, **self.whole(person, quality_score=score))
        if trouble is not None:
            self.bench.drain("intake")
            self.bench.drain("amplitude", trouble)

    @rule(interview=INTERVIEWS)
    def webhook_that_says_little(self, interview: str) -> None:
        self.bench.tell(interview, event="interview.completed")

    @rule(interview=INTERVIEWS)
    def webhook_of_an_anonymous_interview(self, interview: str) -> None:
        self.bench.tell(interview, event="interview.analysis_ready", respondent_email=None)

    @rule(interview=INTERVIEWS, person=PEOPLE, is_ready=st.booleans())
    def koji_knows(self, interview: str, person: str, *, is_ready: bool) -> None:
        body = {"interview_id": interview, "status": "completed", **self.whole(person)}
        body["analysis_status"] = "completed" if is_ready else "processing"
        self.bench.koji.interviews[interview] = body if is_ready else {**body, "quality_score": None}

    @rule()
    def decide(self) -> None:
        self.bench.drain("intake")

    @rule(trouble=st.sampled_from(READS))
    def read(self, trouble: Trouble) -> None:
        self.bench.drain("koji", trouble)

    @rule(trouble=st.sampled_from(ANSWERS))
    def send(self, trouble: Trouble) -> None:
        self.bench.drain("amplitude", trouble)

    @rule(trouble=st.sampled_from(ANSWERS), interview=INTERVIEWS, person=PEOPLE, what=st.sampled_from("efaw"))
    def send_while_something_happens(self, trouble: Trouble, interview: str, person: str, what: str) -> None:
        async def meanwhile() -> None:
            match what:
                case "e":
                    await self.bench.called("forget_respondent", email=person)
                    self.keep_out(person)
                case "f" if self.bench.acknowledged:
                    self.bench.amplitude.forced.add(interview)
                    await self.bench.called("sync_interview_to_amplitude", interview_id=interview, force=True)
                case "a":
                    await self.bench.told(interview, event="interview.analysis_ready", respondent_email=None)
                case _:
                    await self.bench.told(interview, **self.whole(person))

        self.bench.drain("amplitude", trouble, meanwhile=meanwhile)

    @rule(interview=INTERVIEWS, force=st.booleans())
    def sync(self, interview: str, *, force: bool) -> None:
        if force:
            self.bench.amplitude.forced.add(interview)
        self.bench.call("sync_interview_to_amplitude", interview_id=interview, force=force)
        self.bench.acknowledged.add(interview)

    @rule(
        status=st.sampled_from(["failed", "skipped", "pending", "synced", "unreadable"]), force=st.booleans()
    )
    def replay(self, status: str, *, force: bool) -> None:
        if force:
            self.bench.amplitude.forced |= self.bench.acknowledged
        self.bench.call("replay_syncs", status=status, force=force)

    @rule(interviews=st.lists(INTERVIEWS, min_size=1, unique=True))
    def backfill(self, interviews: list[str]) -> None:
        self.bench.call("backfill_interviews", interview_ids=interviews)
        self.bench.acknowledged |= set(interviews)

    @rule()
    def run_on(self) -> None:
        self.bench.drain("runs")

    @rule(person=PEOPLE)
    def erase(self, person: str) -> None:
        self.bench.call("forget_respondent", email=person)
        self.keep_out(person)

    @rule()
    def erase_on(self) -> None:
        self.bench.drain("erasure")

    @rule(seconds=st.sampled_from([1, 61, 601, 7_200, 6 * 86_400, 8 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.bench.clock.advance(seconds)

    def keep_out(self, person: str) -> None:
        self.bench.amplitude.kept_out.add(person)
        self.erased.add(person)

    def at_the_end(self) -> None:
        bench = self.bench
        self.facts["interviews counted"] += bench.amplitude.counted.total()
        parked = bench.ask(truth.each_counts_once_or_is_parked, bench.amplitude.counted, bench.acknowledged)
        self.facts["interviews parked"] += parked
        bench.ask(truth.nothing_names, *self.erased)


def test_each_interview_counts_once_or_is_parked(ledger_urls: LedgerUrls, counted: Counted) -> None:
    counted(play(SyncStory, ledger_urls, stories=3, steps=25))


@pytest.mark.proof
@BOTH
def test_each_interview_counts_once_or_is_parked_in_many_stories(
    ledger_urls: LedgerUrls, counted: Counted
) -> None:
    counted(play(SyncStory, ledger_urls, stories=150, steps=40))
