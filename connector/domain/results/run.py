"""Runs: one call over many interviews."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is. `skipped` and `failed` count by reason; `unread` ones still wait for Koji."""

    run_id: str
    connection: str
    operation: str
    created_at: int
    total: int
    pending: int
    synced: int
    skipped: Mapping[str, int]
    failed: Mapping[str, int]
    unread: int
