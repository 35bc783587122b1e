"""The tables of the ledger, by subject: the single description of the schema.

The columns of a table are the fields of the value that it stores, and what the ledger alone adds.

Times are milliseconds since the epoch. After pruning, `sync` keeps what promises depend on: the interview id
with its outcome, the keyed hash of the user and the completion time. Columns that name or quote a person can
be null.
"""

from connector.ledger.db.schema import access, events, launches, people, results, runtime
from connector.ledger.db.schema.base import metadata

__all__ = ["access", "events", "launches", "metadata", "people", "results", "runtime"]
