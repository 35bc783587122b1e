"""Between rows of the `sync` table and the values that the rest of the connector uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.sync import Sync
from connector.text.json import dumps, loads

# in the order of the fields of `Sync`, so that a row becomes one without naming them
SYNC_COLUMNS = {
    "connection": "text",
    "interview_id": "text",
    "status": "text",
    "first_received_at": "bigint",
    "updated_at": "bigint",
    "reason": "text",
    "stage": "text",
    "due": "bigint",
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
    "respondent": "bigint",
    "external": "bigint",
}

ATTEMPTS_KEPT = 20
_AT = {name: position for position, name in enumerate(SYNC_COLUMNS)}
_STATUS_AT, _STAGE_AT, _FACTS_AT, _ATTEMPTS_AT = (
    _AT[name] for name in ("status", "stage", "facts", "attempts")
)
_PRUNED_AT = _AT["pruned_at"]
_BOOLEANS_AT = tuple(_AT[name] for name, kind in SYNC_COLUMNS.items() if kind == "boolean")
_STATUS = {status.value: status for status in SyncStatus}
_STAGE: Mapping[str | None, Stage | None] = {None: None, **{stage.value: stage for stage in Stage}}


def dump_facts(facts: Interview | None) -> str | None:
    """Return what is known of an interview as JSON text, without what is not."""
    return None if facts is None else dumps(facts.known_fields())


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
    values: list[Any] = list(sync)
    values[_FACTS_AT] = dump_facts(sync.facts)
    values[_ATTEMPTS_AT] = dump_attempts(sync.attempts)
    if sync.facts is not None:
        values[_PRUNED_AT] = None  # something is known again, and must be pruned again
    return values


def load_sync(row: Sequence[Any]) -> Sync:
    """Return the sync behind a row of `SYNC_COLUMNS`; what follows them does not matter."""
    values = list(row[: len(SYNC_COLUMNS)])
    values[_STATUS_AT] = _STATUS[values[_STATUS_AT]]
    values[_STAGE_AT] = _STAGE[values[_STAGE_AT]]
    values[_FACTS_AT] = load_facts(values[_FACTS_AT])
    values[_ATTEMPTS_AT] = tuple(loads(values[_ATTEMPTS_AT] or "[]"))
    for at in _BOOLEANS_AT:
        values[at] = bool(values[at])
    return Sync._make(values)
