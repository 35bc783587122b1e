"""The tables of the ledger, by subject: the single description of the schema.

Times are milliseconds since the epoch. What keeps a promise after pruning stays in `sync`: the interview id
with its outcome, the keyed hash of the user and the completion time. What names or quotes a person
can be nulled without breaking one.
"""

from connector.ledger.db.schema.access import answer, audit, audit_outcome, secret, token
from connector.ledger.db.schema.base import metadata
from connector.ledger.db.schema.events import callback, event, hook, hook_delivery
from connector.ledger.db.schema.launches import (
    cohort_message,
    cohort_piece,
    cohort_told,
    credit,
    download,
    invitation,
    launch,
    launch_source,
)
from connector.ledger.db.schema.people import alias, forgetting
from connector.ledger.db.schema.results import counter, inbox, run, run_item, sync
from connector.ledger.db.schema.runtime import budget, lane, note

__all__ = [
    "alias",
    "answer",
    "audit",
    "audit_outcome",
    "budget",
    "callback",
    "cohort_message",
    "cohort_piece",
    "cohort_told",
    "counter",
    "credit",
    "download",
    "event",
    "forgetting",
    "hook",
    "hook_delivery",
    "inbox",
    "invitation",
    "lane",
    "launch",
    "launch_source",
    "metadata",
    "note",
    "run",
    "run_item",
    "secret",
    "sync",
    "token",
]
