"""Steer the Koji stand-in: its control routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from types import NoneType
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.control.base import MissingError, fault_routes, newest, page, route, texts
from connector.sandbox.koji.respondents import result_for
from connector.sandbox.koji.store import READ_FIELDS, Interview, Result
from connector.sandbox.options import PERMISSIONS, WEBHOOK_EVENTS, Envelope, Payload, Scheme, WebhookEndpoint
from connector.sandbox.state import Sandbox

ENDPOINT_FIELDS: Final = frozenset({"verify", *(field.name for field in fields(WebhookEndpoint))})
RESULT_FIELDS: Final = frozenset(field.name for field in fields(Result))
LISTS: Final = frozenset({"themes", "insights", "structured_answers"})
PERSON_FIELDS: Final = (
    "interview_id",
    "external_id",
    "display_name",
    "email",
    "metadata",
    "mode",
    "locale",
    "anonymous",
)
STATES: Final = ("active", "processing", "completed")
SWITCH_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "credits_exhausted": (bool,),
    "redirect_to": (str, NoneType),
    "link_in_start": (bool,),
    "second_complete_status": (int,),
    "analysis_seconds": (int, float),
}
SWITCHES: Final = frozenset({"permissions", "read_omits", *SWITCH_TYPES})


class KojiControl:
    """Look at and change what the Koji stand-in does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._project = sandbox.koji
        self._seed = sandbox.options.seed
        self._key = sandbox.options.koji_api_key

    def routes(self) -> list[Route]:
        """List the routes below `/control`."""
        interview = "/koji/interviews/{interview_id}"
        return [
            route("GET", "/koji/interviews", self._list),
            route("POST", "/koji/interviews", self._create, {*PERSON_FIELDS, *RESULT_FIELDS, "state"}),
            route("GET", interview, self._get),
            route("POST", f"{interview}/deliver", self._deliver, {"event", "times"}),
            route("GET", "/koji/webhook", self._get_webhook),
            route("PUT", "/koji/webhook", self._save_webhook, ENDPOINT_FIELDS),
            route("DELETE", "/koji/webhook", self._drop_webhook),
            route("GET", "/koji/deliveries", self._deliveries),
            route("GET", "/koji/calls", self._calls),
            route("GET", "/koji/switches", self._switches),
            route("POST", "/koji/switches", self._set_switches, SWITCHES),
            *fault_routes("/koji/faults", self._project.faults),
        ]

    def _list(self, request: Request, _data: Any) -> Any:
        total, interviews = page(request, self._project.store.interviews.values())
        return {"total": total, "interviews": [self._summary(interview) for interview in interviews]}

    def _get(self, request: Request, _data: Any) -> Any:
        return self._summary(self._interview(request))

    def _create(self, _request: Request, data: dict[str, Any]) -> Any:
        state = data.get("state", "completed")
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}.")
        interview = self._project.store.add(**{key: data[key] for key in PERSON_FIELDS if key in data})
        usual = result_for(self._seed, interview.email or interview.interview_id)
        values: dict[str, Any] = {
            key: tuple(data[key]) if key in LISTS and isinstance(data[key], list) else data[key]
            for key in RESULT_FIELDS & data.keys()
        }
        interview.result = replace(usual, **values)
        if state != "active":
            self._project.finish(interview, analysis_seconds=0.0 if state == "completed" else None)
        return self._summary(interview)

    def _deliver(self, request: Request, data: dict[str, Any]) -> Any:
        interview = self._interview(request)
        event, times = data.get("event", "interview.analysis_ready"), data.get("times", 1)
        if event not in WEBHOOK_EVENTS:
            raise ValueError(f"event must be one of {', '.join(sorted(WEBHOOK_EVENTS))}.")
        if not self._project.sender.send(event, interview, times=times):
            raise ValueError("No webhook endpoint takes this event; save one with PUT /control/koji/webhook.")
        return {"queued": times}

    def _interview(self, request: Request) -> Interview:
        interview = self._project.store.interviews.get(request.path_params["interview_id"])
        if interview is None:
            raise MissingError("No such interview.")
        return interview

    def _summary(self, interview: Interview) -> dict[str, Any]:
        """Return all that the stand-in knows of an interview, its session token too."""
        names = (*PERSON_FIELDS, "session_token", "status", "reason")
        results = ("quality_score", "themes", "sentiment")
        return {
            **{name: getattr(interview, name) for name in names},
            **{name: getattr(interview.result, name) for name in results},
            "analysis_status": self._project.store.analysis_status(interview),
        }

    def _get_webhook(self, _request: Request, _data: Any) -> Any:
        endpoint = self._project.sender.endpoint
        if endpoint is None:
            return {"url": None}
        shown = {key: value for key, value in asdict(endpoint).items() if key != "secret"}
        return {**shown, "events": sorted(endpoint.events)}

    async def _save_webhook(self, request: Request, data: dict[str, Any]) -> Any:
        verify = data.pop("verify", True)
        endpoint = _parse_endpoint(data)
        if not verify:
            self._project.sender.endpoint = endpoint
        elif (status := await self._project.sender.verify(endpoint)) != 200:
            raise ValueError(f"The endpoint was not saved: it answered {status} to the verification request.")
        return self._get_webhook(request, data)

    def _drop_webhook(self, request: Request, data: Any) -> Any:
        self._project.sender.endpoint = None
        return self._get_webhook(request, data)

    def _deliveries(self, request: Request, _data: Any) -> Any:
        log = [asdict(attempt) for attempt in self._project.sender.log]
        waiting = self._project.sender.waiting
        return {"total": len(log), "waiting": waiting, "deliveries": newest(request, log)}

    def _calls(self, request: Request, _data: Any) -> Any:
        seconds = float(request.query_params.get("seconds", 60))
        name = request.query_params.get("route")
        return {
            "total": len(self._project.calls),
            "refused_by_rate": sum(call.status == 429 for call in self._project.calls),
            "max_in_window": self._project.max_calls_in_any_window(seconds, route=name),
            "calls": [asdict(call) for call in self._project.calls if name in {None, call.route}],
        }

    def _set_switches(self, request: Request, data: dict[str, Any]) -> Any:
        switches = self._project.switches
        if "permissions" in data:
            switches.permissions[self._key] = texts("permissions", data.pop("permissions"), PERMISSIONS)
        if "read_omits" in data:
            switches.read_omits = texts("read_omits", data.pop("read_omits"), READ_FIELDS)
        if data.get("second_complete_status", 409) not in {200, 409}:
            raise ValueError("second_complete_status must be 200 or 409.")
        for name, value in data.items():
            if not isinstance(value, SWITCH_TYPES[name]):
                raise TypeError(f"{name} has the wrong type.")
            setattr(switches, name, value)
        return self._switches(request, data)

    def _switches(self, _request: Request, _data: Any) -> Any:
        switches = self._project.switches
        return {
            "permissions": sorted(switches.permissions[self._key]),
            "read_omits": sorted(switches.read_omits),
            **{name: getattr(switches, name) for name in SWITCH_TYPES},
        }


def _parse_endpoint(data: dict[str, Any]) -> WebhookEndpoint:
    """Read an endpoint from JSON. Raises ValueError that names the wrong field."""
    for name, allowed in (("scheme", Scheme), ("envelope", Envelope), ("payload", Payload)):
        if name in data and data[name] not in get_args(allowed):
            raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}.")
    if not str(data.get("url", "")).startswith(("http://", "https://")):
        raise ValueError("url must begin with http:// or https://.")
    if "events" in data:
        data["events"] = texts("events", data["events"], WEBHOOK_EVENTS)
    return WebhookEndpoint(**data)
