"""The control routes of the study, the pay-off and the sandbox as a whole."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.control.base import json_object, route
from connector.sandbox.koji.respondents import STEP
from connector.sandbox.state import Sandbox
from connector.sandbox.study.payoff import payoff
from connector.sandbox.study.study import COHORT_ID


class StudyControl:
    """Run the study and look at what came of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """List the routes below `/control`."""
        return [
            route("/state", self._state, "GET"),
            route("/reset", self._reset, "POST"),
            route("/study", self._run, "POST"),
            route("/study/answer", self._answer, "POST"),
            route("/study/behaviour", self._behaviour, "POST"),
            route("/payoff", self._payoff, "GET"),
        ]

    async def _state(self, _request: Request) -> Any:
        return self._sandbox.summary()

    async def _reset(self, _request: Request) -> Any:
        self._sandbox.reset()
        return self._sandbox.summary()

    async def _run(self, request: Request) -> Any:
        data = await json_object(request, {"people", "seed", "pace_per_second", "interviews", "user_ids"})
        people, seed = data.get("people", 60), data.get("seed", self._sandbox.options.seed)
        if type(people) is not int or people < 1:
            raise ValueError("people must be a whole number from 1.")
        pace = data.get("pace_per_second")
        if pace is not None and not (isinstance(pace, int | float) and pace > 0):
            raise ValueError("pace_per_second must be a number above 0, or null for all at once.")
        self._sandbox.study.enrol(people, seed, user_ids=data.get("user_ids", False) is True)
        if data.get("interviews", True):
            self._sandbox.study.interview_everyone(pace)
        enrolled = self._sandbox.study.people
        return {
            "people": len(enrolled),
            "cohort_id": COHORT_ID,
            "anonymous": sum(person.anonymous for person in enrolled),
            "below_quality_gate": sum((person.result.quality_score or 0) < 3 for person in enrolled),
        }

    async def _answer(self, request: Request) -> Any:
        data = await json_object(request, {"limit"})
        return {"answered": self._sandbox.study.answer_started(data.get("limit"))}

    async def _behaviour(self, _request: Request) -> Any:
        return {"step": STEP, **self._sandbox.study.go_on()}

    async def _payoff(self, request: Request) -> Any:
        return payoff(self._sandbox.amplitude.store, request.query_params.get("step", STEP))
