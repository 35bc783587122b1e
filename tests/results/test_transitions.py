"""The steps of a sync, one sentence at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from connector.domain.results.anonymity import is_anonymous_or_erased
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation, merge, read_observation
from connector.domain.results.replay import call, refresh, replay
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.theme_keys import Theme, Vocabulary
from connector.domain.results.transitions import advance, read_delay
from connector.settings.model import Connection
from connector.settings.rules import sync_rules
from tests.fixtures import load

pytestmark = pytest.mark.unit

CONNECTION = Connection(koji_api_key=SecretStr("koji-key"), amplitude_api_key=SecretStr("amplitude-key"))
KEYLESS = CONNECTION.model_copy(update={"koji_api_key": None})
BARE = Interview("int_1")
WHOLE = BARE._replace(
    ready=True,
    email_given=True,
    respondent_email="ada@example.com",
    themes=("pricing",),
    quality_score=4,
)
LOW = WHOLE._replace(quality_score=2)
MARK = BARE._replace(anonymous=True)
NULL = BARE._replace(email_given=True)
DAY = 86_400_000
PEOPLE = People(str.upper, lambda _, alias: len(alias))


def hear(
    sync: Sync | None,
    interview: Interview,
    at: int = 1_000,
    *,
    connection: Connection = CONNECTION,
    **how: Any,
) -> Sync:
    return advance(
        sync, Observation(rules=sync_rules(connection), interview=interview, at=at, trusted=at, **how), PEOPLE
    )


def again(sync: Sync, *, force: bool = False, connection: Connection = CONNECTION) -> Sync:
    return replay(sync, sync_rules(connection), 9_000, PEOPLE, force=force)


def sending(**changes: Any) -> Sync:
    return hear(None, WHOLE)._replace(**{"sending_since": 2_000, "frozen_at": 2_000, **changes})


def ended(status: SyncStatus, reason: str | None = None, **changes: Any) -> Sync:
    return sending()._replace(
        status=status, reason=reason, stage=None, due=None, **{"sending_since": None, **changes}
    )


def synced(**changes: Any) -> Sync:
    return ended(
        SyncStatus.SYNCED, synced_at=3_000, attempts=({"at": 1, "words": "ada@example.com"},), **changes
    )


def pruned(sync: Sync) -> Sync:
    mark = (
        Interview(sync.interview_id, anonymous=True)
        if is_anonymous_or_erased(sync.reason, sync.facts)
        else None
    )
    return sync._replace(facts=mark, user_id=None, identify=None, event=None, attempts=(), pruned_at=5_000)


def state(sync: Sync) -> tuple[str, str | None, str | None]:
    return sync.status, sync.reason, sync.stage


class TestFirst:
    def test_a_whole_interview_goes_out(self) -> None:
        sync = hear(None, WHOLE)
        assert state(sync) == ("pending", None, "send")
        assert (sync.due, sync.first_received_at, sync.user_hash) == (1_000, 1_000, "ADA@EXAMPLE.COM")

    def test_its_time_is_the_first_receipt_when_nobody_says_another(self) -> None:
        assert json.loads(hear(None, WHOLE).event or "")["time"] == 1_000
        assert json.loads(hear(None, WHOLE._replace(occurred_at=700)).event or "")["time"] == 700
        told = WHOLE._replace(occurred_at=700, completed_at=600)
        assert json.loads(hear(None, told).event or "")["time"] == 600

    def test_a_thin_one_is_read_at_once(self) -> None:
        assert state(hear(None, BARE)) == ("pending", "waiting_for_koji", "read")
        assert hear(None, BARE).due == 1_000

    def test_missing_keys_are_named_and_nothing_is_lost(self) -> None:
        assert state(hear(None, BARE, connection=KEYLESS)) == ("pending", "not_configured", "read")
        mute = CONNECTION.model_copy(update={"amplitude_api_key": None})
        assert state(hear(None, WHOLE, connection=mute)) == ("pending", "not_configured", "send")

    def test_a_backfilled_one_waits_for_the_others(self) -> None:
        sync = hear(None, WHOLE._replace(completed_at=1), run_id="run_1")
        assert sync.stage is Stage.HOLD
        assert json.loads(sync.event or "")["$skip_user_properties_sync"] is True
        assert state(hear(None, WHOLE, run_id="run_1")) == ("skipped", "no_completion_time", None)


class TestReading:
    def test_waits_5_seconds_growing_to_5_minutes(self) -> None:
        delays = [read_delay(reads) for reads in range(30)]
        assert delays[:3] == [5_000, 7_500, 11_250]
        assert delays == sorted(delays)
        assert delays[-1] == 300_000

    def test_goes_on_until_ready(self) -> None:
        sync = hear(None, BARE)
        unready = NULL._replace(respondent_email="ada@example.com")
        for at, delay in ((2_000, 5_000), (7_000, 7_500), (14_500, 11_250)):
            sync = hear(sync, unready, at, read=True)
            assert state(sync) == ("pending", "analysis_not_ready", "read")
            assert sync.due == at + delay
        assert hear(sync, WHOLE, 20_000, read=True).stage is Stage.SEND

    def test_gives_up_24_hours_after_the_first_receipt(self) -> None:
        unready = NULL._replace(respondent_email="ada@example.com")
        sync = hear(hear(None, BARE), unready, DAY, read=True)
        assert sync.stage is Stage.READ
        assert state(hear(sync, unready, DAY + 1_000, read=True)) == ("skipped", "no_quality_score", None)

    def test_waits_anew_for_an_interview_that_was_known_long_before_its_end(self) -> None:
        unready = NULL._replace(respondent_email="ada@example.com", completed_at=3 * DAY)
        sync = hear(hear(None, BARE), unready, 3 * DAY + 1_000, read=True)
        assert state(sync) == ("pending", "analysis_not_ready", "read")
        assert hear(sync, unready, 4 * DAY, read=True).reason == "no_quality_score"

    def test_a_read_that_says_nothing_of_the_respondent_ends_as_nobodys(self) -> None:
        body = load("koji/read")["body"]
        sync = advance(
            hear(None, BARE), read_observation(sync_rules(CONNECTION), "int_1", body, 2_000, 2_000), PEOPLE
        )
        assert state(sync) == ("skipped", "anonymous", None)

    def test_keeps_what_only_the_webhook_told(self) -> None:
        told = NULL._replace(respondent_email="ada@example.com", sentiment="mixed", transcript_url="u")
        body = load("koji/read")["body"]
        sync = advance(
            hear(None, told), read_observation(sync_rules(CONNECTION), "int_1", body, 2_000, 2_000), PEOPLE
        )
        properties = json.loads(sync.event or "")["event_properties"]
        assert (properties["sentiment"], properties["transcript_url"], properties["quality_score"]) == (
            "mixed",
            "u",
            4.2,
        )

    def test_a_creation_time_in_a_read_is_not_the_completion(self) -> None:
        heard = read_observation(sync_rules(CONNECTION), "int_1", {"created_at": 1_700_000_000}, 2_000, 2_000)
        assert heard.interview.occurred_at is None

    def test_a_message_that_tells_less_does_not_call_a_send_back(self) -> None:
        thin = WHOLE._replace(themes=None)
        sync = hear(hear(None, BARE), thin, read=True)
        assert sync.stage is Stage.SEND
        assert hear(sync, BARE).stage is Stage.SEND


class TestSkips:
    @pytest.mark.parametrize(
        ("first", "reason"),
        [
            (LOW, "below_quality_gate"),
            (WHOLE._replace(analysis_status="failed"), "analysis_failed"),
            (NULL, "anonymous"),
        ],
    )
    def test_are_reopened_by_what_changes_the_answer(self, first: Interview, reason: str) -> None:
        sync = hear(None, first)
        assert state(sync) == ("skipped", reason, None)
        assert sync.user_id is sync.event is sync.user_hash is None
        assert state(hear(sync, WHOLE)) == ("pending", None, "send")

    def test_stop_what_was_never_sent(self) -> None:
        sync = hear(hear(None, WHOLE), LOW)
        assert state(sync) == ("skipped", "below_quality_gate", None)
        assert sync.event is None

    def test_in_flight_are_reopened_with_the_body_that_flies(self) -> None:
        flying = sending()
        sync = hear(hear(flying, LOW), WHOLE._replace(respondent_email="grace@example.com"))
        assert state(sync) == ("pending", None, "send")
        assert (sync.event, sync.user_id) == (flying.event, "ada@example.com")

    def test_after_an_unknown_outcome_keep_the_body(self) -> None:
        unsure = sending(sending_since=None, unknown_since=2_000)
        sync = hear(hear(unsure, LOW), WHOLE._replace(respondent_email="grace@example.com"))
        assert (sync.event, sync.user_id, sync.stage) == (unsure.event, "ada@example.com", "send")

    def test_after_an_unknown_outcome_never_send_to_another_user_unasked(self) -> None:
        nobody = hear(sending(sending_since=None, unknown_since=2_000), NULL)
        assert state(nobody) == ("skipped", "anonymous", None)
        reopened = hear(nobody, WHOLE._replace(respondent_email="grace@example.com"))
        assert state(reopened) == ("failed", "outcome_unknown", None)
        forced = hear(hear(reopened, BARE, force=True), BARE, read=True)
        assert (forced.stage, forced.user_id) == ("send", "grace@example.com")


class TestAnonymous:
    @pytest.mark.parametrize(
        "sync",
        [
            hear(None, BARE),
            hear(None, WHOLE),
            sending(attempts=({"at": 1, "words": "ada@example.com"},)),
            sending(sending_since=None, unknown_since=2_000),
            ended(SyncStatus.FAILED, "rejected_by_amplitude"),
            ended(SyncStatus.FAILED, "outcome_unknown", unknown_since=2_000),
            hear(None, WHOLE._replace(respondent_email="none")),
        ],
    )
    def test_a_mark_leaves_nothing_that_tells_who_it_was(self, sync: Sync) -> None:
        sync = hear(sync, MARK)
        assert state(sync) == ("skipped", "anonymous", None)
        assert "ada@example.com" not in repr(sync).lower()
        for after in (hear(sync, WHOLE), again(sync), again(sync, force=True), hear(sync, WHOLE, force=True)):
            assert state(after) == ("skipped", "anonymous", None)
            assert "ada@example.com" not in repr(after).lower()

    def test_nobody_keeps_no_external_id(self) -> None:
        sync = hear(None, WHOLE._replace(email_given=False, respondent_email=None, external_id="user-1"))
        assert state(sync) == ("skipped", "anonymous", None)
        assert "user-1" not in repr(sync)

    def test_what_amplitude_accepted_stays_but_tells_nobody_and_is_never_sent_again(self) -> None:
        sync = hear(synced(), MARK)
        assert state(sync) == ("synced", None, None)
        assert "ada@example.com" not in repr(sync).lower()
        assert sync.attempts == ({"at": 0},)
        assert state(hear(sync, WHOLE, force=True)) == ("synced", None, None)
        assert state(again(pruned(sync), force=True)) == ("synced", None, None)

    def test_a_mark_outlives_the_retention(self) -> None:
        assert state(hear(pruned(hear(None, MARK)), WHOLE)) == ("skipped", "anonymous", None)

    def test_a_null_email_is_a_mark_for_ever_only_where_the_setting_says_so(self) -> None:
        strict = CONNECTION.model_copy(update={"connector_null_email_is_anonymous": True})
        sync = hear(None, NULL, connection=strict)
        assert state(hear(sync, WHOLE, connection=strict)) == ("skipped", "anonymous", None)
        assert state(hear(hear(None, NULL), WHOLE)) == ("pending", None, "send")

    def test_a_null_email_takes_an_email_back_before_it_is_sent(self) -> None:
        assert state(hear(hear(None, WHOLE), NULL)) == ("skipped", "anonymous", None)


class TestFrozen:
    def test_user_and_event_stay_once_sent(self) -> None:
        sync = sending(sending_since=None)
        after = hear(sync, WHOLE._replace(respondent_email="grace@example.com", sentiment="mixed"))
        assert (after.user_id, after.event, after.due) == (sync.user_id, sync.event, sync.due)
        bad = hear(sync, WHOLE._replace(respondent_email="none"))
        assert (state(bad), bad.user_id) == (("pending", None, "send"), "ada@example.com")

    def test_before_that_a_correction_counts(self) -> None:
        after = hear(hear(None, WHOLE), WHOLE._replace(respondent_email="grace@example.com"))
        assert after.user_id == "grace@example.com"
        assert "ada@" not in (after.event or "") + (after.identify or "")

    def test_a_success_stays_whatever_is_heard(self) -> None:
        sync = synced()
        for interview in (WHOLE, LOW, BARE, NULL):
            assert hear(sync, interview) is sync
            assert hear(sync, interview, read=True) is sync
        assert again(sync) is sync


class TestForce:
    def test_reads_again_and_sends_the_same_body(self) -> None:
        reading = hear(synced(), BARE, force=True)
        assert state(reading) == ("synced", None, "read")
        sync = hear(reading, WHOLE._replace(respondent_email="grace@example.com"), read=True)
        assert state(sync) == ("synced", None, "send")
        assert (sync.event, sync.user_id) == (synced().event, "ada@example.com")

    def test_never_overrides_the_gate(self) -> None:
        assert state(hear(hear(synced(), BARE, force=True), LOW, read=True)) == ("synced", None, None)
        skipped = hear(None, LOW)
        assert state(hear(hear(skipped, BARE, force=True), LOW, read=True))[1] == "below_quality_gate"

    def test_is_not_disturbed_by_what_comes_in_meanwhile(self) -> None:
        reading = hear(synced(), BARE, 5_000, force=True)
        assert hear(reading, BARE, 6_000).due == 5_000
        resent = hear(reading, WHOLE, read=True)
        assert hear(resent, BARE, 6_000).stage is Stage.SEND

    def test_makes_a_new_body_only_when_the_old_was_surely_refused(self) -> None:
        refused = ended(SyncStatus.FAILED, "rejected_by_amplitude")
        told = WHOLE._replace(respondent_email="grace@example.com")
        assert hear(hear(refused, BARE, force=True), told, read=True).user_id == "grace@example.com"
        unsure = refused._replace(unknown_since=2_000)
        assert hear(hear(unsure, BARE, force=True), told, read=True).user_id == "ada@example.com"
        flying = hear(hear(sending(), BARE, force=True), told, read=True)
        assert (flying.event, flying.user_id) == (sending().event, "ada@example.com")

    def test_of_one_that_age_emptied_stays_synced(self) -> None:
        sync = hear(hear(pruned(synced()), BARE, force=True), WHOLE, read=True)
        assert state(sync) == ("synced", None, "send")
        assert json.loads(sync.event or "")["insert_id"] == "koji:int_1:completed"

    def test_without_a_key_of_koji_uses_what_is_known_or_does_nothing(self) -> None:
        assert state(again(synced(), force=True, connection=KEYLESS)) == ("synced", None, "send")
        assert state(again(pruned(synced()), force=True, connection=KEYLESS)) == ("synced", None, None)


class TestReplay:
    def test_a_refused_one_goes_out_as_it_was(self) -> None:
        refused = ended(SyncStatus.FAILED, "rejected_by_amplitude", tries=3)
        sync = again(refused)
        assert (state(sync), sync.event, sync.tries) == (("pending", None, "send"), refused.event, 0)
        assert hear(refused, WHOLE).status is SyncStatus.FAILED

    def test_a_refused_one_that_there_is_a_reason_to_skip_by_now_does_not(self) -> None:
        refused = ended(SyncStatus.FAILED, "rejected_by_amplitude")
        strict = CONNECTION.model_copy(update={"connector_min_quality": 5.0})
        assert state(again(refused, connection=strict)) == ("skipped", "below_quality_gate", None)

    def test_an_unknown_outcome_needs_force(self) -> None:
        unsure = ended(SyncStatus.FAILED, "outcome_unknown", unknown_since=2_000)
        assert again(unsure) is unsure
        assert hear(unsure, WHOLE, from_call=True).reason == "outcome_unknown"
        assert hear(again(unsure, force=True), WHOLE, read=True).event == unsure.event

    def test_one_that_age_emptied_is_read_again(self) -> None:
        assert state(again(pruned(ended(SyncStatus.FAILED, "rejected_by_amplitude")))) == (
            "pending",
            "waiting_for_koji",
            "read",
        )

    def test_a_caller_who_corrects_a_refused_one_is_heard(self) -> None:
        refused = ended(SyncStatus.FAILED, "rejected_by_amplitude")
        told = BARE._replace(email_given=True, respondent_email="grace@example.com")
        assert hear(refused, told, from_call=True).user_id == "grace@example.com"


class TestMerge:
    def test_the_earliest_webhook_counts(self) -> None:
        one, two = BARE._replace(occurred_at=2), BARE._replace(occurred_at=1)
        assert merge(merge(one, two), one).occurred_at == merge(two, one).occurred_at == 1

    def test_empty_themes_take_nothing_back(self) -> None:
        assert merge(WHOLE, BARE._replace(themes=())).themes == ("pricing",)

    def test_a_score_of_zero_is_told(self) -> None:
        assert merge(WHOLE, BARE._replace(quality_score=0)).quality_score == 0

    def test_themes_and_score_from_two_messages_make_it_ready(self) -> None:
        assert merge(BARE._replace(themes=("a",)), BARE._replace(quality_score=4)).ready


class TestErased:
    """What the ledger says of erased people is data of the decision."""

    GONE = PEOPLE._replace(erased=frozenset({("default", "email:ada@example.com")}))

    def test_nothing_is_learned_but_that_there_was_an_interview(self) -> None:
        heard = Observation(rules=sync_rules(CONNECTION), interview=WHOLE, at=DAY + 5)
        sync = advance(None, heard, self.GONE)
        assert (sync.status, sync.reason, sync.stage) == (SyncStatus.SKIPPED, "suppressed", None)
        assert sync.facts == BARE._replace(suppressed=True)
        assert "ada" not in repr(sync)
        assert sync.first_received_at == DAY

    def test_another_project_and_another_connection_come_first(self) -> None:
        ours = sync_rules(CONNECTION.model_copy(update={"koji_project_id": "ours"}))
        heard = Observation(rules=ours, interview=WHOLE._replace(project_id="theirs"), at=1)
        assert advance(None, heard, self.GONE).reason == "other_project"
        elsewhere = Observation(rules=ours._replace(connection="second"), interview=WHOLE, at=1)
        assert advance(None, elsewhere, self.GONE).stage is Stage.SEND

    def test_what_stands_already_is_kept_out_by_any_step(self) -> None:
        waiting = hear(None, WHOLE)
        assert waiting.stage is Stage.SEND
        for after in (
            replay(waiting, sync_rules(CONNECTION), 2, self.GONE, force=False),
            replay(waiting, sync_rules(CONNECTION), 2, self.GONE, force=True),
            call(waiting, Observation(rules=sync_rules(CONNECTION), interview=BARE, at=2), self.GONE),
        ):
            assert (after.reason, after.event, after.user_id) == ("suppressed", None, None)


class TestRefresh:
    WITH_THEMES = CONNECTION.model_copy(
        update={"connector_themes_file": Vocabulary((Theme("price", "Pricing"),))}
    )

    def refreshed(self, sync: Sync, connection: Connection = WITH_THEMES) -> Sync:
        return refresh(sync, sync_rules(connection), 9_000, PEOPLE)

    def test_only_the_user_properties_are_mapped_anew(self) -> None:
        sync = synced()
        due = self.refreshed(sync)
        assert (due.is_refresh, due.due, due.event, due.synced_at) == (True, 9_000, sync.event, 3_000)
        assert json.loads(due.identify or "")["user_properties"]["$set"]["last_interview_theme_keys"] == [
            "price"
        ]
        assert self.refreshed(due) == due

    @pytest.mark.parametrize(
        "sync",
        [
            ended(SyncStatus.FAILED, "rejected_by_amplitude"),
            ended(SyncStatus.SKIPPED, "below_quality_gate"),
            hear(None, WHOLE),
            pruned(synced()),
            synced()._replace(facts=LOW),
            synced()._replace(facts=WHOLE._replace(anonymous=True, respondent_email=None)),
            synced()._replace(user_id="someone else"),
        ],
    )
    def test_all_others_stay_as_they_are(self, sync: Sync) -> None:
        assert state(self.refreshed(sync)) == state(sync)
        assert self.refreshed(sync).identify == sync.identify

    def test_nothing_waits_without_a_key_of_amplitude(self) -> None:
        keyless = self.WITH_THEMES.model_copy(update={"amplitude_api_key": None})
        assert self.refreshed(synced(), keyless).stage is None

    def test_an_erased_person_is_not_refreshed(self) -> None:
        erased = PEOPLE._replace(erased=frozenset({("default", "email:ada@example.com")}))
        left = refresh(synced(), sync_rules(self.WITH_THEMES), 9_000, erased)
        assert (left.stage, left.identify, left.user_id) == (None, None, None)

    def test_one_that_turns_out_anonymous_is_called_off(self) -> None:
        marked = hear(self.refreshed(synced()), MARK)
        assert (state(marked), marked.identify) == (("synced", None, None), None)

    def test_force_overrules_it(self) -> None:
        forced = again(self.refreshed(synced()), force=True)
        assert (forced.stage, forced.is_refresh) == (Stage.READ, False)
