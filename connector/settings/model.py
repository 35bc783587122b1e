"""Define the settings as one frozen value; `connector.settings.sources` reads them.

Each field is the setting of the same name in lower case. When a value is refused, the message is "must be"
with the field's description, and the example.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, unquote

from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from connector.domain.results.added_properties import AddedProperties
from connector.domain.results.theme_keys import Vocabulary
from connector.errors import SettingMissing
from connector.settings.types import (
    FROZEN_MAPPING,
    LOWER_CASE,
    SQLITE,
    AlertUrls,
    Aliases,
    AnswerProperties,
    BaseUrl,
    Count,
    CountOrNone,
    Credential,
    DatabaseUrl,
    EncryptionKeys,
    HeaderName,
    Host,
    Hosts,
    InvitationWindow,
    LinkTemplate,
    Origins,
    Secrets,
)

APPLICATION = "koji-amplitude"
CONNECTION_NAME = "[a-z0-9-]{1,40}"
DEFAULT_CONNECTION = "default"
Mode = Literal["text", "voice"]
DEFAULT_LINK = "{base}/api/v1/embed/{project_id}?external_id={external_id}&mode={mode}&language={locale}"
LAUNCH_DEFAULTS = frozenset({"mode", "locale", "email_property", "name_property", "variant"})
"""The defaults of launches, which only a table of the file can set."""
HOLDOUT = "holdout_percent"
"""The share that standing launches hold out, which only a table of the file can set."""
COHORTS = "cohorts"
"""The tables of the file with such defaults for one cohort."""


def _setting(description: str, example: str | float, **options: Any) -> Any:
    """Return a field; `options` are those of pydantic's `Field`."""
    return Field(description=description, examples=[example], **options)


_optional = partial(_setting, default=None)
_flag = partial(_setting, "true or false")


class _Frozen(BaseModel):
    # Values stay out of validation errors: one of them may be a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LaunchDefaults(_Frozen):
    """The options of launches that a call, or a cohort's webhook, leaves open."""

    mode: Annotated[Mode | None, LOWER_CASE] = _optional("text or voice", "text")
    locale: str | None = _optional("a language code", "en")
    email_property: str | None = _optional("the name of a user property", "email")
    name_property: str | None = _optional("the name of a user property", "name")
    variant: str | None = _optional("a text", "B")


