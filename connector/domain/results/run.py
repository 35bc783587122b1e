"""The interviews of a run until the worker begins them: in chunks, each of which is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from connector.text.json import dumps, loads

CHUNK: Final = 200
"""The items of a chunk, for whose transaction webhooks wait."""


class RunItem(NamedTuple):
    """One interview of a run. It begins as a member of a launch does, so that an erasure finds it."""

    user_id: None
    email: str | None
    interview_id: str
    completed_at: str | None = None


class RunChunk(NamedTuple):
    """Some items of a run that wait for the worker.

    `step` says what it does with them: `backfill`, `replay`, `force` (a replay that may count twice),
    `refresh` (a replay of the user properties alone), or `reread`, of which the items are ids of unreadable
    webhooks.
    """

    run_id: str
    connection: str
    step: str
    position: int
    items: Sequence[RunItem]

    @property
    def job(self) -> str:
        """Return the chunk's name as a job of the worker."""
        return f"{self.run_id}/{self.position}"


def chunks_of(items: Sequence[RunItem]) -> list[str]:
    """Return items as JSON texts, in chunks."""
    return [dumps([*map(list, items[at : at + CHUNK])]) for at in range(0, len(items), CHUNK)]


def items_of(chunk: str) -> list[RunItem]:
    """Return the items in a text of `chunks_of`."""
    return [RunItem(*each) for each in loads(chunk)]
