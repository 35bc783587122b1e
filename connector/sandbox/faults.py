"""Scripted trouble: a queue of faults that one stand-in works through, one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

FaultKind = Literal[
    "status",
    "status_after_accept",
    "waf",
    "slow",
    "redirect",
    "not_json",
    "cut",
    "cut_after_accept",
    "throttle_unnamed",
]
KINDS: Final = frozenset(get_args(FaultKind))
CONTINUES: Final = frozenset({"slow", "status_after_accept", "cut_after_accept"})


@dataclass(slots=True, kw_only=True)
class Fault:
    """One scripted fault.

    - `status`: answer `status` (503 by default; 500, 502, 504, 408, 403, ...) and do nothing; `body` replaces
      the usual error body.
    - `status_after_accept`: do it, then answer `status` (500 by default).
    - `waf`: 403 for a request whose raw body contains `text`.
    - `slow`: wait `seconds`, then go on as usual.
    - `redirect`: `status` (307 by default) to `location`.
    - `not_json`: 200 with an HTML page, nothing done.
    - `cut`, `cut_after_accept`: close the connection in the middle of the answer.
    - `throttle_unnamed`: 429 that names nobody.

    `times` is how often it strikes (None: until cleared). `route` limits it to one route, such as "httpapi",
    "batch", "identify", "usersearch", "cohorts", "start", "message", "complete", "read".
    """

    kind: FaultKind
    status: int | None = None
    body: dict[str, Any] | None = None
    text: str = ""
    seconds: float = 0.0
    location: str = ""
    route: str | None = None
    times: int | None = 1

    def matches(self, route: str, body: bytes) -> bool:
        """Tell whether this fault strikes a request."""
        if self.route is not None and self.route != route:
            return False
        if self.kind == "waf":
            return self.text.encode() in body
        return True


class FaultQueue:
    """Faults in the order they were set; the first that matches a request strikes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, faults: Iterable[Fault]) -> None:
        """Set more faults behind those that stand."""
        self._faults.extend(faults)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def next(self, route: str, body: bytes) -> Fault | None:
        """Return the fault that strikes this request, and count it down."""
        for fault in self._faults:
            if fault.matches(route, body):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """List what is still to come."""
        return [asdict(fault) for fault in self._faults]


def parse_fault(data: Any) -> Fault:
    """Read one fault from JSON. Raises ValueError or TypeError that says what is wrong."""
    if not isinstance(data, dict):
        raise TypeError("A fault is an object with a kind.")
    known = {field.name for field in fields(Fault)}
    if unknown := set(data) - known:
        raise ValueError(f"Unknown fields of a fault: {', '.join(sorted(unknown))}.")
    if data.get("kind") not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}.")
    return Fault(**data)
