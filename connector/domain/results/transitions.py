"""How one interview moves towards Amplitude: pure steps over what is known.

`advance` gives a sync its next state after something was heard about its interview. Both the preview and the
sync use it, so that a preview cannot differ from what happens.
"""

from __future__ import annotations

from connector.domain.results import mapping
from connector.domain.results.anonymity import is_anonymous_or_erased, without_person
from connector.domain.results.decision import (
    OTHER_PROJECT,
    SUPPRESSED,
    Decision,
    SyncRules,
    Verdict,
    completion,
    decide,
)
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.observation import Observation, merge
from connector.domain.results.respondent import People
from connector.domain.results.sync import Sync

GIVE_UP_AFTER = 24 * 3_600_000
_FIRST_READ_DELAY = 5_000
_LONGEST_READ_DELAY = 300_000


def read_delay(reads: int) -> int:
    """Return how long to wait before Koji is read again (ms): 5 s growing to 5 min."""
    return int(min(_FIRST_READ_DELAY * 1.5 ** min(reads, 20), _LONGEST_READ_DELAY))


def advance(sync: Sync | None, heard: Observation, people: People) -> Sync:
    """Return the next state of a sync after an observation.

    What Amplitude accepted stays; what was sent, or may have been, keeps its body; a reason to skip stops
    everything else at once. A pending sync always has a stage and a due time. Of an erased respondent's
    interview nothing stays but its outcome.
    """
    interview = heard.marked()
    if sync is None:
        sync = _first(heard, interview.interview_id)
    elif sync.status is SyncStatus.SYNCED and not (heard.force or sync.force):
        return with_respondent(_marked_after(sync, heard.at) if interview.anonymous else sync, people)
    else:
        sync = sync._replace(
            updated_at=heard.at,
            given=sync.given or heard.given,
            reads=0 if heard.force else sync.reads + heard.read,
            force=sync.force or heard.force,
            run_id=heard.run_id or sync.run_id,
            backfill=sync.backfill or heard.run_id is not None,
        )
    return _step(_known(sync, interview, people), heard, people)


def _known(sync: Sync, interview: Interview, people: People) -> Sync:
    """Add what was observed to what is known; of an erased respondent's interview nothing is learned."""
    facts = merge(sync.facts, interview)
    if people.is_erased(sync.connection, facts):
        return sync._replace(facts=facts.erased())
    return _keyed(sync._replace(facts=facts), facts, people)


def with_respondent(sync: Sync, people: People) -> Sync:
    """Return a sync with the keys of its respondent, or what stays of it when the respondent was erased."""
    if sync.facts is None:
        return sync
    erased = people.is_erased(sync.connection, sync.facts)
    return suppress(sync) if erased else _keyed(sync, sync.facts, people)


def _keyed(sync: Sync, facts: Interview, people: People) -> Sync:
    """Note the keys by which an erasure finds an interview; they outlive the names."""
    keys = people.keys_of(sync.connection, facts)
    if keys[0] is None or keys == (sync.respondent, sync.external):
        return sync
    return sync._replace(respondent=keys[0], external=keys[1])


def _first(heard: Observation, interview_id: str) -> Sync:
    return Sync(
        connection=heard.rules.connection,
        interview_id=interview_id,
        status=SyncStatus.PENDING,
        first_received_at=heard.at,
        updated_at=heard.at,
        given=heard.given,
        reads=int(heard.read),
        force=heard.force,
        run_id=heard.run_id,
        backfill=heard.run_id is not None,
    )


def _marked_after(sync: Sync, at: int) -> Sync:
    """Remember that what Amplitude has turned out anonymous, so that `force` cannot send it again."""
    if sync.facts is not None and sync.facts.anonymous:
        return sync
    mark = Interview(sync.interview_id, anonymous=True)
    return without_person(sync._replace(facts=merge(sync.facts, mark), updated_at=at))


def _step(sync: Sync, heard: Observation, people: People) -> Sync:
    assert sync.facts is not None  # noqa: S101 - advance has just set it
    closed = sync.facts.anonymous or sync.facts.suppressed
    readable = heard.rules.can_read and not closed
    if heard.force and not heard.given and readable:
        return _reading(sync, "waiting_for_koji", heard)
    if sync.force and sync.stage is Stage.READ and not heard.read and not heard.given and readable:
        return sync  # what the read says will be decided over
    decision = decide(
        sync.facts,
        heard.rules,
        was_read=heard.read,
        given=sync.given,
        backfill=sync.backfill,
        gave_up=heard.read and heard.at - _waited_since(sync, heard.at) >= GIVE_UP_AFTER,
    )
    match decision.verdict:
        case Verdict.SKIP:
            return _skipped(sync, decision.reason)
        case Verdict.PENDING:
            return _pending(sync, decision, heard)
        case _:
            return _sendable(sync, decision, heard, people)


def unread(sync: Sync, reason: str, at: int) -> Sync:
    """Return a sync after Koji refused to show its interview: failed, unless Amplitude has it already."""
    if sync.stage is not Stage.READ:
        return sync
    ended = sync._replace(stage=None, due=None, force=False, reads=sync.reads + 1, updated_at=at)
    return (
        ended if sync.status is SyncStatus.SYNCED else ended._replace(status=SyncStatus.FAILED, reason=reason)
    )


