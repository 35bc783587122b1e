"""PURE: how fast rows are worth sending: about as fast as Koji lets interviews be started."""

from __future__ import annotations

from connector.settings.model import Connection

WAIT_SECONDS = 6
"""How long a batch waits for its ends; what is stored by then and waits on counts as accepted."""

_LARGEST = 50


def sync_speed(connection: Connection) -> dict[str, int]:
    """Return the answer to `get_sync_speed`: a batch is what Koji takes while it waits, one at a time.

    One start is in flight per key, so that parallel batches would only queue. Links cost no call.
    """
    a_minute = connection.koji_rate_limit_per_minute
    if connection.koji_invite_by == "link":
        a_minute = 60 * _LARGEST
    return {
        "maximum_batch_size": min(_LARGEST, max(1, a_minute * WAIT_SECONDS // 60)),
        "maximum_parallel_batches": 1,
        "maximum_records_per_second": min(_LARGEST, max(1, a_minute // 60)),
    }
