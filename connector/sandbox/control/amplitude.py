"""The control routes of the Amplitude stand-in."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route

from connector.sandbox.amplitude.cohorts import parse_cohort
from connector.sandbox.amplitude.store import User, derived_device_id
from connector.sandbox.control.base import (
    MissingError,
    fault_routes,
    json_object,
    route,
)
from connector.sandbox.state import Sandbox

RULES: Final = frozenset(
    {
        "blocked_event_types",
        "silenced_devices",
        "silenced_users",
        "throttled_ids",
        "over_daily_quota",
        "throttle_events_per_second",
    }
)
COHORT_FIELDS: Final = frozenset(
    {"id", "name", "members", "user_ids", "size", "published", "archived", "hidden", "description"}
)


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
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 1000))
        page = found[offset : offset + limit]
        return {"total": len(found), "events": [event.as_json() for event in page]}

    async def _users(self, request: Request) -> Any:
        store, query = self._project.store, request.query_params
        if (user_id := query.get("user_id")) is not None:
            user = store.users.get(user_id)
            if user is None:
                raise MissingError("No such user.")
            return _user_json(user)
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 1000))
        users = list(store.users.values())
        return {"total": len(users), "users": [_user_json(user) for user in users[offset : offset + limit]]}

    async def _requests(self, request: Request) -> Any:
        limit = int(request.query_params.get("limit", 1000))
        kept = list(self._project.requests)
        return {"total": self._project.requests_total, "requests": kept[-limit:] if limit > 0 else []}

    async def _get_rules(self, _request: Request) -> Any:
        return self._rules()

    async def _set_rules(self, request: Request) -> Any:
        data = await json_object(request, RULES)
        project = self._project
        targets = {
            "blocked_event_types": project.store.blocked_event_types,
            "throttled_ids": project.throttled_ids,
            "over_daily_quota": project.over_daily_quota,
        }
        for name, target in targets.items():
            if name in data:
                target.clear()
                target.update(_texts(name, data[name]))
        if "silenced_devices" in data or "silenced_users" in data:
            users = _texts("silenced_users", data.get("silenced_users", []))
            project.silenced_devices.clear()
            project.silenced_devices.update(_texts("silenced_devices", data.get("silenced_devices", [])))
            project.silenced_devices.update(derived_device_id(user) for user in users)
        if "throttle_events_per_second" in data:
            limit = data["throttle_events_per_second"]
            project.set_throttle(None if limit is None else float(limit))
        return self._rules()

    def _rules(self) -> dict[str, Any]:
        project = self._project
        return {
            "blocked_event_types": sorted(project.store.blocked_event_types),
            "silenced_devices": sorted(project.silenced_devices),
            "throttled_ids": sorted(project.throttled_ids),
            "over_daily_quota": sorted(project.over_daily_quota),
            "throttle_events_per_second": project.throttle_events_per_second,
        }

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


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} must be a list of texts.")
    return value
