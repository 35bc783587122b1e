"""PURE: list the settings that a person is asked for when installing the server for an assistant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.settings.model import Connection


@dataclass(frozen=True, slots=True)
class AskedSetting:
    """One setting as a form shows it. `name` is its field, which has default, type and bounds."""

    name: str
    title: str
    description: str
    is_required: bool = False

    @property
    def schema(self) -> Mapping[str, Any]:
        """Return the JSON schema of its values, which are never null."""
        schema = _SCHEMAS[self.name]
        return {**schema, **schema.get("anyOf", ({},))[0]}


_SCHEMAS: Final[Mapping[str, Any]] = Connection.model_json_schema()["properties"]

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
