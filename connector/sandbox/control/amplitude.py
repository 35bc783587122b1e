"""Steer the Amplitude stand-in: its control routes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import parse_cohort
from connector.sandbox.amplitude.ingestion import Rules
from connector.sandbox.amplitude.store import User
from connector.sandbox.control.base import MissingError, fault_routes, newest, page, route
from connector.sandbox.state import Sandbox


class AmplitudeControl:
    """Look at and change what the Amplitude stand-in does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._project = sandbox.amplitude

    def routes(self) -> list[Route]:
        """List the routes below `/control`."""
        return [
            route("GET", "/amplitude/events", self._events),
            route("GET", "/amplitude/users", self._users),
            route("GET", "/amplitude/requests", self._requests),
            route("GET", "/amplitude/rules", self._rules),
            route("POST", "/amplitude/rules", self._set_rules, Rules),
            route("POST", "/amplitude/cohorts", self._put_cohort, dict[str, Any]),
            *fault_routes("/amplitude/faults", self._project.faults),
        ]

    def _events(self, request: Request) -> Any:
        query = request.query_params
        events = self._project.store.find(event_type=query.get("event_type"), user_id=query.get("user_id"))
        total, chosen = page(request, events)
        return {"total": total, "events": [event.as_json() for event in chosen]}

    def _users(self, request: Request) -> Any:
        users = self._project.store.users
        if (user_id := request.query_params.get("user_id")) is None:
            total, chosen = page(request, users.values())
            return {"total": total, "users": [_user_json(user) for user in chosen]}
        if user_id not in users:
            raise MissingError("No such user.")
        return _user_json(users[user_id])

    def _requests(self, request: Request) -> Any:
        return {"total": self._project.requests_total, "requests": newest(request, self._project.requests)}

    def _set_rules(self, request: Request, given: Rules) -> Any:
        self._project.rules = self._project.rules.updated(given)
        return self._rules(request)

    def _rules(self, _request: Request) -> Any:
        return self._project.rules.model_dump(mode="json")

    def _put_cohort(self, _request: Request, data: dict[str, Any]) -> Any:
        cohort = parse_cohort(data)
        self._project.cohorts.put(cohort)
        return cohort.as_json(sync_info=False)


def _user_json(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "amplitude_id": user.amplitude_id,
        "device_ids": sorted(user.device_ids),
        "user_properties": dict(user.properties),
    }
