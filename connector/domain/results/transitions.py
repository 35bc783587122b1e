"""Decide the next state of an interview's sync after each observation of the interview.

Both the preview and the sync use `advance`, so that a preview cannot differ from what happens.
"""

from __future__ import annotations

from connector.domain.people.email import same_email
from connector.domain.results import mapping
from connector.domain.results.added_properties import Added, AddedProperties, added_to
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

GIVE_UP_AFTER = 24 * 3_600_000  # ms
_OTHER_RESPONDENT = (
    "The interview came again with another respondent's e-mail address. Amplitude has it under the first; "
    "nothing was sent again. Check interview_id."
)
_FIRST_READ_DELAY = 5_000  # ms
_LONGEST_READ_DELAY = 300_000  # ms


def read_delay(reads: int) -> int:
    """Return the delay before Koji is read again (ms): 5 s growing to 5 min."""
    return int(min(_FIRST_READ_DELAY * 1.5 ** min(reads, 20), _LONGEST_READ_DELAY))


def advance(sync: Sync | None, observation: Observation, people: People) -> Sync:
    """Return the next state of a sync after an observation.

    What Amplitude accepted stays. An event that was or may have been sent keeps its body. A reason to skip
    stops everything else at once. A pending sync always has a stage and a due time. Of an erased respondent's
    interview only the outcome stays.
    """
    interview = observation.marked()
    known = sync or Sync(
        connection=observation.rules.connection,
        interview_id=interview.interview_id,
        status=SyncStatus.PENDING,
        first_received_at=observation.at,
        updated_at=observation.at,
    )
    if known.status is SyncStatus.SYNCED and not (observation.force or known.force):
        after = _marked_after(known, observation.at) if interview.anonymous else _warned(known, interview)
        return with_respondent(after, people)
    known = known._replace(
        updated_at=observation.at,
        from_call=known.from_call or observation.from_call,
        reads=0 if sync and observation.force else known.reads + observation.read,
        force=known.force or observation.force,
        run_id=observation.run_id or known.run_id,
        backfill=known.backfill or observation.run_id is not None,
    )
    return _step(_known(known, interview, people), observation, people)


def _known(sync: Sync, interview: Interview, people: People) -> Sync:
    """Add an observation to what is known; an erased respondent's interview learns nothing."""
    facts = merge(sync.facts, interview)
    if people.is_erased(sync.connection, facts):
        return sync._replace(facts=facts.erased())
    return _keyed(sync._replace(facts=facts), facts, people)


def with_respondent(sync: Sync, people: People) -> Sync:
    """Return a sync with the keys of its respondent, or what stays of it after their erasure."""
    if sync.facts is None:
        return sync
    erased = people.is_erased(sync.connection, sync.facts)
    return suppress(sync) if erased else _keyed(sync, sync.facts, people)


def _keyed(sync: Sync, facts: Interview, people: People) -> Sync:
    """Add the keys by which an erasure finds an interview; they are kept longer than the names."""
    keys = people.keys_of(sync.connection, facts)
    if keys[0] is None or keys == (sync.respondent, sync.external):
        return sync
    return sync._replace(respondent=keys[0], external=keys[1])


def _marked_after(sync: Sync, at: int) -> Sync:
    """Note that an accepted interview turned out to be anonymous, so that `force` cannot send it again."""
    if sync.facts is not None and sync.facts.anonymous:
        return sync
    mark = Interview(sync.interview_id, anonymous=True)
    facts = merge(sync.facts, mark)
    return without_person(sync._replace(facts=facts, updated_at=at, stage=None, due=None))


def _warned(sync: Sync, again: Interview) -> Sync:
    """Note that an accepted interview came again with another respondent's e-mail, which is not sent."""
    facts, email = sync.facts, again.respondent_email
    if facts is None or email is None or facts.respondent_email is None:
        return sync
    if same_email(email) == same_email(facts.respondent_email):
        return sync
    return sync._replace(facts=facts._replace(warning=_OTHER_RESPONDENT))


