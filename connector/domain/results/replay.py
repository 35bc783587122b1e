"""Decide what a caller's `replay` or plain call makes of an existing sync."""

from __future__ import annotations

from dataclasses import replace

from connector.domain.results.added_properties import added_to
from connector.domain.results.decision import ANONYMOUS, Decision, SyncRules, Verdict, decide
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import advance, with_respondent, writes_of


def replay(sync: Sync, rules: SyncRules, now: int, people: People, *, force: bool) -> Sync:
    """Return the state of a sync after a replay.

    A refused sync is sent unchanged, unless there is a reason to skip it by now. A sync that was never sent
    is decided anew. A sync of unknown outcome is sent again only with `force`, because Amplitude may count
    it twice once it has forgotten the first.
    """
    if not force and sync.status is SyncStatus.PENDING:
        return with_respondent(sync._replace(due=now), people)
    if not force and (sync.status is SyncStatus.SYNCED or sync.reason == "outcome_unknown"):
        return with_respondent(sync, people)
    observation = Observation(
        rules=rules,
        interview=sync.facts or Interview(sync.interview_id),
        at=now,
        from_call=sync.from_call and not (force and rules.can_read),
        force=force,
        again=True,
    )
    return advance(sync, observation, people)


def refresh(sync: Sync, rules: SyncRules, now: int, people: People) -> Sync:
    """Return the state of a sync whose user properties are to be written once more, as they are mapped now.

    The event stays as it is. What is not known any more, or would be skipped by now, is left alone; so is an
    interview whose user would be another one. Whether a newer interview owns the properties is decided when
    they are sent.
    """
    known = with_respondent(sync, people)
    facts, user_id, completed_at = known.facts, known.user_id, known.completed_at
    if known.status is not SyncStatus.SYNCED or known.stage is not None or not rules.can_send:
        return known
    if facts is None or user_id is None or completed_at is None:
        return known
    if decide(facts, rules, was_read=True) != Decision(Verdict.SYNC, None, user_id):
        return known
    added = added_to(facts, rules.added)
    identify = writes_of(known, facts, user_id, completed_at, rules, added).identify
    return known._replace(identify=identify, stage=Stage.SEND, due=now, tries=0, updated_at=now)


def call(sync: Sync | None, observation: Observation, people: People) -> Sync:
    """Return the state of a sync after a call that names its interview, with or without its fields.

    A success stays. After a skip that Koji's answer led to, Koji is read again; after a refusal the interview
    is sent again. A skip that follows from the webhook alone stays.
    """
    decisive = observation.from_call or observation.force
    if sync is None or decisive or sync.status is SyncStatus.SYNCED:
        return advance(sync, observation, people)
    if sync.status is SyncStatus.PENDING:
        # only a read may be hurried: a send waits because Amplitude asked for it
        hurried = sync._replace(due=observation.at) if sync.stage is Stage.READ else sync
        return with_respondent(hurried, people)
    if sync.reason == ANONYMOUS and not sync.reads and not sync.from_call:
        return sync  # it cannot be decided anew: the external id that may have led to this is erased
    rules = observation.rules
    if sync.frozen_at is None and rules.can_read and not _is_certain(sync, rules):
        return advance(sync, replace(observation, force=True), people)
    return replay(sync, rules, observation.at, people, force=False)


def _is_certain(sync: Sync, rules: SyncRules) -> bool:
    """Tell whether the webhook alone decides; a decision after a read may have changed at Koji."""
    if sync.facts is None or sync.reads:
        return False
    decision = decide(sync.facts, rules)
    return decision.verdict is not Verdict.PENDING and decision.reason != "analysis_failed"
