"""The control routes of the Amplitude stand-in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import COHORT_FIELDS, parse_cohort
from connector.sandbox.amplitude.store import User, derived_device_id
from connector.sandbox.control.base import MissingError, fault_routes, json_object, newest, page, route, texts
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
            route("/amplitude/events", self._events, "GET"),
            route("/amplitude/users", self._users, "GET"),
            route("/amplitude/requests", self._requests, "GET"),
            route("/amplitude/rules", self._get_rules, "GET"),
            route("/amplitude/rules", self._set_rules, "POST"),
            route("/amplitude/cohorts", self._put_cohort, "POST"),
            *fault_routes("/amplitude/faults", lambda: self._project.faults),
        ]

    async def _events(self, request: Request) -> Any:
        query = request.query_params
        found = self._project.store.find(event_type=query.get("event_type"), user_id=query.get("user_id"))
        total, events = page(request, found)
        return {"total": total, "events": [event.as_json() for event in events]}

    async def _users(self, request: Request) -> Any:
        store, query = self._project.store, request.query_params
        if (user_id := query.get("user_id")) is not None:
            user = store.users.get(user_id)
            if user is None:
                raise MissingError("No such user.")
            return _user_json(user)
        total, users = page(request, store.users.values())
        return {"total": total, "users": [_user_json(user) for user in users]}

    async def _requests(self, request: Request) -> Any:
        return {"total": self._project.requests_total, "requests": newest(request, self._project.requests)}

    async def _get_rules(self, _request: Request) -> Any:
        return self._rules()

    async def _set_rules(self, request: Request) -> Any:
        data = await json_object(request, RULES)
        for name in data.keys() & set(SETS):
            _replace(self._sets()[name], texts(name, data[name]))
        if "silenced_users" in data:
            devices = {derived_device_id(user) for user in texts("silenced_users", data["silenced_users"])}
            silenced = self._project.silenced_devices
            _replace(silenced, devices | silenced if "silenced_devices" in data else devices)
        if "throttle_events_per_second" in data:
            limit = data["throttle_events_per_second"]
            self._project.set_throttle(None if limit is None else float(limit))
        return self._rules()

    def _sets(self) -> dict[str, set[str]]:
        project = self._project
        return {
            "blocked_event_types": project.store.blocked_event_types,
            "silenced_devices": project.silenced_devices,
            "throttled_ids": project.throttled_ids,
            "over_daily_quota": project.over_daily_quota,
        }

    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = {name: sorted(found) for name, found in self._sets().items()}
        return {**rules, "throttle_events_per_second": self._project.throttle_events_per_second}

    async def _put_cohort(self, request: Request) -> Any:
        cohort = parse_cohort(await json_object(request, COHORT_FIELDS))
        self._project.cohorts.put(cohort)
        return cohort.as_json(sync_info=False)


def _user_json(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "amplitude_id": user.amplitude_id,
        "device_ids": sorted(user.device_ids),
        "user_properties": dict(user.properties),
    }


def _replace(target: set[str], found: Iterable[str]) -> None:
    kept = set(found)
    target.clear()
    target.update(kept)
