"""Steer the study, the pay-off and the sandbox as a whole: their control routes."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.bodies import Strict
from connector.sandbox.control.base import route
from connector.sandbox.koji.respondents import STEP
from connector.sandbox.state import Sandbox
from connector.sandbox.study.payoff import payoff
from connector.sandbox.study.study import COHORT_ID


class Study(Strict):
    """A study to run; `pace_per_second` null completes all interviews at once."""

    people: int = Field(60, ge=1)
    seed: int | None = None
    pace_per_second: float | None = Field(None, gt=0)
    interviews: bool = True
    user_ids: bool = False


class Answers(Strict):
    """How many interviews are answered; null: all."""

    limit: int | None = None


def study_routes(sandbox: Sandbox) -> list[Route]:
    """List the routes below `/control`."""
    study = sandbox.study

    def summary(_request: Request) -> Any:
        return sandbox.summary()

    def reset(_request: Request) -> Any:
        sandbox.reset()
        return sandbox.summary()

    def run(_request: Request, wanted: Study) -> Any:
        seed = sandbox.options.seed if wanted.seed is None else wanted.seed
        study.enrol(wanted.people, seed, user_ids=wanted.user_ids)
        if wanted.interviews:
            study.interview_everyone(wanted.pace_per_second)
        return {
            "people": len(study.people),
            "cohort_id": COHORT_ID,
            "anonymous": sum(person.anonymous for person in study.people),
            "below_quality_gate": sum((person.result.quality_score or 0) < 3 for person in study.people),
        }

    def answer(_request: Request, wanted: Answers) -> Any:
        return {"answered": study.answer_started(wanted.limit)}

    def behaviour(_request: Request) -> Any:
        return {"step": STEP, **study.go_on()}

    def funnel(request: Request) -> Any:
        return payoff(sandbox.amplitude.store, request.query_params.get("step", STEP))

    return [
        route("GET", "/state", summary),
        route("POST", "/reset", reset),
        route("POST", "/study", run, Study),
        route("POST", "/study/answer", answer, Answers),
        route("POST", "/study/behaviour", behaviour),
        route("GET", "/payoff", funnel),
    ]
