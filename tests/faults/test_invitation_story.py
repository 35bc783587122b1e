"""Invitations and their starts: whatever happens in whatever order, each person is started once, and paid once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import Connection, select

from connector.ledger.db.schema.launches import invitation, launch
from connector.security.opt_out_token import OptOut
from tests.faults.story import BOTH, LedgerUrls, Story, play
from tests.support import truth
from tests.support.fakes import Counted
from tests.support.outside import Trouble

pytestmark = pytest.mark.contract

PEOPLE = st.integers(0, 5)
COHORTS = st.lists(PEOPLE, min_size=1, max_size=4, unique=True)
STARTS = [
    *[Trouble()] * 4,
    *(Trouble(status, happens=False) for status in (400, 401, 402, 403, 404, 409, 429, 503, 307)),
    *(Trouble(status, happens) for status in (303, 408, 500, 502, 504, 0) for happens in (True, False)),
    *(Trouble(happens=happens, dies=True) for happens in (True, False)),
    *(
        Trouble(status, happens, oversleeps=True)
        for status, happens in ((200, True), (400, False), (503, False), (0, True))
    ),
]
PRICE = 1  # of a text interview


def email(number: int) -> str:
    return f"person-{number}@example.com"


def row(number: int) -> dict[str, str]:
    return {"user_id": f"user-{number}", "email": email(number)}


def in_states(c: Connection, *states: str) -> list[str]:
    query = select(invitation.c.id).where(invitation.c.state.in_(states)).order_by(invitation.c.id)
    return list(c.execute(query).scalars())


def launches(c: Connection, *states: str) -> list[str]:
    query = select(launch.c.id).where(launch.c.status.in_(states)).order_by(launch.c.created_at, launch.c.id)
    return list(c.execute(query).scalars())


class InvitationStory(Story):
    """Launches over six people."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.plans: list[str] = []
        self.retried: Counter[str] = Counter()
        self.bench.call("launch_cohort_interviews", members=list(map(row, range(4))), mode="text")

    @rule(cohort=COHORTS)
    def plan(self, cohort: list[int]) -> None:
        made = self.bench.call("plan_cohort_launch", members=list(map(row, cohort)), mode="text")
        self.plans.append(made.plan_token)

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.plans))
        self.bench.call("launch_cohort_interviews", plan_token=token)

    @rule(cohort=COHORTS, trouble=st.none() | st.sampled_from(STARTS))
    def launch(self, cohort: list[int], trouble: Trouble | None) -> None:
        self.bench.call("launch_cohort_interviews", members=list(map(row, cohort)), mode="text")
        if trouble is not None:
            self.bench.drain("koji", trouble)

    @rule(person=PEOPLE)
    def start_one(self, person: int) -> None:
        self.bench.call("start_interview", **row(person), mode="text")

    @rule(trouble=st.sampled_from(STARTS))
    def start(self, trouble: Trouble) -> None:
        self.bench.drain("koji", trouble)

    @rule(trouble=st.sampled_from([Trouble(), *STARTS]), person=PEOPLE, what=st.sampled_from("ceorb"))
    def start_while_something_happens(self, trouble: Trouble, person: int, what: str) -> None:
        async def meanwhile() -> None:
            match what:
                case "c":
                    for one in await self.bench.ledger.db.read(lambda c: launches(c, "running", "paused")):
                        await self.bench.called("cancel_launch", launch_id=one)
                case "e":
                    await self.bench.called("forget_respondent", **row(person))
                    self.bench.koji.kept_out.add(email(person))
                case "o":
                    await self.says_no(person)
                case "b" if trouble.happens:
                    await self.comes_back_now(-1)
                case _:
                    for one in await self.bench.ledger.db.read(lambda c: launches(c, "paused")):
                        await self.bench.called("resume_launch", launch_id=one)

        self.bench.drain("koji", trouble, meanwhile=meanwhile)

    @precondition(lambda self: self.bench.koji.interviews)
    @rule(which=st.integers(0, 20), how=st.sampled_from(["whole", "whole", "active", "anonymous"]))
    def comes_back(self, which: int, how: str) -> None:
        self.bench.run(self.comes_back_now(which, how))

    async def comes_back_now(self, which: int, how: str = "whole") -> None:
        """Let Koji tell of one of the interviews that were started with it."""
        bodies = list(self.bench.koji.interviews.values())
        body = bodies[which % len(bodies)]
        said = {"external_id": body["external_id"], "completed_at": "2026-09-20T10:00:00Z"}
        if how == "anonymous":
            said["respondent_email"] = None
        elif how == "whole":
            said |= {"themes": ["pricing"], "quality_score": 4.2}
        event = "interview.started" if how == "active" else "interview.analysis_ready"
        await self.bench.told(body["interview_id"], event=event, **said)

    @rule(kind=st.sampled_from(["intake", "amplitude", "erasure", "launches", "waves"]))
    def work_on(self, kind: str) -> None:
        self.bench.drain(kind)

    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        if known := self.bench.ask(launches, "planned", "running", "paused", "finished"):
            self.bench.call("cancel_launch", launch_id=known[which % len(known)])

    @rule(which=st.integers(0, 20), in_doubt=st.sampled_from([None, "retry", "give_up"]))
    def resume(self, which: int, in_doubt: str | None) -> None:
        if known := self.bench.ask(launches, "running", "paused", "finished", "cancelled"):
            if in_doubt == "retry":  # the caller takes it on them that Koji may start these once more
                self.retried.update(self.bench.ask(truth.in_doubt))
            self.bench.call("resume_launch", launch_id=known[which % len(known)], in_doubt=in_doubt)

    @rule(person=PEOPLE)
    def opt_out(self, person: int) -> None:
        self.bench.run(self.says_no(person))

    async def says_no(self, person: int) -> None:
        """Let a person say no, as their link does once it was checked."""
        ledger = self.bench.ledger
        query = select(invitation.c.id, invitation.c.register).where(invitation.c.email == email(person))
        if rows := await ledger.db.read(lambda c: c.execute(query).all()):
            await ledger.register.opt_out(OptOut(*rows[0]), self.bench.clock.now())
            self.bench.koji.kept_out.add(email(person))

    @rule(person=PEOPLE)
    def erase(self, person: int) -> None:
        self.bench.call("forget_respondent", **row(person))
        self.bench.koji.kept_out.add(email(person))

    @rule(seconds=st.sampled_from([1, 61, 601, 4_000, 30_000, 86_400, 8 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.bench.clock.advance(seconds)

    def at_the_end(self) -> None:
        bench = self.bench
        for person, n in bench.koji.started.items():
            assert n <= 1 + self.retried[person], f"{person} was started {n} times"
        spent = bench.ask(truth.spent)
        assert spent == PRICE * bench.koji.charged
        for state in ("waiting", "sending"):
            assert not bench.ask(in_states, state)
        self.facts["people started"] += len(bench.koji.started)
        self.facts["starts in doubt"] += len(bench.ask(in_states, "in_doubt"))
        self.facts["credits spent"] += spent


def test_each_person_is_started_and_paid_once(ledger_urls: LedgerUrls, counted: Counted) -> None:
    counted(play(InvitationStory, ledger_urls, stories=3, steps=25))


@pytest.mark.proof
@BOTH
def test_each_person_is_started_and_paid_once_in_many_stories(
    ledger_urls: LedgerUrls, counted: Counted
) -> None:
    counted(play(InvitationStory, ledger_urls, stories=150, steps=40))
