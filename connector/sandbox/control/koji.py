"""The control routes of the Koji stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from types import NoneType
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.control.base import MissingError, fault_routes, json_object, newest, page, route, texts
from connector.sandbox.koji.respondents import result_for
from connector.sandbox.koji.store import READ_FIELDS, Interview, Result
from connector.sandbox.options import PERMISSIONS, WEBHOOK_EVENTS, Envelope, Payload, Scheme, WebhookEndpoint
from connector.sandbox.state import Sandbox
from connector.sandbox.study.study import interview_summary

ENDPOINT_FIELDS: Final = frozenset({"verify", *(one.name for one in fields(WebhookEndpoint))})
RESULT_FIELDS: Final = frozenset(one.name for one in fields(Result))
PERSON_FIELDS: Final = frozenset(
    {"interview_id", "external_id", "display_name", "email", "metadata", "mode", "locale", "anonymous"}
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
        return [
            route("/koji/interviews", self._list, "GET"),
            route("/koji/interviews", self._create, "POST"),
            route("/koji/interviews/{interview_id}", self._get, "GET"),
            route("/koji/interviews/{interview_id}/deliver", self._deliver, "POST"),
            route("/koji/webhook", self._get_webhook, "GET"),
            route("/koji/webhook", self._save_webhook, "PUT"),
            route("/koji/webhook", self._drop_webhook, "DELETE"),
            route("/koji/deliveries", self._deliveries, "GET"),
            route("/koji/calls", self._calls, "GET"),
            route("/koji/switches", self._get_switches, "GET"),
            route("/koji/switches", self._set_switches, "POST"),
            *fault_routes("/koji/faults", lambda: self._project.faults),
        ]

    async def _list(self, request: Request) -> Any:
        total, interviews = page(request, self._project.store.interviews.values())
        return {"total": total, "interviews": [interview_summary(self._project, one) for one in interviews]}

    async def _get(self, request: Request) -> Any:
        return interview_summary(self._project, self._interview(request))

    async def _create(self, request: Request) -> Any:
        data = await json_object(request, PERSON_FIELDS | RESULT_FIELDS | {"state"})
        state = data.get("state", "completed")
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}.")
        interview = self._project.store.add(**{key: data[key] for key in PERSON_FIELDS & data.keys()})
        usual = result_for(self._seed, interview.email or interview.interview_id)
        interview.result = Result(**{**asdict(usual), **_result(data)})
        if state == "completed":
            self._project.finish(interview, analysis_seconds=0.0)
        elif state == "processing":
            self._project.finish(interview)
        return interview_summary(self._project, interview)

    async def _deliver(self, request: Request) -> Any:
        interview = self._interview(request)
        data = await json_object(request, {"event", "times"})
        event, times = data.get("event", "interview.analysis_ready"), data.get("times", 1)
        if event not in WEBHOOK_EVENTS:
            raise ValueError(f"event must be one of {', '.join(sorted(WEBHOOK_EVENTS))}.")
        if not self._project.sender.send(event, interview, times=times):
            raise ValueError("No webhook endpoint takes this event; save one with PUT /control/koji/webhook.")
        return {"queued": times}

    def _interview(self, request: Request) -> Interview:
        found = self._project.store.interviews.get(request.path_params["interview_id"])
        if found is None:
            raise MissingError("No such interview.")
        return found

    async def _get_webhook(self, _request: Request) -> Any:
        return _endpoint_json(self._project.sender.endpoint)

    async def _save_webhook(self, request: Request) -> Any:
        data = await json_object(request, ENDPOINT_FIELDS)
        verify = data.pop("verify", True)
        endpoint = _parse_endpoint(data)
        if not verify:
            self._project.sender.endpoint = endpoint
        elif (status := await self._project.sender.verify(endpoint)) != 200:
            raise ValueError(f"The endpoint was not saved: it answered {status} to the verification request.")
        return _endpoint_json(endpoint)

    async def _drop_webhook(self, _request: Request) -> Any:
        self._project.sender.endpoint = None
        return _endpoint_json(None)

    async def _deliveries(self, request: Request) -> Any:
        log = [asdict(delivery) for delivery in self._project.sender.log]
        waiting = self._project.sender.waiting
        return {"total": len(log), "waiting": waiting, "deliveries": newest(request, log)}

    async def _calls(self, request: Request) -> Any:
        seconds = float(request.query_params.get("seconds", 60))
        name = request.query_params.get("route")
        return {
            "total": len(self._project.calls),
            "refused_by_rate": sum(call.status == 429 for call in self._project.calls),
            "max_in_window": self._project.max_calls_in_any_window(seconds, route=name),
            "calls": [asdict(call) for call in self._project.calls if name in {None, call.route}],
        }

    async def _get_switches(self, _request: Request) -> Any:
        return self._switches()

    async def _set_switches(self, request: Request) -> Any:
        data = await json_object(request, SWITCHES)
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
        return self._switches()

    def _switches(self) -> dict[str, Any]:
        switches = self._project.switches
        return {
            "permissions": sorted(switches.permissions[self._key]),
            "read_omits": sorted(switches.read_omits),
            **{name: getattr(switches, name) for name in SWITCH_TYPES},
        }


def _result(data: dict[str, Any]) -> dict[str, Any]:
    given = {key: data[key] for key in RESULT_FIELDS & data.keys()}
    for name in ("themes", "insights", "structured_answers"):
        if name in given:
            given[name] = tuple(given[name])
    return given


def _parse_endpoint(data: dict[str, Any]) -> WebhookEndpoint:
    for name, allowed in (("scheme", Scheme), ("envelope", Envelope), ("payload", Payload)):
        if name in data and data[name] not in get_args(allowed):
            raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}.")
    if not str(data.get("url", "")).startswith(("http://", "https://")):
        raise ValueError("url must begin with http:// or https://.")
    if "events" in data:
        data["events"] = texts("events", data["events"], WEBHOOK_EVENTS)
    return WebhookEndpoint(**data)


def _endpoint_json(endpoint: WebhookEndpoint | None) -> dict[str, Any]:
    if endpoint is None:
        return {"url": None}
    known = {key: value for key, value in asdict(endpoint).items() if key != "secret"}
    return {**known, "events": sorted(endpoint.events)}
