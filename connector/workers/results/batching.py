"""Which interviews go together in one request to Amplitude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from connector.domain.results.sync import Outgoing, Settlement
from connector.workers.results.settlement import back

LARGEST_REQUEST = 900_000
MOST_OF_ONE_USER = 15  # Amplitude HTTP V2: 30 events a second, and an interview is two


def by_user_rate(taken: Sequence[Outgoing], now: int) -> tuple[list[Outgoing], list[Settlement]]:
    """Return what may go now, and put off what would take one user over Amplitude's 30 events a second.

    Amplitude HTTP V2 refuses the whole request for such a user; sent together they would be refused for ever.
    """
    going: list[Outgoing] = []
    later: list[Settlement] = []
    seen: Counter[str | None] = Counter()
    for one in taken:
        second = seen[one.sync.user_id] // MOST_OF_ONE_USER
        seen[one.sync.user_id] += 1
        if second:
            later.append(back(one, now + second * 1000))
        else:
            going.append(one)
    return going, later


def parts(taken: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Split into requests that stay below Amplitude's size limit (1 MB; 900 KB leaves room)."""
    parts: list[list[Outgoing]] = [[]]
    size = 0
    for one in taken:
        bytes_ = len((one.sync.event or "").encode()) + len((one.sync.identify or "").encode())
        if parts[-1] and size + bytes_ > LARGEST_REQUEST:
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += bytes_ + 2
    return parts


def events_of(part: Sequence[Outgoing]) -> tuple[list[str], list[str], list[int]]:
    """Return events, their user ids, and for each event the position of its interview."""
    events: list[str] = []
    user_ids: list[str] = []
    owners: list[int] = []
    for position, one in enumerate(part):
        mine = [one.sync.identify] if one.identify and one.sync.identify else []
        for event in (*mine, one.sync.event or "{}"):
            events.append(event)
            user_ids.append(one.sync.user_id or "")
            owners.append(position)
    return events, user_ids, owners
