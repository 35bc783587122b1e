"""How one interview moves towards Amplitude: pure decisions over what is known.

`decide` says what ought to happen; `advance` gives a sync its next state after something was heard about its
interview. Both the preview and the sync use them, so that a preview cannot differ from what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from connector import mapping
from connector.envelope import read_interview
from connector.identity import is_told, unusable, whose
from connector.models import Interview, Stage, SyncStatus
from connector.ports import Sync
from connector.settings import Connection

GIVE_UP_AFTER = 24 * 3_600_000
_FIRST_READ_DELAY = 5_000
_LONGEST_READ_DELAY = 300_000
_UNFINISHED = frozenset({"processing", "pending", "in_progress", "queued"})


class Verdict(StrEnum):
    """What ought to happen to an interview."""

    SYNC = "sync"
    SKIP = "skip"
    PENDING = "pending"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reason; `user_id` only for `SYNC` and `FAIL`."""

    verdict: Verdict
    reason: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Something that was told about an interview.

    `read` says that Koji itself was read, `given` that a caller vouches for the values, `force` that the caller
    wants it read and sent again.
    """

    connection: Connection
    interview: Interview
    at: int
    read: bool = False
    given: bool = False
    force: bool = False
    run_id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of the sync that this is about."""
        return (self.connection.name, self.interview.interview_id)


def heard_from_read(connection: Connection, interview_id: str, body: Mapping[str, Any], at: int) -> Heard:
    """Return what Koji answered to a read."""
    interview = read_interview(body, interview_id, event=None, aliases=connection.koji_field_aliases)
    return Heard(connection=connection, interview=interview, at=at, read=True)


def merge(old: Interview | None, new: Interview) -> Interview:
    """Return what is known after `new`: its values where it has any, else the old ones.

    An anonymous mark is never taken back: it was a promise to the respondent. A null e-mail takes an e-mail back.
    """
    if old is None:
        merged = new
    else:
        told = {f.name: value for f in fields(Interview) if (value := getattr(new, f.name)) != f.default}
        if new.email_given:
            told["respondent_email"] = new.respondent_email
        if new.themes == () and old.themes:
            told.pop("themes", None)
        merged = replace(old, **told)
    if merged.themes and merged.quality_score is not None and not merged.ready:
        merged = replace(merged, ready=True)
    return merged


def decide(
    interview: Interview,
    connection: Connection,
    *,
    was_read: bool = False,
    given: bool = False,
    backfill: bool = False,
    gave_up: bool = False,
) -> Decision:
    """Decide over an interview: the first reason that applies, in the order of the contract.

    `gave_up` says that an unfinished analysis was waited for long enough.
    """
    asked_everybody = was_read or given
    user_id = whose(
        interview,
        null_email_is_anonymous=connection.connector_null_email_is_anonymous,
        trust_external_id=connection.connector_trust_external_id,
    )
    score = interview.quality_score
    ours = connection.koji_project_id
    if ours and interview.project_id and interview.project_id != ours:
        return Decision(Verdict.SKIP, "other_project")
    if user_id is None and (asked_everybody or is_told(interview)):
        return Decision(Verdict.SKIP, "anonymous")
    if interview.analysis_status == "failed":
        return Decision(Verdict.SKIP, "analysis_failed")
    if (interview.failed_quality_gate and score is None) or (
        score is not None and score < connection.connector_min_quality
    ):
        return Decision(Verdict.SKIP, "below_quality_gate")
    if user_id is None or (not asked_everybody and (interview.themes is None or score is None)):
        return Decision(Verdict.PENDING, "waiting_for_koji")
    unfinished = not interview.ready or (score is None and interview.analysis_status in _UNFINISHED)
    if unfinished and not given and not gave_up:
        return Decision(Verdict.PENDING, "analysis_not_ready")
    if score is None:
        return Decision(Verdict.SKIP, "no_quality_score")
    if backfill and completion(interview) is None:
        return Decision(Verdict.SKIP, "no_completion_time")
    if unusable(user_id, connection.amplitude_min_id_length):
        return Decision(Verdict.FAIL, "invalid_user_id", user_id)
    return Decision(Verdict.SYNC, None, user_id)


def completion(interview: Interview) -> int | None:
    """Return when the interview was completed (ms): Koji's word, else the time of what told us."""
    return interview.completed_at or interview.occurred_at


def read_delay(reads: int) -> int:
    """Return how long to wait before Koji is read again (ms): 5 s growing to 5 min."""
    return int(min(_FIRST_READ_DELAY * 1.5 ** min(reads, 20), _LONGEST_READ_DELAY))


def advance(sync: Sync | None, heard: Heard, hash_user: Callable[[str], str]) -> Sync:
    """Return the next state of a sync after `heard`.

    What Amplitude accepted stays; what was sent keeps its body; a reason to skip stops everything else at once.
    """
    if sync is None:
        sync = Sync(
            connection=heard.connection.name,
            interview_id=heard.interview.interview_id,
            status=SyncStatus.PENDING,
            first_received_at=heard.at,
            updated_at=heard.at,
        )
    if sync.status is SyncStatus.SYNCED and not (heard.force or sync.force):
        return sync
    sync = replace(
        sync,
        facts=merge(sync.facts, heard.interview),
        updated_at=heard.at,
        given=sync.given or heard.given,
        reads=sync.reads + heard.read if not heard.force else 0,
        force=sync.force or heard.force,
        run_id=heard.run_id or sync.run_id,
        backfill=sync.backfill or heard.run_id is not None,
    )
    return _settle_on(sync, _decision(sync, heard), heard, hash_user)


