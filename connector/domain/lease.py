"""Leases and pauses of lanes. Times are in ms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work a lane until `until`; `token` fences off the writes of an owner that overslept."""

    lane: str
    owner: str
    token: int
    until: int
    paced_until: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a lane pauses: `code` for programs, `message` for people."""

    lane: str
    until: int
    code: str
    message: str