def _step(sync: Sync, observation: Observation, people: People) -> Sync:
    assert sync.facts is not None  # noqa: S101 - advance has just set it
    closed = sync.facts.anonymous or sync.facts.suppressed
    readable = observation.rules.can_read and not closed
    if readable and not observation.from_call:
        if observation.force:
            return _reading(sync, "waiting_for_koji", observation)
        if sync.force and sync.stage is Stage.READ and not observation.read:
            return sync  # the read will decide
    decision = decide(
        sync.facts,
        observation.rules,
        was_read=observation.read,
        from_call=sync.from_call,
        backfill=sync.backfill,
        gave_up=observation.read and _waited(sync, observation) >= GIVE_UP_AFTER,
    )
    match decision.verdict:
        case Verdict.SKIP:
            return _skipped(sync, decision.reason)
        case Verdict.PENDING:
            return _pending(sync, decision, observation)
        case _:
            return _sendable(sync, decision, observation, people)


def read_refused(sync: Sync, reason: str, observation: Observation, people: People) -> Sync:
    """Return a sync after Koji refused to show its interview: failed, unless Amplitude has accepted it.

    An interview that lacks only structured answers is sent without them.
    """
    if sync.stage is not Stage.READ:
        return sync
    sync = sync._replace(reads=sync.reads + 1, updated_at=observation.at)
    if sent := _unanswered(sync, observation, people):
        return sent
    ended = sync._replace(stage=None, due=None, force=False)
    accepted = sync.status is SyncStatus.SYNCED
    return ended if accepted else ended._replace(status=SyncStatus.FAILED, reason=reason)


def waited_in_vain(sync: Sync, observation: Observation, people: People) -> Sync | None:
    """Return a sync that lacks only structured answers and waited long enough for them, or None."""
    over = sync.stage is Stage.READ and _waited(sync, observation) >= GIVE_UP_AFTER
    return _unanswered(sync, observation, people) if over else None


def _unanswered(sync: Sync, observation: Observation, people: People) -> Sync | None:
    if sync.facts is None or sync.force or sync.status is SyncStatus.SYNCED:
        return None
    rules = observation.rules._replace(added=AddedProperties())
    decision = decide(sync.facts, rules, backfill=sync.backfill)
    return _sendable(sync, decision, observation, people) if decision.verdict is Verdict.SYNC else None


def suppress(sync: Sync) -> Sync:
    """Return what stays of a sync after the erasure of its respondent: its existence and its outcome."""
    facts = sync.facts or Interview(sync.interview_id)
    other = sync.status is SyncStatus.SKIPPED and sync.reason == OTHER_PROJECT
    return _skipped(sync._replace(facts=facts.erased()), OTHER_PROJECT if other else SUPPRESSED)


def _waited(sync: Sync, observation: Observation) -> int:
    """Return how long the analysis has been waited for (ms), as far as a clock that never jumps confirms it.

    The wait may begin long after the first receipt.
    """
    completed_at = sync.facts.completed_at if sync.facts else None
    is_past = completed_at is not None and completed_at <= observation.at
    since = max(sync.first_received_at, completed_at or 0) if is_past else sync.first_received_at
    return 0 if observation.trusted is None else observation.trusted - since


def _skipped(sync: Sync, reason: str | None) -> Sync:
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    if is_anonymous_or_erased(reason, sync.facts):
        sync = without_person(sync)
    return _ended(sync, SyncStatus.SKIPPED, reason)


def _ended(sync: Sync, status: SyncStatus, reason: str | None) -> Sync:
    """Return a sync that waits for nothing more; what Amplitude accepted stays synced."""
    ended = sync._replace(stage=None, due=None, force=False)
    if sync.status is SyncStatus.SYNCED:
        return ended._replace(reason=None)
    ended = ended._replace(status=status, reason=reason)
    if _perhaps_accepted(sync):
        return ended  # with its body, so that no other body is sent under its insert ids
    return ended._replace(user_id=None, user_hash=None, identify=None, event=None, frozen_at=None)


def _waiting(sync: Sync, stage: Stage, due: int, reason: str | None) -> Sync:
    """Return a sync that waits for a stage; what Amplitude accepted stays synced meanwhile."""
    if sync.status is SyncStatus.SYNCED:
        return sync._replace(reason=None, stage=stage, due=due)
    return sync._replace(status=SyncStatus.PENDING, reason=reason, stage=stage, due=due)


