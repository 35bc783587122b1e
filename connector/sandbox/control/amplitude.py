"""Steer the Amplitude stand-in: its control routes."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import COHORT_FIELDS, parse_cohort
from connector.sandbox.amplitude.store import User, derived_device_id
from connector.sandbox.control.base import MissingError, fault_routes, newest, page, route, texts
from connector.sandbox.state import Sandbox

SETS: Final = ("blocked_event_types", "silenced_devices", "throttled_ids", "over_daily_quota")
RULES: Final = frozenset({*SETS, "silenced_users", "throttle_events_per_second"})


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
            route("POST", "/amplitude/rules", self._set_rules, RULES),
            route("POST", "/amplitude/cohorts", self._put_cohort, COHORT_FIELDS),
            *fault_routes("/amplitude/faults", self._project.faults),
        ]

    def _events(self, request: Request, _data: Any) -> Any:
        query = request.query_params
        events = self._project.store.find(event_type=query.get("event_type"), user_id=query.get("user_id"))
        total, chosen = page(request, events)
        return {"total": total, "events": [event.as_json() for event in chosen]}

    def _users(self, request: Request, _data: Any) -> Any:
        users = self._project.store.users
        if (user_id := request.query_params.get("user_id")) is None:
            total, chosen = page(request, users.values())
            return {"total": total, "users": [_user_json(user) for user in chosen]}
        if user_id not in users:
            raise MissingError("No such user.")
        return _user_json(users[user_id])

    def _requests(self, request: Request, _data: Any) -> Any:
        return {"total": self._project.requests_total, "requests": newest(request, self._project.requests)}

    def _set_rules(self, request: Request, data: dict[str, Any]) -> Any:
        chosen = {name: set(texts(name, data[name])) for name in SETS if name in data}
        if "silenced_users" in data:
            devices = {derived_device_id(user) for user in texts("silenced_users", data["silenced_users"])}
            chosen["silenced_devices"] = chosen.get("silenced_devices", set()) | devices
        for name, members in chosen.items():
            ids = self._sets()[name]
            ids.clear()
            ids.update(members)
        if "throttle_events_per_second" in data:
            limit = data["throttle_events_per_second"]
            self._project.set_throttle(None if limit is None else float(limit))
        return self._rules(request, data)

    def _sets(self) -> dict[str, set[str]]:
        project = self._project
        return {
            "blocked_event_types": project.store.blocked_event_types,
            "silenced_devices": project.silenced_devices,
            "throttled_ids": project.throttled_ids,
            "over_daily_quota": project.over_daily_quota,
        }

    def _rules(self, _request: Request, _data: Any) -> Any:
        rules: dict[str, Any] = {name: sorted(ids) for name, ids in self._sets().items()}
        return {**rules, "throttle_events_per_second": self._project.throttle_events_per_second}

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
