"""Whatever is heard in whatever order: nobody is unmasked, nothing counts twice, nothing is stuck."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr

from connector.domain.results.anonymity import is_anonymous_or_erased, without_person
from connector.domain.results.decision import Verdict, decide
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation, merge
from connector.domain.results.replay import replay
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance
from connector.settings.model import Connection
from connector.settings.rules import sync_rules

pytestmark = pytest.mark.unit

NAMES = ("ada@example.com", "grace@example.com", "user-one")
CONNECTION = Connection(
    koji_api_key=SecretStr("koji-key"),
    amplitude_api_key=SecretStr("amplitude-key"),
    koji_project_id="ours",
    connector_trust_external_id=True,
)
INTERVIEWS = st.builds(
    Interview,
    st.just("int_1"),
    ready=st.booleans(),
    analysis_status=st.sampled_from([None, None, None, "failed", "processing", "completed"]),
    anonymous=st.sampled_from([False, False, False, False, True]),
    failed_quality_gate=st.sampled_from([False, False, True]),
    email_given=st.just(value=False),
    external_id=st.sampled_from([None, None, NAMES[2]]),
    themes=st.sampled_from([None, (), ("pricing",), ("slow import", "docs")]),
    quality_score=st.sampled_from([None, 2, 4, 4.5]),
    completed_at=st.sampled_from([None, 1_000, 2_000]),
    occurred_at=st.sampled_from([None, 1_500, 2_500]),
    project_id=st.sampled_from([None, "ours", "ours", "theirs"]),
    analysis=st.sampled_from([None, {"summary": "Short."}]),
    suppressed=st.just(value=False),
).flatmap(
    lambda one: st.sampled_from(
        [
            one,
            one._replace(email_given=True),
            one._replace(email_given=True, respondent_email=NAMES[0]),
            one._replace(email_given=True, respondent_email=NAMES[0]),
            one._replace(email_given=True, respondent_email=NAMES[1]),
            one._replace(email_given=True, respondent_email="none"),
        ]
    )
)
WHOLE = Interview(
    "int_1",
    ready=True,
    email_given=True,
    respondent_email=NAMES[0],
    themes=("pricing",),
    quality_score=4,
    project_id="ours",
)


def hash_user(user_id: str) -> str:
    return f"hash-{NAMES.index(user_id) if user_id in NAMES else 'other'}"


PEOPLE = People(hash_user, lambda _, alias: len(alias))


@given(INTERVIEWS, INTERVIEWS, INTERVIEWS)
def test_merge_is_idempotent_and_never_takes_back_a_mark(
    one: Interview, two: Interview, three: Interview
) -> None:
    merged = merge(merge(merge(None, one), two), three)
    assert merge(merged, three) == merged
    assert merged.anonymous == any(heard.anonymous for heard in (one, two, three))
    if merged.anonymous:
        assert merged.respondent_email is merged.external_id is None


@given(INTERVIEWS, INTERVIEWS)
def test_merge_keeps_what_the_other_does_not_tell(one: Interview, two: Interview) -> None:
    merged = merge(merge(None, one), two)
    assert merged.quality_score == (one.quality_score if two.quality_score is None else two.quality_score)
    assert merged.themes == (two.themes or one.themes or (two.themes if one.themes is None else one.themes))
    assert merged.occurred_at == min((at for at in (one.occurred_at, two.occurred_at) if at), default=None)


@given(INTERVIEWS, INTERVIEWS)
def test_nothing_is_learned_of_an_interview_whose_respondent_was_forgotten(
    one: Interview, two: Interview
) -> None:
    merged = merge(one._replace(suppressed=True), two)
    bare = Interview("int_1", suppressed=True, anonymous=merged.anonymous, project_id=merged.project_id)
    assert merged == bare
    assert merged.anonymous == (one.anonymous or two.anonymous)
    assert decide(merged, sync_rules(CONNECTION), was_read=True).verdict is Verdict.SKIP


class Story(RuleBasedStateMachine):
    """One interview, with the steps of the workers and the ledger's own part in a send."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = CONNECTION
        self.sync: Sync | None = None
        self.at = 10_000
        self.marked = False
        self.accepted = False
        self.in_flight: Sync | None = None
        self.perhaps_counted: set[str] = set()
        self.sent_with_force = False

    def hear(self, interview: Interview, **how: Any) -> None:
        self.at += 1
        null = interview.email_given and interview.respondent_email is None
        self.marked |= interview.anonymous or (null and self.connection.connector_null_email_is_anonymous)
        heard = Observation(rules=sync_rules(self.connection), interview=interview, at=self.at, **how)
        self.become(advance(self.sync, heard, PEOPLE))

    def become(self, after: Sync) -> None:
        before, self.sync = self.sync, after
        if before is None or before.event is None or after.event is None:
            return
        uncertain = before.unknown_since is not None or before.sending_since is not None
        # one decided anew after its body was pruned is not sent yet, and may still be corrected
        if uncertain or (before.status is SyncStatus.SYNCED and before.frozen_at is not None):
            assert (after.event, after.user_id) == (before.event, before.user_id)

    @rule(interview=INTERVIEWS)
    def webhook(self, interview: Interview) -> None:
        self.hear(interview)

    @rule()
    def whole_webhook(self) -> None:
        self.hear(WHOLE)

    @rule(interview=INTERVIEWS)
    def call_with_values(self, interview: Interview) -> None:
        self.hear(interview, from_call=True)

    @rule(interview=INTERVIEWS)
    def call_with_values_and_force(self, interview: Interview) -> None:
        self.hear(interview, from_call=True, force=True)

    @rule()
    def force(self) -> None:
        self.hear(Interview("int_1"), force=True)

    @precondition(lambda self: self.sync is not None and self.sync.stage is Stage.READ)
    @rule(interview=INTERVIEWS, day=st.booleans())
    def read(self, interview: Interview, *, day: bool) -> None:
        self.at += 86_400_000 * day
        self.hear(interview._replace(occurred_at=None), read=True)

    @precondition(lambda self: self.sync is not None)
    @rule(force=st.booleans())
    def replayed(self, *, force: bool) -> None:
        assert self.sync is not None
        self.become(replay(self.sync, sync_rules(self.connection), self.at, PEOPLE, force=force))

    @precondition(lambda self: self.sync is not None and self.sync.stage is Stage.READ)
    @rule()
    def not_found(self) -> None:
        assert self.sync is not None
        ended = self.sync._replace(stage=None, due=None, force=False)
        if self.sync.status is not SyncStatus.SYNCED:
            ended = ended._replace(status=SyncStatus.FAILED, reason="not_found_in_koji")
        self.become(ended)

    @rule(trust=st.booleans(), null_email=st.booleans(), gate=st.sampled_from([3.0, 4.2]), key=st.booleans())
    def restart_with_other_settings(self, *, trust: bool, null_email: bool, gate: float, key: bool) -> None:
        self.connection = CONNECTION.model_copy(
            update={
                "connector_trust_external_id": trust,
                "connector_null_email_is_anonymous": null_email,
                "connector_min_quality": gate,
                "koji_api_key": CONNECTION.koji_api_key if key else None,
            }
        )

    @precondition(
        lambda self: (
            self.sync is not None and self.sync.stage is Stage.SEND and self.sync.sending_since is None
        )
    )
    @rule()
    def begin_send(self) -> None:
        sync = self.sync
        assert sync is not None
        assert sync.event is not None
        assert sync.user_id is not None
        assert not self.marked
        if not sync.force and self.perhaps_counted:
            # Amplitude knows a repeated insert id by its user: another user would be counted once more
            assert self.perhaps_counted == {sync.user_id} or self.sent_with_force
        self.sent_with_force |= sync.force
        self.in_flight = sync
        self.sync = sync._replace(sending_since=self.at, frozen_at=sync.frozen_at or self.at)

    @precondition(lambda self: self.sync is not None and self.sync.sending_since is not None)
    @rule(outcome=st.sampled_from(["accepted", "rejected", "throttled", "unknown"]))
    def settle(self, outcome: str) -> None:
        """Do what the ledger does with an answer."""
        sync, sent = self.sync, self.in_flight
        assert sync is not None
        assert sent is not None
        assert sent.user_id is not None
        if outcome in ("accepted", "unknown"):
            self.perhaps_counted.add(sent.user_id)
        attempt = {"at": self.at, "outcome": outcome, "words": f"about {sent.user_id}"}
        after = sync._replace(sending_since=None, attempts=(*sent.attempts, attempt))
        if outcome == "unknown":
            after = after._replace(unknown_since=sync.unknown_since or sync.sending_since)
        if outcome == "accepted":
            self.accepted = True
            after = after._replace(status=SyncStatus.SYNCED, reason=None, synced_at=self.at)
            if sync.stage is not Stage.READ:
                after = after._replace(stage=None, due=None, force=False)
        elif sync.stage is Stage.SEND:
            if outcome == "rejected":
                after = after._replace(stage=None, due=None, force=False)
            if sync.status is not SyncStatus.SYNCED:
                status = SyncStatus.FAILED if outcome == "rejected" else SyncStatus.PENDING
                after = after._replace(status=status, reason=outcome)
        if sync.event is None or is_anonymous_or_erased(after.reason, after.facts):
            after = without_person(after)
        if after.status is SyncStatus.SKIPPED and after.unknown_since is None:
            after = after._replace(user_id=None, user_hash=None, identify=None, event=None, frozen_at=None)
        self.sync, self.in_flight = after, None

    @precondition(lambda self: self.sync is not None and self.sync.stage is None and self.in_flight is None)
    @rule()
    def prune(self) -> None:
        """Do what the ledger does with old syncs; months pass, Amplitude has forgotten the insert ids."""
        assert self.sync is not None
        self.perhaps_counted.clear()
        mark = (
            Interview("int_1", anonymous=True)
            if is_anonymous_or_erased(self.sync.reason, self.sync.facts)
            else None
        )
        self.sync = self.sync._replace(
            facts=mark, user_id=None, identify=None, event=None, attempts=(), pruned_at=self.at
        )

    @invariant()
    def is_consistent(self) -> None:
        sync = self.sync
        if sync is None:
            return
        assert (sync.stage is None) == (sync.due is None)
        if sync.status is SyncStatus.SYNCED:
            assert sync.reason is None
            assert sync.stage is None or sync.force
        else:
            assert (sync.status is SyncStatus.PENDING) == (sync.stage is not None)
        if sync.force:
            assert sync.stage is not None
        if sync.stage in (Stage.SEND, Stage.HOLD):
            assert sync.event
            assert sync.identify
            assert sync.user_id
            assert sync.user_hash
            assert sync.completed_at is not None
        if sync.status in (SyncStatus.SKIPPED, SyncStatus.FAILED):
            assert sync.reason

    @invariant()
    def accepted_stays(self) -> None:
        assert not self.accepted or (self.sync is not None and self.sync.status is SyncStatus.SYNCED)

    @invariant()
    def nobody_is_unmasked(self) -> None:
        sync = self.sync
        if sync is None or not (self.marked or sync.reason == "anonymous"):
            return
        if self.marked:
            assert sync.stage not in (Stage.SEND, Stage.HOLD)
        assert sync.event is sync.identify is sync.user_id is sync.user_hash is None
        assert not [name for name in NAMES if name in repr(sync)]


LIMITS = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a story takes minutes
)
Story.TestCase.settings = LIMITS
TestStory = Story.TestCase


@pytest.mark.proof
def test_many_stories() -> None:
    run_state_machine_as_test(Story, settings=settings(LIMITS, max_examples=1_000))
