"""Between rows of the `sync` table and the values that the rest of the connector uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from connector.json_text import dumps, loads
from connector.models import Interview, Stage, SyncStatus
from connector.ports import Sync

SYNC_COLUMNS = {
    "connection": "text",
    "interview_id": "text",
    "status": "text",
    "reason": "text",
    "stage": "text",
    "due": "bigint",
    "first_received_at": "bigint",
    "updated_at": "bigint",
    "completed_at": "bigint",
    "synced_at": "bigint",
    "facts": "text",
    "user_id": "text",
    "user_hash": "text",
    "identify": "text",
    "event": "text",
    "given": "boolean",
    "reads": "integer",
    "tries": "integer",
    "frozen_at": "bigint",
    "sending_since": "bigint",
    "unknown_since": "bigint",
    "attempts": "text",
    "run_id": "text",
    "backfill": "boolean",
    "force": "boolean",
    "pruned_at": "bigint",
}

ATTEMPTS_KEPT = 20
_FACTS = tuple((f.name, f.default) for f in fields(Interview))
_fields = attrgetter(*SYNC_COLUMNS)
_POSITION = {name: position for position, name in enumerate(SYNC_COLUMNS)}
_FACTS_AT, _ATTEMPTS_AT, _PRUNED_AT = (_POSITION[name] for name in ("facts", "attempts", "pruned_at"))
_STATUS = {status.value: status for status in SyncStatus}
_STAGE: Mapping[str | None, Stage | None] = {None: None, **{stage.value: stage for stage in Stage}}


def dump_facts(facts: Interview | None) -> str | None:
    """Return what is known of an interview as JSON text, without what is not."""
    if facts is None:
        return None
    return dumps({name: value for name, default in _FACTS if (value := getattr(facts, name)) != default})


def load_facts(text: str | None) -> Interview | None:
    """Return the interview behind JSON text."""
    if text is None:
        return None
    told = loads(text)
    if "themes" in told:
        told["themes"] = tuple(told["themes"])
    return Interview(**told)


def dump_attempts(attempts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return attempts as JSON text: of many, the first and the newest."""
    if len(attempts) > ATTEMPTS_KEPT:
        attempts = (*attempts[:1], *attempts[1 - ATTEMPTS_KEPT :])
    return dumps(attempts) if attempts else None


def dump_sync(sync: Sync) -> list[Any]:
    """Return a sync as values in the order of `SYNC_COLUMNS`."""
    values = list(_fields(sync))
    values[_FACTS_AT] = dump_facts(sync.facts)
    values[_ATTEMPTS_AT] = dump_attempts(sync.attempts)
    if sync.facts is not None:
        values[_PRUNED_AT] = None  # something is known again, and must be pruned again
    return values


def load_sync(row: Sequence[Any]) -> Sync:
    """Return the sync behind a row of `SYNC_COLUMNS`; what follows them does not matter."""
    (
        connection,
        interview_id,
        status,
        reason,
        stage,
        due,
        first_received_at,
        updated_at,
        completed_at,
        synced_at,
        facts,
        user_id,
        user_hash,
        identify,
        event,
        given,
        reads,
        tries,
        frozen_at,
        sending_since,
        unknown_since,
        attempts,
        run_id,
        backfill,
        force,
        pruned_at,
    ) = row[: len(SYNC_COLUMNS)]
    return Sync(
        connection=connection,
        interview_id=interview_id,
        status=_STATUS[status],
        reason=reason,
        stage=_STAGE[stage],
        due=due,
        first_received_at=first_received_at,
        updated_at=updated_at,
        completed_at=completed_at,
        synced_at=synced_at,
        facts=load_facts(facts),
        user_id=user_id,
        user_hash=user_hash,
        identify=identify,
        event=event,
        given=bool(given),
        reads=reads,
        tries=tries,
        frozen_at=frozen_at,
        sending_since=sending_since,
        unknown_since=unknown_since,
        attempts=tuple(loads(attempts)) if attempts else (),
        run_id=run_id,
        backfill=bool(backfill),
        force=bool(force),
        pruned_at=pruned_at,
    )
