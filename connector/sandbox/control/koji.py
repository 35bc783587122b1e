"""Steer the Koji stand-in: its control routes."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any, Final

from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.bodies import Strict
from connector.sandbox.control.base import MissingError, fault_routes, newest, page, route
from connector.sandbox.koji.respondents import result_for
from connector.sandbox.koji.store import Interview, Result, Switches
from connector.sandbox.options import WebhookEndpoint, WebhookEvent
from connector.sandbox.state import Sandbox

RESULT_FIELDS: Final = frozenset(field.name for field in fields(Result))
STATES: Final = ("active", "processing", "completed")


class Delivery(Strict):
    """A webhook to send, again or not."""

    event: WebhookEvent = "interview.analysis_ready"
    times: int = 1


class NewWebhook(WebhookEndpoint):
    """An endpoint to save; `verify` first sends Koji's empty request to it."""

    url: str = Field(pattern="^https?://")
    verify: bool = True


class KojiControl:
    """Look at and change what the Koji stand-in does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._project = sandbox.koji
        self._seed = sandbox.options.seed

    def routes(self) -> list[Route]:
        """List the routes below `/control`."""
        interview = "/koji/interviews/{interview_id}"
        return [
            route("GET", "/koji/interviews", self._list),
            route("POST", "/koji/interviews", self._create, dict[str, Any]),
            route("GET", interview, self._get),
            route("POST", f"{interview}/deliver", self._deliver, Delivery),
            route("GET", "/koji/webhook", self._get_webhook),
            route("PUT", "/koji/webhook", self._save_webhook, NewWebhook),
            route("DELETE", "/koji/webhook", self._drop_webhook),
            route("GET", "/koji/deliveries", self._deliveries),
            route("GET", "/koji/calls", self._calls),
            route("GET", "/koji/switches", self._switches),
            route("POST", "/koji/switches", self._set_switches, Switches),
            *fault_routes("/koji/faults", self._project.faults),
        ]

    def _list(self, request: Request) -> Any:
        total, interviews = page(request, self._project.store.interviews.values())
        return {"total": total, "interviews": [self._summary(interview) for interview in interviews]}

    def _get(self, request: Request) -> Any:
        return self._summary(self._interview(request))

    def _create(self, _request: Request, data: dict[str, Any]) -> Any:
        """Make an interview from fields of `Interview` and `Result`; the others are as the study has them."""
        state = data.pop("state", "completed")
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}.")
        values = {name: data.pop(name) for name in RESULT_FIELDS & data.keys()}
        interview = self._project.store.add(**data)
        usual = result_for(self._seed, interview.email or interview.interview_id)
        interview.result = replace(usual, **values)
        if state != "active":
            self._project.finish(interview, analysis_seconds=0.0 if state == "completed" else None)
        return self._summary(interview)

    def _deliver(self, request: Request, wanted: Delivery) -> Any:
        interview = self._interview(request)
        if not self._project.sender.send(wanted.event, interview, times=wanted.times):
            raise ValueError("No webhook endpoint takes this event; save one with PUT /control/koji/webhook.")
        return {"queued": wanted.times}

    def _interview(self, request: Request) -> Interview:
        interview = self._project.store.interviews.get(request.path_params["interview_id"])
        if interview is None:
            raise MissingError("No such interview.")
        return interview

    def _summary(self, interview: Interview) -> dict[str, Any]:
        """Return all that the stand-in knows of an interview, its session token too."""
        return {
            **asdict(interview),
            **asdict(interview.result),
            "status": interview.status,
            "analysis_status": self._project.store.analysis_status(interview),
        }

    def _get_webhook(self, _request: Request) -> Any:
        endpoint = self._project.sender.endpoint
        return {"url": None} if endpoint is None else endpoint.model_dump(mode="json", exclude={"secret"})

    async def _save_webhook(self, request: Request, given: NewWebhook) -> Any:
        endpoint = WebhookEndpoint(**given.model_dump(exclude={"verify"}))
        if not given.verify:
            self._project.sender.endpoint = endpoint
        elif (status := await self._project.sender.verify(endpoint)) != 200:
            raise ValueError(f"The endpoint was not saved: it answered {status} to the verification request.")
        return self._get_webhook(request)

    def _drop_webhook(self, request: Request) -> Any:
        self._project.sender.endpoint = None
        return self._get_webhook(request)

    def _deliveries(self, request: Request) -> Any:
        log = [asdict(attempt) for attempt in self._project.sender.log]
        waiting = self._project.sender.waiting
        return {"total": len(log), "waiting": waiting, "deliveries": newest(request, log)}

    def _calls(self, request: Request) -> Any:
        seconds = float(request.query_params.get("seconds", 60))
        name = request.query_params.get("route")
        return {
            "total": len(self._project.calls),
            "refused_by_rate": sum(call.status == 429 for call in self._project.calls),
            "max_in_window": self._project.max_calls_in_any_window(seconds, route=name),
            "calls": [asdict(call) for call in self._project.calls if name in {None, call.route}],
        }

    def _set_switches(self, request: Request, given: Switches) -> Any:
        self._project.switches = self._project.switches.updated(given)
        return self._switches(request)

    def _switches(self, _request: Request) -> Any:
        return self._project.switches.model_dump(mode="json")
