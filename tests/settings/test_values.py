from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from platformdirs import user_data_path
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from connector.errors import SettingsError
from connector.settings.model import Connection, Settings, require_startable
from tests.support.settings_reading import KEY, Read, default, reading

pytestmark = pytest.mark.unit


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


def test_nothing_set_is_a_whole_configuration(read: Read) -> None:
    loaded = read()
    assert loaded.warnings == ()
    assert loaded.settings.model_dump() == {
        "connections": {
            "default": {
                "name": "default",
                "koji_api_key": None,
                "koji_project_id": None,
                "koji_base_url": "https://koji.so",
                "koji_webhook_secret": (),
                "koji_signature_header": None,
                "koji_signature_scheme": "auto",
                "koji_field_aliases": {},
                "koji_timestamp_tolerance_seconds": 300,
                "koji_rate_limit_per_minute": 60,
                "koji_invite_by": "start",
                "koji_link_template": "{base}/api/v1/embed/{project_id}?external_id={external_id}"
                "&mode={mode}&language={locale}",
                "koji_send_email": True,
                "koji_default_mode": None,
                "koji_complete_after_hours": None,
                "amplitude_api_key": None,
                "amplitude_secret_key": None,
                "amplitude_region": "us",
                "amplitude_ingestion_url": None,
                "amplitude_rest_url": None,
                "amplitude_min_id_length": 5,
                "amplitude_events_per_second": 1000,
                "connector_min_quality": 3.0,
                "connector_null_email_is_anonymous": False,
                "connector_trust_external_id": False,
                "connector_answer_properties": {},
                "connector_mapping_file": None,
                "connector_max_interviews_per_launch": 100,
                "connector_max_credits_per_day": 100,
                "amplitude_cohort_webhook_token": None,
                "connector_cohort_approve_above": 25,
                "connector_themes_file": None,
                "cohorts": {},
                "mode": None,
                "locale": None,
                "email_property": None,
                "name_property": None,
                "variant": None,
                "holdout_percent": 0,
            }
        },
        "connector_api_token": None,
        "connector_log_level": "info",
        "connector_allow_private_targets": False,
        "connector_allowed_hosts": (),
        "connector_allowed_origins": (),
        "connector_alert_urls": (),
        "connector_digest": None,
        "connector_metrics_open": False,
        "connector_max_invitations": None,
        "connector_rest_days_after_interview": 0,
        "connector_rest_days_after_invitation": 0,
        "connector_rest_days_without_answer": 0,
        "connector_retention_days": 90,
        "connector_encryption_key": (),
        "database_url": loaded.settings.database_url,
        "host": "127.0.0.1",
        "port": 8080,
        "public_url": "http://127.0.0.1:8080",
    }
    assert loaded.settings == Settings()


def test_the_default_store_is_a_sqlite_file_in_the_users_data_directory(read: Read) -> None:
    settings = read().settings
    assert settings.database_url.startswith("sqlite:///")
    assert settings.database_file is not None
    assert settings.database_file.parent == user_data_path("koji-amplitude", appauthor=False)


@pytest.mark.parametrize(
    "url",
    ["sqlite:///ledger.db", "sqlite:////data/my%20store/ledger.db", "sqlite:////data/ledger.db?timeout=5"],
)
def test_the_database_file_is_the_one_that_sqlalchemy_opens(url: str) -> None:
    assert str(Settings(database_url=url).database_file) == make_url(url).database


def test_postgresql_has_no_database_file() -> None:
    assert Settings(database_url="postgresql://db.example.com/connector").database_file is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "connector.example.com"}, "http://connector.example.com:8080"),
        ({"HOST": "::1"}, "http://[::1]:8080"),
        ({"PUBLIC_URL": "https://connector.example.com/koji/"}, "https://connector.example.com/koji"),
    ],
)
def test_the_public_url_follows_host_and_port(read: Read, environ: Mapping[str, str], expected: str) -> None:
    assert read(**environ).settings.public_url == expected


SECRETS = {
    "KOJI_API_KEY": "s3cret-1",
    "KOJI_WEBHOOK_SECRET": "s3cret-2,s3cret-3",
    "AMPLITUDE_API_KEY": "s3cret-4",
    "AMPLITUDE_SECRET_KEY": "s3cret-5",
    "CONNECTOR_API_TOKEN": "s3cret-6",
    "CONNECTOR_ENCRYPTION_KEY": KEY,
    "DATABASE_URL": "postgresql://user:s3cret-7@db.example.com/x",
}


def test_secrets_are_never_printed(read: Read) -> None:
    loaded = read("[connections.b]\nkoji_api_key = 's3cret-8'", **SECRETS)
    shown = f"{loaded!r} {loaded} {loaded.settings!r} {loaded.settings} {default(loaded)!r} {default(loaded)}"
    assert "s3cret" not in shown
    assert KEY not in shown
    connections = loaded.settings.model_dump_json(exclude={"database_url"})
    assert "s3cret" not in connections
    assert KEY not in connections


def test_a_settings_object_made_by_hand_is_as_careful() -> None:
    with pytest.raises(ValidationError) as caught:
        Connection(koji_api_key=SecretStr("s3cret key"), amplitude_region="s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


def test_settings_cannot_be_changed(read: Read) -> None:
    settings = read(KOJI_FIELD_ALIASES="event=kind").settings
    with pytest.raises(ValidationError):
        settings.port = 1
    with pytest.raises(ValidationError):
        settings.connections["default"].koji_project_id = "x"
    assert isinstance(settings.connections, MappingProxyType)
    assert isinstance(settings.connections["default"].koji_field_aliases, MappingProxyType)
    assert isinstance(Settings().connections, MappingProxyType)
    assert isinstance(Connection().koji_field_aliases, MappingProxyType)


@pytest.mark.parametrize("connections", [{}, {"b": Connection(name="b")}, {"default": Connection(name="b")}])
def test_connections_always_hold_default_under_its_name(connections: Mapping[str, Connection]) -> None:
    with pytest.raises(ValidationError):
        Settings(connections=connections)


def test_settings_take_no_unknown_field() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"koji_invite": "link"})
    with pytest.raises(ValidationError):
        Connection.model_validate({"modes": "voice"})


POSTGRESQL = "postgresql://user:s3cret@db.example.com/x"
TOKEN = SecretStr("s3cret-token")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_on_loopback_nothing_is_needed(host: str) -> None:
    require_startable(Settings(host=host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "connector.example.com", "localhost.example.com"]
)
def test_elsewhere_a_token_is_needed(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^CONNECTOR_API_TOKEN: must be set, because HOST .*for example"):
        require_startable(Settings(host=host))
    require_startable(Settings(host=host, connector_api_token=TOKEN))


def test_postgresql_needs_a_token_and_a_key() -> None:
    with pytest.raises(SettingsError, match=r"^CONNECTOR_API_TOKEN: must be set, because DATABASE_URL"):
        require_startable(Settings(database_url=POSTGRESQL, connector_encryption_key=(SecretStr(KEY),)))
    with pytest.raises(SettingsError, match=r"^CONNECTOR_ENCRYPTION_KEY: must be set.*for example") as caught:
        require_startable(Settings(database_url=POSTGRESQL, connector_api_token=TOKEN))
    assert "s3cret" not in str(caught.value)
    require_startable(
        Settings(
            database_url=POSTGRESQL, connector_api_token=TOKEN, connector_encryption_key=(SecretStr(KEY),)
        )
    )


def test_missing_credentials_do_not_stop_the_start(read: Read) -> None:
    require_startable(read().settings)