class Connection(LaunchDefaults):
    """One Koji project wired to one Amplitude project. Missing credentials are None.

    An Amplitude URL that is None follows from the region; an empty `koji_webhook_secret` means that none is
    configured. `koji_field_aliases` maps a field to the steps of its path in a webhook's body.
    `connector_themes_file` and `connector_mapping_file` are what these files hold.
    """

    name: Annotated[str, Field(pattern=f"^{CONNECTION_NAME}$")] = DEFAULT_CONNECTION
    koji_api_key: Credential | None = _optional("a key of Koji", "your-koji-key")
    koji_project_id: str | None = _optional("a project id of Koji", "your-project-id")
    koji_base_url: BaseUrl = _setting("a URL", "https://koji.so", default="https://koji.so")
    koji_webhook_secret: Secrets = _setting(
        "one or more secrets, separated by commas", "new-secret,old-secret", default=()
    )
    koji_signature_header: HeaderName | None = _optional("the name of one HTTP header", "x-koji-signature")
    koji_signature_scheme: Annotated[
        Literal["auto", "hex", "base64", "timestamped", "standard-webhooks"], LOWER_CASE
    ] = _setting("auto, hex, base64, timestamped or standard-webhooks", "auto", default="auto")
    koji_field_aliases: Aliases = _setting(
        "field=path pairs, separated by commas",
        "interview_id=data.session.uuid",
        default_factory=lambda: MappingProxyType({}),
    )
    koji_timestamp_tolerance_seconds: CountOrNone = _setting(
        "a whole number of seconds, 0 for no check", 300, default=300
    )
    koji_rate_limit_per_minute: Count = _setting("a whole number of at least 1", 60, default=60)
    koji_invite_by: Annotated[Literal["start", "link"], LOWER_CASE] = _setting(
        "start or link", "start", default="start"
    )
    koji_link_template: LinkTemplate = _setting("a URL with places", DEFAULT_LINK, default=DEFAULT_LINK)
    koji_send_email: bool = _flag(example=False, default=True)
    koji_default_mode: Annotated[Mode | None, LOWER_CASE] = _optional("text or voice", "text")
    koji_complete_after_hours: Count | None = _optional("a whole number of hours", 48)
    amplitude_api_key: Credential | None = _optional("an API key of Amplitude", "your-api-key")
    amplitude_secret_key: Credential | None = _optional("a secret key of Amplitude", "your-secret-key")
    amplitude_cohort_webhook_token: Credential | None = _optional(
        "a secret of your own", "a-long-random-text"
    )
    amplitude_region: Annotated[Literal["us", "eu"], LOWER_CASE] = _setting("us or eu", "eu", default="us")
    amplitude_ingestion_url: BaseUrl | None = _optional("a URL", "https://proxy.example.com")
    amplitude_rest_url: BaseUrl | None = _optional("a URL", "https://proxy.example.com")
    amplitude_min_id_length: Count = _setting("a whole number of at least 1", 5, default=5)
    amplitude_events_per_second: CountOrNone = _setting("a whole number, 0 for no limit", 1000, default=1000)
    connector_min_quality: float = _setting(
        "a number from 0 to 5", 3, default=3.0, ge=0, le=5, allow_inf_nan=False
    )
    connector_null_email_is_anonymous: bool = _flag(example=True, default=False)
    connector_trust_external_id: bool = _flag(example=True, default=False)
    connector_mapping_file: InstanceOf[AddedProperties] | None = _optional(
        "the name of a file", "mapping.toml"
    )
    connector_answer_properties: AnswerProperties = _setting(
        "questionId=property pairs, separated by commas",
        "q_1=nps_score",
        default_factory=lambda: MappingProxyType({}),
    )
    connector_max_interviews_per_launch: int = _setting(
        "a whole number from 1 to 2000000", 100, default=100, ge=1, le=2_000_000
    )
    connector_max_credits_per_day: CountOrNone = _setting("a whole number", 100, default=100)
    connector_cohort_approve_above: CountOrNone = _setting("a whole number", 25, default=25)
    connector_themes_file: InstanceOf[Vocabulary] | None = _optional("the name of a file", "themes.toml")
    holdout_percent: int = _setting("a whole number from 0 to 50", 10, default=0, ge=0, le=50)
    cohorts: Annotated[Mapping[str, LaunchDefaults], *FROZEN_MAPPING] = _setting(
        "tables by cohort id",
        '[connections.default.cohorts."id"]',
        default_factory=lambda: MappingProxyType({}),
    )

    @field_validator("connector_answer_properties")
    @classmethod
    def _named_once(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        mapping = info.data.get("connector_mapping_file") or AddedProperties()
        if twice := next((name for name in value.values() if name in mapping.event), None):
            raise ValueError(f"must not name {twice!r}, which mapping.toml computes")
        return value

    def of_cohort(self, cohort_id: str) -> LaunchDefaults:
        """Return the defaults of one cohort: its own, or else those of the connection."""
        own = self.cohorts.get(cohort_id, LaunchDefaults())
        return LaunchDefaults(**{name: getattr(own, name) or getattr(self, name) for name in LAUNCH_DEFAULTS})

    @property
    def missing(self) -> list[str]:
        """Name the settings without which no interview reaches Amplitude, and that are not set."""
        fields = ("koji_api_key", "koji_webhook_secret", "amplitude_api_key")
        return [name.upper() for name in fields if not getattr(self, name)]

    @property
    def credit_lane(self) -> str:
        """Name the account that pays for an interview: the Koji key's, or the connection's without a key."""
        return self.koji_lane or f"koji-links:{self.name}"

    @property
    def koji_lane(self) -> str | None:
        """Name the order and rate limit that connections with this Koji key share, or None without a key."""
        return None if self.koji_api_key is None else _lane("koji", self.koji_api_key)

    @property
    def user_id_space(self) -> str:
        """Name what this connection's user ids are ids of: its Amplitude project, else itself alone."""
        return self.amplitude_lane or f"connection:{self.name}"

    @property
    def amplitude_lane(self) -> str | None:
        """Name the order and pace that connections with this Amplitude key share, or None without a key."""
        return None if self.amplitude_api_key is None else _lane("amplitude", self.amplitude_api_key)


def _lane(kind: str, key: SecretStr) -> str:
    return f"{kind}:{sha256(key.get_secret_value().encode()).hexdigest()[:16]}"


def _default_database_url() -> str:
    path = user_data_path(APPLICATION, appauthor=False) / "ledger.db"
    return SQLITE + quote(path.as_posix(), safe="/:")


def _default_public_url(settled: Mapping[str, Any]) -> str:
    host, port = settled["host"], settled["port"]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Settings(_Frozen):
    """All settings, read once at start. `connections` is by name and always has "default"."""

    connections: Annotated[Mapping[str, Connection], *FROZEN_MAPPING] = Field(
        default_factory=lambda: MappingProxyType({DEFAULT_CONNECTION: Connection()})
    )
    connector_api_token: Credential | None = _optional("a token", "a-long-random-text")
    connector_log_level: Annotated[Literal["debug", "info", "warning", "error"], LOWER_CASE] = _setting(
        "debug, info, warning or error", "info", default="info"
    )
    connector_allow_private_targets: bool = _flag(example=True, default=False)
    connector_allowed_hosts: Hosts = _setting(
        "host names separated by commas", "connector.internal", default=()
    )
    connector_allowed_origins: Origins = _setting(
        "origins separated by commas", "https://chat.example.com", default=()
    )
    connector_alert_urls: AlertUrls = _setting(
        "addresses of Apprise, separated by commas", "slack://TokenA/TokenB/TokenC", default=()
    )
    connector_digest: Annotated[Literal["weekly"] | None, LOWER_CASE] = _optional("weekly", "weekly")
    connector_metrics_open: bool = _flag(example=True, default=False)
    connector_retention_days: Count = _setting("a whole number of at least 1", 90, default=90)
    connector_rest_days_after_invitation: CountOrNone = _setting("a whole number of days", 30, default=0)
    connector_rest_days_after_interview: CountOrNone = _setting("a whole number of days", 90, default=0)
    connector_rest_days_without_answer: CountOrNone = _setting("a whole number of days", 60, default=0)
    connector_max_invitations: InvitationWindow | None = _optional("invitations/days", "3/365")
    connector_encryption_key: EncryptionKeys = _setting(
        "32 bytes in base64, several separated by commas", "new-key,old-key", default=()
    )
    database_url: DatabaseUrl = _setting(
        "a database URL",
        "sqlite:////data/ledger.db",
        default_factory=_default_database_url,
        repr=False,  # may carry a password
    )
    host: Host = _setting("a host name or address, without scheme and port", "127.0.0.1", default="127.0.0.1")
    port: int = _setting("a whole number from 1 to 65535", 8080, default=8080, ge=1, le=65535)
    public_url: BaseUrl = _setting(
        "a URL", "https://connector.example.com", default_factory=_default_public_url
    )

    @model_validator(mode="after")
    def _connections_by_name(self) -> Self:
        if DEFAULT_CONNECTION not in self.connections:
            raise ValueError("connections must contain default")
        if any(name != connection.name for name, connection in self.connections.items()):
            raise ValueError("connections must be keyed by their names")
        return self

    @property
    def database_file(self) -> Path | None:
        """Return the path of the SQLite file, as SQLAlchemy reads it from the URL; None with PostgreSQL."""
        if not self.database_url.startswith(SQLITE):
            return None
        return Path(unquote(self.database_url.removeprefix(SQLITE).partition("?")[0]))


def require_startable(settings: Settings) -> None:
    """Raise `SettingsError` for a server that other machines use without a secret that they must know.

    Other machines do not know a token that was made on this one, and the processes around one PostgreSQL
    share no file beside a SQLite database.
    """
    shared = settings.database_file is None
    why = "DATABASE_URL is postgresql://" if shared else "HOST is not a loopback address"
    if settings.connector_api_token is None and (shared or not _is_loopback(settings.host)):
        raise _missing("CONNECTOR_API_TOKEN", why, "openssl rand -hex 32")
    if shared and not settings.connector_encryption_key:
        raise _missing("CONNECTOR_ENCRYPTION_KEY", why, "openssl rand -base64 32")


def _missing(setting: str, why: str, command: str) -> SettingMissing:
    return SettingMissing(f"{setting}: must be set, because {why}; for example to the output of: {command}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
