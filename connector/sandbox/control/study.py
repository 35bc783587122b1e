"""Steer the study, the pay-off and the sandbox as a whole: their control routes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.control.base import route
from connector.sandbox.koji.respondents import STEP
from connector.sandbox.state import Sandbox
from connector.sandbox.study.payoff import payoff
from connector.sandbox.study.study import COHORT_ID

STUDY_FIELDS = frozenset({"people", "seed", "pace_per_second", "interviews", "user_ids"})


def study_routes(sandbox: Sandbox) -> list[Route]:
    """List the routes below `/control`."""
    study = sandbox.study

    def summary(_request: Request, _data: Any) -> Any:
        return sandbox.summary()

    def reset(_request: Request, _data: Any) -> Any:
        sandbox.reset()
        return sandbox.summary()

    def run(_request: Request, data: dict[str, Any]) -> Any:
        people, seed = data.get("people", 60), data.get("seed", sandbox.options.seed)
        if type(people) is not int or people < 1:
            raise ValueError("people must be a whole number from 1.")
        pace = data.get("pace_per_second")
        if pace is not None and not (isinstance(pace, int | float) and pace > 0):
            raise ValueError("pace_per_second must be a number above 0, or null for all at once.")
        study.enrol(people, seed, user_ids=data.get("user_ids", False) is True)
        if data.get("interviews", True):
            study.interview_everyone(pace)
        return {
            "people": len(study.people),
            "cohort_id": COHORT_ID,
            "anonymous": sum(person.anonymous for person in study.people),
            "below_quality_gate": sum((person.result.quality_score or 0) < 3 for person in study.people),
        }

    def answer(_request: Request, data: dict[str, Any]) -> Any:
        return {"answered": study.answer_started(data.get("limit"))}

    def behaviour(_request: Request, _data: Any) -> Any:
        return {"step": STEP, **study.go_on()}

    def funnel(request: Request, _data: Any) -> Any:
        return payoff(sandbox.amplitude.store, request.query_params.get("step", STEP))

    return [
        route("GET", "/state", summary),
        route("POST", "/reset", reset),
        route("POST", "/study", run, STUDY_FIELDS),
        route("POST", "/study/answer", answer, {"limit"}),
        route("POST", "/study/behaviour", behaviour),
        route("GET", "/payoff", funnel),
    ]
