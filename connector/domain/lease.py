"""Leases and pauses of lanes, and faults of workers. Times are in ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


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
    since: int
    announced: bool


KOJI_CREDITS: Final = "koji_credits"
PAUSE_MESSAGES: Final = {
    "koji_key": "Koji refuses KOJI_API_KEY. Set the right key, then call check_connection.",
    "koji_permission": "KOJI_API_KEY lacks a permission. check_connection and get_launch say which.",
    KOJI_CREDITS: "The Koji project has no credits left. Buy some, then call resume_launch.",
    "koji_unreachable": "Koji is out of reach since ten minutes or more. The work continues once it answers.",
    "amplitude_key": "Amplitude refuses all requests. Look at AMPLITUDE_API_KEY, AMPLITUDE_REGION and "
    "AMPLITUDE_INGESTION_URL, then call check_connection.",
}
"""What to do, by the reason of a connection's pause. It quotes no upstream, whose words may name a person."""


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