def _decision(sync: Sync, heard: Heard) -> Decision:
    assert sync.facts is not None  # noqa: S101 - advance has just set it
    if sync.force and not heard.read and not heard.given and not sync.facts.anonymous:
        return Decision(Verdict.PENDING, "waiting_for_koji")
    return decide(
        sync.facts,
        heard.connection,
        was_read=heard.read,
        given=sync.given,
        backfill=sync.backfill,
        gave_up=heard.read and heard.at - sync.first_received_at >= GIVE_UP_AFTER,
    )


def _settle_on(sync: Sync, decision: Decision, heard: Heard, hash_user: Callable[[str], str]) -> Sync:
    accepted = sync.status is SyncStatus.SYNCED
    perhaps_accepted = accepted or sync.unknown_since is not None
    if decision.verdict is Verdict.PENDING:
        if sync.frozen_at and not sync.force:
            return sync
        return _read(sync, decision, heard)
    if decision.verdict in (Verdict.SKIP, Verdict.FAIL):
        return _end(sync, decision, accepted=accepted)
    if sync.frozen_at and not sync.force:
        return sync
    if sync.force and perhaps_accepted and sync.event is not None:
        return replace(sync, stage=Stage.SEND, due=heard.at, reason=sync.reason if accepted else None)
    return _send(sync, decision, heard, hash_user)


def _read(sync: Sync, decision: Decision, heard: Heard) -> Sync:
    configured = heard.connection.koji_api_key is not None
    return replace(
        sync,
        status=sync.status if sync.force and sync.status is SyncStatus.SYNCED else SyncStatus.PENDING,
        reason=decision.reason if configured else "not_configured",
        stage=Stage.READ,
        due=heard.at + read_delay(sync.reads - 1) if heard.read else heard.at,
    )


def _end(sync: Sync, decision: Decision, *, accepted: bool) -> Sync:
    if accepted:
        return replace(sync, stage=None, due=None, force=False)
    if sync.status is SyncStatus.FAILED and sync.frozen_at and not sync.force:
        return sync
    ended = replace(
        sync,
        status=SyncStatus.SKIPPED if decision.verdict is Verdict.SKIP else SyncStatus.FAILED,
        reason=decision.reason,
        stage=None,
        due=None,
        force=False,
    )
    if sync.sending_since is not None:
        return ended  # in flight: the settlement keeps what Amplitude accepts and clears the rest
    ended = replace(
        ended,
        user_id=decision.user_id,
        user_hash=None,
        identify=None,
        event=None,
        frozen_at=None,
    )
    return _nobody(ended) if decision.reason == "anonymous" else ended


def _nobody(sync: Sync) -> Sync:
    """Forget whatever could tell who an anonymous respondent is."""
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    return replace(sync, facts=replace(sync.facts, respondent_email=None, external_id=None), attempts=())


def _send(sync: Sync, decision: Decision, heard: Heard, hash_user: Callable[[str], str]) -> Sync:
    assert sync.facts is not None  # noqa: S101 - a decision was made over it
    assert decision.user_id is not None  # noqa: S101 - SYNC has one
    completed_at = completion(sync.facts) or sync.first_received_at
    writes = mapping.writes(
        sync.facts,
        user_id=decision.user_id,
        completed_at=completed_at,
        koji_project_id=heard.connection.koji_project_id,
        backfill=sync.backfill,
    )
    return replace(
        sync,
        status=SyncStatus.PENDING,
        reason=None if heard.connection.amplitude_api_key else "not_configured",
        stage=Stage.HOLD if sync.backfill and sync.run_id else Stage.SEND,
        due=heard.at,
        completed_at=completed_at,
        user_id=decision.user_id,
        user_hash=hash_user(decision.user_id),
        identify=writes.identify,
        event=writes.event,
        frozen_at=None,
        tries=0,
    )


def replay(
    sync: Sync, connection: Connection, now: int, hash_user: Callable[[str], str], *, force: bool
) -> Sync:
    """Return the state of a sync that somebody wants done again.

    Refused ones go out as they were; those never sent are decided over anew. A send of unknown outcome goes out
    again only with `force`, because it may count twice once Amplitude has forgotten the first.
    """
    heard = Heard(
        connection=connection,
        interview=sync.facts or Interview(sync.interview_id),
        at=now,
        given=sync.given,
        force=force,
    )
    if force:
        return advance(sync, replace(heard, given=sync.given and connection.koji_api_key is None), hash_user)
    if sync.status is SyncStatus.PENDING:
        return replace(sync, due=now)
    if sync.status is SyncStatus.SYNCED or sync.unknown_since is not None:
        return sync
    if sync.frozen_at is not None:
        return replace(
            sync, status=SyncStatus.PENDING, reason=None, stage=Stage.SEND, due=now, tries=0, updated_at=now
        )
    return advance(sync, heard, hash_user)
