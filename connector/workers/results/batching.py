"""Divide interviews into requests to Amplitude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from connector.domain.results.mapping import identify_again
from connector.domain.results.sync import Outgoing, Settlement
from connector.workers.results.settlement import put_back

LARGEST_REQUEST = 900_000
MOST_OF_ONE_USER = 15  # Amplitude HTTP V2: 30 events a second, and an interview has two


def by_user_rate(taken: Sequence[Outgoing], now: int) -> tuple[list[Outgoing], list[Settlement]]:
    """Return the interviews to send now; postpone interviews beyond a user's 30 events a second.

    If one user exceeds that rate, Amplitude HTTP V2 always refuses the whole request.
    """
    going: list[Outgoing] = []
    later: list[Settlement] = []
    seen: Counter[str | None] = Counter()
    for outgoing in taken:
        second = seen[outgoing.sync.user_id] // MOST_OF_ONE_USER
        seen[outgoing.sync.user_id] += 1
        if second:
            later.append(put_back(outgoing, now + second * 1000))
        else:
            going.append(outgoing)
    return going, later


def parts(taken: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Split interviews into requests below Amplitude's size limit (1 MB; 900 KB leaves room)."""
    parts: list[list[Outgoing]] = [[]]
    size = 0
    for outgoing in taken:
        bytes_ = sum(len((text or "").encode()) for text in (outgoing.sync.event, outgoing.sync.identify))
        if parts[-1] and size + bytes_ > LARGEST_REQUEST:
            parts.append([])
            size = 0
        parts[-1].append(outgoing)
        size += bytes_ + 2
    return parts


def events_of(part: Sequence[Outgoing], now: int) -> tuple[list[str], list[str], list[int]]:
    """Return events, their user ids, and for each event the position of its interview; `now` is in ms."""
    events: list[str] = []
    owners: list[int] = []
    for position, outgoing in enumerate(part):
        sync = outgoing.sync
        own = [sync.identify] if outgoing.identify and sync.identify else []
        own = [identify_again(text, now) for text in own] if sync.is_refresh else [*own, sync.event or "{}"]
        events += own
        owners += [position] * len(own)
    user_ids = [part[position].sync.user_id or "" for position in owners]
    return events, user_ids, owners
