"""PURE: list the settings that a person is asked for when installing the server for an assistant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from connector.service.input.annotations import kinds
from connector.settings.model import Connection


@dataclass(frozen=True, slots=True)
class AskedSetting:
    """One setting as a form shows it. `name` is its field; default, type and bounds are read from it."""

    name: str
    title: str
    description: str
    is_required: bool = False

    @property
    def default(self) -> Any:
        """Return the default value, or None if there is no default."""
        return self._field.default

    @property
    def least(self) -> int | None:
        """Return the least allowed number, or None if the value is not a number."""
        return next((rule.ge for rule in self._field.metadata if hasattr(rule, "ge")), None)

    @property
    def choices(self) -> tuple[str, ...]:
        """Return its possible values; empty where any text is taken."""
        kind = kinds(self._field.annotation)[0]
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def is_secret(self) -> bool:
        """Tell whether its value must never be shown."""
        return SecretStr in kinds(self._field.annotation)

    @property
    def _field(self) -> FieldInfo:
        return Connection.model_fields[self.name]


ASKED: Final = (
    AskedSetting(
        "koji_api_key",
        "Koji API key",
        "Koji, the project's Settings > Integrations; with interview:read, interview:start and "
        "interview:complete.",
        is_required=True,
    ),
    AskedSetting("koji_project_id", "Koji project id", "From the project's address in Koji; for links."),
    AskedSetting(
        "amplitude_api_key", "Amplitude API key", "Amplitude, Settings > Projects.", is_required=True
    ),
    AskedSetting(
        "amplitude_secret_key", "Amplitude secret key", "From the same page; without it no cohort is read."
    ),
    AskedSetting("amplitude_region", "Amplitude region", "us or eu: where the Amplitude project is."),
    AskedSetting(
        "connector_max_interviews_per_launch",
        "People a launch",
        "How many people one launch may invite; nothing that is asked of the assistant lifts it.",
    ),
    AskedSetting(
        "connector_max_credits_per_day",
        "Koji credits a day",
        "How many Koji credits may be spent in a UTC day: text 1, voice 3; nothing that is asked of the "
        "assistant lifts it.",
    ),
)