def suppress(sync: Sync) -> Sync:
    """Return what stays of a sync whose respondent was erased: that there was one, and its outcome."""
    facts = sync.facts or Interview(sync.interview_id)
    other = sync.status is SyncStatus.SKIPPED and sync.reason == OTHER_PROJECT
    return _skipped(sync._replace(facts=facts.erased()), OTHER_PROJECT if other else SUPPRESSED)


def _waited_since(sync: Sync, now: int) -> int:
    """Return when the wait for the analysis began: an interview may be known long before its end."""
    completed_at = sync.facts.completed_at if sync.facts else None
    if completed_at is not None and completed_at <= now:
        return max(sync.first_received_at, completed_at)
    return sync.first_received_at


def _skipped(sync: Sync, reason: str | None) -> Sync:
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    if is_anonymous_or_erased(reason, sync.facts):
        sync = without_person(sync)
    ended = sync._replace(stage=None, due=None, force=False)
    if sync.status is SyncStatus.SYNCED:
        return ended._replace(reason=None)
    ended = ended._replace(status=SyncStatus.SKIPPED, reason=reason)
    if _perhaps_accepted(sync):
        return ended  # with its body, so that nothing else goes out under its insert ids
    return _unsent(ended)


def _unsent(sync: Sync) -> Sync:
    return sync._replace(user_id=None, user_hash=None, identify=None, event=None, frozen_at=None)


def _perhaps_accepted(sync: Sync) -> bool:
    return (
        sync.status is SyncStatus.SYNCED or sync.unknown_since is not None or sync.sending_since is not None
    )


def _is_frozen(sync: Sync) -> bool:
    return sync.frozen_at is not None and sync.event is not None


def _pending(sync: Sync, decision: Decision, heard: Observation) -> Sync:
    if sync.status is SyncStatus.SYNCED and not heard.rules.can_read:
        return sync._replace(stage=None, due=None, force=False)
    if _is_frozen(sync) and heard.again:
        return _resent(sync, heard)
    if sync.stage in (Stage.SEND, Stage.HOLD) or (_is_frozen(sync) and not sync.force):
        return sync  # decided already; this tells less than what was decided over
    return _reading(sync, decision.reason, heard)


def _reading(sync: Sync, reason: str | None, heard: Observation) -> Sync:
    accepted = sync.status is SyncStatus.SYNCED
    configured = heard.rules.can_read
    waiting = reason if configured else "not_configured"
    return sync._replace(
        status=SyncStatus.SYNCED if accepted else SyncStatus.PENDING,
        reason=None if accepted else waiting,
        stage=Stage.READ,
        due=heard.at + read_delay(sync.reads - 1) if heard.read else heard.at,
    )


def _sendable(sync: Sync, decision: Decision, heard: Observation, people: People) -> Sync:
    corrected = sync.force or (heard.given and sync.status is SyncStatus.FAILED)
    if _is_frozen(sync) and (not corrected or _perhaps_accepted(sync)):
        return sync if sync.stage is Stage.SEND or _stays_failed(sync, heard) else _resent(sync, heard)
    if decision.verdict is Verdict.FAIL:
        return _failed(sync, decision)
    if not sync.force and _perhaps_accepted(sync):
        # its body is gone: another one might name another user, and Amplitude would count it once more
        return _failed(sync, Decision(Verdict.FAIL, "outcome_unknown"))
    return _sent_anew(sync, decision, heard, people)


def _stays_failed(sync: Sync, heard: Observation) -> bool:
    if sync.status is not SyncStatus.FAILED or sync.force:
        return False
    return sync.reason == "outcome_unknown" or not (heard.again or heard.given)


def _failed(sync: Sync, decision: Decision) -> Sync:
    ended = sync._replace(stage=None, due=None, force=False)
    if sync.status is SyncStatus.SYNCED:
        return ended._replace(reason=None)
    ended = ended._replace(status=SyncStatus.FAILED, reason=decision.reason)
    return ended if _perhaps_accepted(sync) else _unsent(ended)._replace(user_id=decision.user_id)


def _resent(sync: Sync, heard: Observation) -> Sync:
    """Send what was sent before, as it was."""
    accepted = sync.status is SyncStatus.SYNCED
    return sync._replace(
        status=SyncStatus.SYNCED if accepted else SyncStatus.PENDING,
        reason=None if accepted else _not_configured(heard.rules),
        stage=Stage.SEND,
        due=heard.at,
        tries=0,
        updated_at=heard.at,
    )


def _sent_anew(sync: Sync, decision: Decision, heard: Observation, people: People) -> Sync:
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    assert decision.user_id is not None  # noqa: S101 - SYNC has one
    accepted = sync.status is SyncStatus.SYNCED
    completed_at = completion(sync.facts) or sync.first_received_at
    writes = mapping.writes(
        sync.facts,
        user_id=decision.user_id,
        completed_at=completed_at,
        koji_project_id=heard.rules.project_id,
        backfill=sync.backfill,
    )
    held = sync.backfill and sync.run_id is not None and not sync.force
    return sync._replace(
        status=SyncStatus.SYNCED if accepted else SyncStatus.PENDING,
        reason=None if accepted else _not_configured(heard.rules),
        stage=Stage.HOLD if held else Stage.SEND,
        due=heard.at,
        completed_at=completed_at,
        user_id=decision.user_id,
        user_hash=people.keyed_hash(decision.user_id),
        identify=writes.identify,
        event=writes.event,
        frozen_at=None,
        tries=0,
    )


def _not_configured(rules: SyncRules) -> str | None:
    return None if rules.can_send else "not_configured"
