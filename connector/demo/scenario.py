"""Play the demo's story: a cohort is launched and answers, with trouble in the middle."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from connector.demo.calls import Calls
from connector.domain.results.mapping import EVENT_TYPE
from connector.sandbox.koji.respondents import Respondent, respondent, study
from connector.sandbox.study.study import COHORT_ID
from connector.settings.model import Connection

PEOPLE: Final = 60
MIN_QUALITY: Final = Connection().connector_min_quality
OUTAGE_SECONDS: Final = 5.0
_SEED: Final = 5
_ANSWERS_A_LOOK: Final = 2
_OUTAGE_AFTER: Final = 20  # completed interviews
_REPEAT_AFTER: Final = 30  # completed interviews
_REPEATED: Final = 6
_LOOK_EVERY: Final = 0.25  # seconds
_PATIENCE_SECONDS: Final = 90.0
_WAITS_FOR_KOJI: Final = frozenset({"waiting_for_koji", "analysis_not_ready"})
_COHORT: Final[dict[str, Any]] = {"cohort_id": COHORT_ID, "mode": "text", "wait_seconds": 20}
_STUDY: Final = {"people": PEOPLE, "seed": _SEED, "interviews": False, "user_ids": True}
_MORE: Final = range(PEOPLE + 1, PEOPLE + 41)
_OUTAGE: Final = (
    # the first request is accepted and its answer lost, so that it is sent again and must not count twice
    {"kind": "status_after_accept", "status": 504, "times": 1, "route": "httpapi"},
    {"kind": "status", "status": 503, "times": None, "route": "httpapi"},
)


class Weather(Enum):
    """The state of Amplitude."""

    FINE = "fine"
    DOWN = "down"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment. `elapsed` and `back_in` are seconds; other numbers count people, or webhooks by name.

    `kept` interviews are meant for Amplitude and wait in the connector's ledger.
    """

    elapsed: float
    started: int
    completed: int
    webhooks_acknowledged: int
    webhooks_repeated: int
    arrived: int
    kept: int
    skipped: int
    failed: int
    weather: Weather
    back_in: float = 0.0


class Story:
    """The course of the demo. `refused` is the person whose events Amplitude refuses."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.refused = _person_to_refuse(study(_SEED, PEOPLE, user_ids=True))
        self._began = 0.0
        self._down_since: float | None = None
        self._weather = Weather.FINE
        self._repeated = False

    def prepare(self) -> dict[str, Any]:
        """Make the cohort and plan its launch; return the plan. Raises DemoError."""
        self._calls.register_webhook()
        self._calls.control_sandbox("amplitude/rules", {"silenced_users": [self.refused.user_id]})
        self._calls.control_sandbox("study", _STUDY)
        return self._calls.call_operation("plan_cohort_launch", **_COHORT)

    def play(self, plan: Mapping[str, Any]) -> Iterator[Snapshot]:
        """Launch the plan and yield snapshots, the last one when all is quiet. Raises DemoError."""
        self._calls.call_operation("launch_cohort_interviews", plan_token=plan["plan_token"], wait_seconds=0)
        self._began = time.monotonic()
        while True:
            time.sleep(_LOOK_EVERY)
            self._calls.control_sandbox("study/answer", {"limit": _ANSWERS_A_LOOK})
            state = self._calls.read_sandbox("state")
            snapshot, pending = self._snapshot(state)
            self._meddle(snapshot)
            yield snapshot
            if self._is_quiet(state["koji"], snapshot, pending):
                return
            if snapshot.elapsed > _PATIENCE_SECONDS:
                raise self._calls.trouble(
                    f"Not done after {_PATIENCE_SECONDS:.0f} s: {snapshot.completed} interviews completed, "
                    f"{snapshot.arrived} arrived, {snapshot.skipped} skipped, {snapshot.failed} failed, "
                    f"{pending} pending."
                )

    def launch_again(self) -> dict[str, Any]:
        """Launch the same cohort once more; return the launch, which ought to invite no person."""
        return self._calls.call_operation("launch_cohort_interviews", **_COHORT)

    def leave_people_to_ask(self) -> None:
        """Make a cohort of other people, for whoever looks around: of the first one everybody was asked."""
        members = [
            {
                "user_id": one.user_id,
                "properties": {"email": one.email, "name": one.display_name, "plan": "pro"},
            }
            for one in (respondent(_SEED, number, user_ids=True) for number in _MORE)
        ]
        self._calls.control_sandbox(
            "amplitude/cohorts", {"id": "power-users", "name": "Power users", "members": members}
        )

    def _snapshot(self, state: dict[str, Any]) -> tuple[Snapshot, int]:
        """Return a snapshot, and how many syncs are pending for any reason."""
        acknowledged = acknowledged_webhooks(self._calls)
        syncs = self._calls.syncs()
        by_status = [sync["status"] for sync in syncs]
        now = time.monotonic()
        return Snapshot(
            elapsed=now - self._began,
            started=state["koji"]["interviews"],
            completed=state["koji"]["interviews"] - state["koji"]["interviews_by_status"].get("active", 0),
            webhooks_acknowledged=len(acknowledged),
            webhooks_repeated=len(acknowledged) - len(set(acknowledged)),
            arrived=state["amplitude"]["events_by_type"].get(EVENT_TYPE, 0),
            kept=sum(s["status"] == "pending" and s["reason"] not in _WAITS_FOR_KOJI for s in syncs),
            skipped=by_status.count("skipped"),
            failed=by_status.count("failed"),
            weather=self._weather,
            back_in=max(0.0, self._down_since + OUTAGE_SECONDS - now) if self._down_since else 0.0,
        ), by_status.count("pending")

    def _meddle(self, now: Snapshot) -> None:
        """Begin and end the trouble when its time has come."""
        if self._weather is Weather.FINE and now.completed >= _OUTAGE_AFTER and now.arrived:
            self._calls.control_sandbox("amplitude/faults", _OUTAGE)
            self._weather, self._down_since = Weather.DOWN, time.monotonic()
        elif self._weather is Weather.DOWN and now.back_in <= 0:
            self._calls.control_sandbox("amplitude/faults", method="DELETE")
            self._weather = Weather.BACK
        if not self._repeated and now.completed >= _REPEAT_AFTER:
            self._repeat()

    def _repeat(self) -> None:
        """Let Koji send webhooks again, each twice: the second is a copy of the first to the byte."""
        for interview in self._calls.read_sandbox("koji/interviews", limit=_REPEATED)["interviews"]:
            self._calls.control_sandbox(f"koji/interviews/{interview['interview_id']}/deliver", {"times": 2})
        self._repeated = True

    def _is_quiet(self, koji: Mapping[str, Any], now: Snapshot, pending: int) -> bool:
        return (
            self._weather is Weather.BACK
            and self._repeated
            and now.completed == PEOPLE
            and not (koji["analyses_waiting"] or koji["deliveries_waiting"] or pending)
        )


def acknowledged_webhooks(calls: Calls) -> list[tuple[str, str]]:
    """Return (interview id, event) of every webhook that the connector answered with 200, repeats too."""
    attempts = calls.read_sandbox("koji/deliveries", limit=100_000)["deliveries"]
    return [(a["interview_id"], a["event"]) for a in attempts if a["status"] == 200 and a["interview_id"]]


def _person_to_refuse(people: list[Respondent]) -> Respondent:
    """Return a person from the middle of those with an interview that would be synced."""
    synced = [p for p in people if not p.anonymous and (p.result.quality_score or 0) >= MIN_QUALITY]
    return synced[len(synced) // 2]
