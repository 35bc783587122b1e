"""Leases and pauses of lanes, and faults of workers. Times are in ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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


class ConnectionPause(NamedTuple):
    """Why a connection's calls to an upstream (koji or amplitude) pause, since `since`.

    It outlives the pauses of lanes: it ends with the first call that the upstream accepts. `announced` says
    that its event is stored; Koji is unreachable for some minutes before that.
    """

    connection: str
    upstream: str
    reason: str
    message: str
    since: int
    announced: bool


class Fault(NamedTuple):
    """A job of a worker whose last attempt ended in an exception that no code foresaw.

    The job is tried again at `due`; with None it is parked. An empty `job` is the worker itself.
    """

    worker: str
    job: str
    connection: str
    error: str
    tries: int
    at: int
    due: int | None