def _perhaps_accepted(sync: Sync) -> bool:
    accepted = sync.status is SyncStatus.SYNCED
    return accepted or sync.unknown_since is not None or sync.sending_since is not None


def _is_frozen(sync: Sync) -> bool:
    return sync.frozen_at is not None and sync.event is not None


def _pending(sync: Sync, decision: Decision, observation: Observation) -> Sync:
    if sync.status is SyncStatus.SYNCED and not observation.rules.can_read:
        return sync._replace(stage=None, due=None, force=False)
    if _is_frozen(sync) and observation.again:
        return _resent(sync, observation)
    if sync.stage in (Stage.SEND, Stage.HOLD) or (_is_frozen(sync) and not sync.force):
        return sync  # already decided, on more than this observation
    return _reading(sync, decision.reason, observation)


def _reading(sync: Sync, reason: str | None, observation: Observation) -> Sync:
    due = observation.at + read_delay(sync.reads - 1) if observation.read else observation.at
    return _waiting(sync, Stage.READ, due, reason if observation.rules.can_read else "not_configured")


def _sendable(sync: Sync, decision: Decision, observation: Observation, people: People) -> Sync:
    corrected = sync.force or (observation.from_call and sync.status is SyncStatus.FAILED)
    if _is_frozen(sync) and (not corrected or _perhaps_accepted(sync)):
        return (
            sync
            if sync.stage is Stage.SEND or _stays_failed(sync, observation)
            else _resent(sync, observation)
        )
    if decision.verdict is Verdict.FAIL:
        return _failed(sync, decision)
    if not sync.force and _perhaps_accepted(sync):
        # its body is gone: a new one might name another user, and Amplitude would count the interview twice
        return _failed(sync, Decision(Verdict.FAIL, "outcome_unknown"))
    return _sent_anew(sync, decision, observation, people)


def _stays_failed(sync: Sync, observation: Observation) -> bool:
    if sync.status is not SyncStatus.FAILED or sync.force:
        return False
    return sync.reason == "outcome_unknown" or not (observation.again or observation.from_call)


def _failed(sync: Sync, decision: Decision) -> Sync:
    ended = _ended(sync, SyncStatus.FAILED, decision.reason)
    return ended if _perhaps_accepted(sync) else ended._replace(user_id=decision.user_id)


def _resent(sync: Sync, observation: Observation) -> Sync:
    """Send the stored body again, unchanged."""
    waiting = _waiting(sync, Stage.SEND, observation.at, _not_configured(observation.rules))
    return waiting._replace(tries=0, updated_at=observation.at)


def _sent_anew(sync: Sync, decision: Decision, observation: Observation, people: People) -> Sync:
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    assert decision.user_id is not None  # noqa: S101 - SYNC has one
    completed_at = completion(sync.facts) or sync.first_received_at
    added = added_to(sync.facts, observation.rules.added)
    writes = writes_of(sync, sync.facts, decision.user_id, completed_at, observation.rules, added)
    held = sync.backfill and sync.run_id is not None and not sync.force
    stage = Stage.HOLD if held else Stage.SEND
    return _waiting(sync, stage, observation.at, _not_configured(observation.rules))._replace(
        facts=sync.facts._replace(warning=added.warning),
        completed_at=completed_at,
        user_id=decision.user_id,
        user_hash=people.keyed_hash(decision.user_id),
        identify=writes.identify,
        event=writes.event,
        frozen_at=None,
        tries=0,
    )


def writes_of(
    sync: Sync, facts: Interview, user_id: str, completed_at: int, rules: SyncRules, added: Added
) -> mapping.Writes:
    """Map what is known of a sync's interview to its two writes."""
    return mapping.writes(
        facts,
        user_id=user_id,
        completed_at=completed_at,
        koji_project_id=rules.project_id,
        backfill=sync.backfill,
        vocabulary=rules.vocabulary,
        event_properties=added.event,
        user_properties=added.user,
    )


def _not_configured(rules: SyncRules) -> str | None:
    return None if rules.can_send else "not_configured"
