"""The tables of the ledger, by subject: the single description of the schema.

Times are milliseconds since the epoch. What keeps a promise after pruning stays in `sync`: the interview id
with its outcome, the keyed hash of the user and the completion time. What names or quotes a person
can be nulled without breaking one.
"""

from connector.ledger.db.schema import access, events, launches, people, results, runtime
from connector.ledger.db.schema.base import metadata

__all__ = ["access", "events", "launches", "metadata", "people", "results", "runtime"]
