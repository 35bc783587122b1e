import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connector.domain.results.added_properties import AddedProperties
from connector.domain.results.theme_keys import Theme, Vocabulary
from connector.errors import SettingsError
from connector.settings.model import COHORTS, HOLDOUT, LAUNCH_DEFAULTS, Connection, Settings
from connector.settings.sources import load
from tests.support.settings_reading import KEY, OTHER_KEY, Read, default, reading, refused, secret

pytestmark = pytest.mark.unit


@pytest.fixture
def read(tmp_path: Path) -> Read:
    (tmp_path / "words.toml").write_text("[themes.price]")
    (tmp_path / "added.toml").write_text("event_properties.a = 'summary'")
    return reading(tmp_path)


EVERY_GLOBAL = [
    ("CONNECTOR_LOG_LEVEL", "DEBUG", "debug"),
    ("CONNECTOR_ALLOW_PRIVATE_TARGETS", "true", True),
    ("CONNECTOR_ALLOWED_HOSTS", "a.internal, B.internal:81", ("a.internal", "b.internal:81")),
    ("CONNECTOR_ALLOWED_ORIGINS", "https://Chat.example.com/", ("https://chat.example.com",)),
    (
        "CONNECTOR_ALERT_URLS",
        "json://a.test/x,y, mailto://b.test",
        (SecretStr("json://a.test/x,y"), SecretStr("mailto://b.test")),
    ),
    ("CONNECTOR_DIGEST", "Weekly", "weekly"),
    ("CONNECTOR_METRICS_OPEN", "true", True),
    ("CONNECTOR_REST_DAYS_AFTER_INVITATION", "7", 7),
    ("CONNECTOR_REST_DAYS_AFTER_INTERVIEW", "30", 30),
    ("CONNECTOR_REST_DAYS_WITHOUT_ANSWER", "14", 14),
    ("CONNECTOR_MAX_INVITATIONS", "3/365", (3, 365)),
    ("CONNECTOR_RETENTION_DAYS", "1", 1),
    ("DATABASE_URL", "postgresql://u:p@db.example.com/x", "postgresql://u:p@db.example.com/x"),
    ("HOST", "0.0.0.0", "0.0.0.0"),
    ("PORT", "9000", 9000),
    ("PUBLIC_URL", "https://connector.example.com/", "https://connector.example.com"),
    ("CONNECTOR_API_TOKEN", "s3cret-token", SecretStr("s3cret-token")),
    ("CONNECTOR_ENCRYPTION_KEY", f"{OTHER_KEY}, {KEY}", (SecretStr(OTHER_KEY), SecretStr(KEY))),
]
EVERY_OF_CONNECTION = [
    ("KOJI_API_KEY", "koji-key", SecretStr("koji-key")),
    ("KOJI_PROJECT_ID", "p-1", "p-1"),
    ("KOJI_BASE_URL", "http://127.0.0.1:9/koji/", "http://127.0.0.1:9/koji"),
    ("KOJI_WEBHOOK_SECRET", "whsec_new, old,", (SecretStr("whsec_new"), SecretStr("old"))),
    ("KOJI_SIGNATURE_HEADER", "X-Koji-Signature", "x-koji-signature"),
    ("KOJI_SIGNATURE_SCHEME", "Standard-Webhooks", "standard-webhooks"),
    (
        "KOJI_FIELD_ALIASES",
        "interview_id=data.session.uuid, event = kind",
        {"interview_id": ("data", "session", "uuid"), "event": ("kind",)},
    ),
    ("KOJI_TIMESTAMP_TOLERANCE_SECONDS", "0", 0),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "1", 1),
    ("AMPLITUDE_API_KEY", "amplitude-key", SecretStr("amplitude-key")),
    ("AMPLITUDE_SECRET_KEY", "amplitude-secret", SecretStr("amplitude-secret")),
    ("AMPLITUDE_REGION", "eu", "eu"),
    ("AMPLITUDE_INGESTION_URL", "https://proxy.example.com/in", "https://proxy.example.com/in"),
    ("AMPLITUDE_REST_URL", "https://proxy.example.com/rest/", "https://proxy.example.com/rest"),
    ("AMPLITUDE_MIN_ID_LENGTH", "1", 1),
    ("AMPLITUDE_EVENTS_PER_SECOND", "0", 0),
    ("CONNECTOR_MIN_QUALITY", "3.5", 3.5),
    ("CONNECTOR_NULL_EMAIL_IS_ANONYMOUS", "true", True),
    ("CONNECTOR_TRUST_EXTERNAL_ID", "1", True),
    ("CONNECTOR_ANSWER_PROPERTIES", "q_1 = nps_score, q_2=plan", {"q_1": "nps_score", "q_2": "plan"}),
    ("KOJI_INVITE_BY", "Link", "link"),
    ("KOJI_LINK_TEMPLATE", "https://x.example.com/{external_id}", "https://x.example.com/{external_id}"),
    ("KOJI_SEND_EMAIL", "false", False),
    ("KOJI_DEFAULT_MODE", "voice", "voice"),
    ("KOJI_COMPLETE_AFTER_HOURS", "48", 48),
    ("CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH", "5", 5),
    ("CONNECTOR_MAX_CREDITS_PER_DAY", "0", 0),
    ("AMPLITUDE_COHORT_WEBHOOK_TOKEN", "cohort-token", SecretStr("cohort-token")),
    ("CONNECTOR_COHORT_APPROVE_ABOVE", "0", 0),
    ("CONNECTOR_MAPPING_FILE", "added.toml", AddedProperties({"a": "summary"})),
    ("CONNECTOR_THEMES_FILE", "words.toml", Vocabulary((Theme("price", "price"),))),
]


def test_these_are_all_the_settings() -> None:
    assert {name.lower() for name, _, _ in EVERY_GLOBAL} == set(Settings.model_fields) - {"connections"}
    assert {name.lower() for name, _, _ in EVERY_OF_CONNECTION} == (
        set(Connection.model_fields) - {"name"} - LAUNCH_DEFAULTS - {COHORTS, HOLDOUT}
    )


@pytest.mark.parametrize(("name", "text", "value"), EVERY_GLOBAL + EVERY_OF_CONNECTION)
@pytest.mark.parametrize("source", ["environment", ".env", "file", "reference"])
def test_every_setting_is_read_from_every_source(
    read: Read, source: str, name: str, text: str, value: Any
) -> None:
    loaded = {
        "environment": lambda: read(**{name: text}),
        ".env": lambda: read(dotenv=f"{name}='{text}'\n"),
        "file": lambda: read(f"{name.lower()} = {json.dumps(text)}"),
        "reference": lambda: read(f'{name.lower()} = "env:KOJI_ELSEWHERE"', KOJI_ELSEWHERE=text),
    }[source]()
    owner = loaded.settings if name.lower() in Settings.model_fields else default(loaded)
    assert getattr(owner, name.lower()) == value
    assert loaded.warnings == ()


@pytest.mark.parametrize(("name", "text", "value"), EVERY_OF_CONNECTION)
def test_every_setting_of_a_connection_is_read_from_its_table(
    read: Read, name: str, text: str, value: Any
) -> None:
    loaded = read(f"[connections.b]\n{name.lower()} = {json.dumps(text)}")
    assert getattr(loaded.settings.connections["b"], name.lower()) == value
    assert default(loaded) == Connection()


def test_the_file_may_use_the_types_of_toml(read: Read) -> None:
    connection = default(
        read(
            """
            koji_project_id = 17
            koji_webhook_secret = ["with,comma", "env:OLD", "env:MISSING", "${UNEXPANDED}"]
            koji_rate_limit_per_minute = 30
            connector_min_quality = 2.5
            connector_trust_external_id = true
            koji_field_aliases = { interview_id = "data.session.uuid" }
            """,
            OLD="old",
        )
    )
    assert connection.koji_project_id == "17"
    assert [secret(value) for value in connection.koji_webhook_secret] == ["with,comma", "old"]
    assert connection.koji_rate_limit_per_minute == 30
    assert connection.connector_min_quality == 2.5
    assert connection.connector_trust_external_id is True
    assert connection.koji_field_aliases == {"interview_id": ("data", "session", "uuid")}


def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "connector.toml").write_text("port = 1", encoding="utf-8-sig")
    (tmp_path / ".env").write_text("KOJI_PROJECT_ID=p", encoding="utf-8-sig")
    loaded = load({}, tmp_path)
    assert loaded.settings.port == 1
    assert default(loaded).koji_project_id == "p"


def test_the_later_source_wins(read: Read) -> None:
    toml = 'host = "file"\nport = 1\npublic_url = "http://file.example.com"'
    dotenv = "export HOST=dotenv\nPORT=2\n"
    settings = read(toml, dotenv, PORT="3").settings
    assert settings.public_url == "http://file.example.com"
    assert (settings.host, settings.port) == ("dotenv", 3)


@pytest.mark.parametrize("empty", ["", "  ", "${PORT}", " ${user_config.port} ", "${PORT:-9}"])
def test_empty_and_unexpanded_count_as_not_set(read: Read, empty: str) -> None:
    assert read(f"port = {json.dumps(empty)}").settings.port == 8080
    assert read("port = 1", f"PORT='{empty}'").settings.port == 1
    assert read("port = 1", "PORT=2", PORT=empty).settings.port == 2
    assert read("port = 1", "PORT", KOJI_INVITE_BY=empty).warnings == ()


def test_a_list_drops_what_is_not_set(read: Read) -> None:
    connection = default(read(KOJI_WEBHOOK_SECRET="${NEW},,old, ${OLDER}"))
    assert [secret(value) for value in connection.koji_webhook_secret] == ["old"]


def test_the_environment_of_the_process_is_not_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4")
    monkeypatch.setenv("OTHER", "5")
    assert read(dotenv="PORT=${OTHER}").settings.port == 8080


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_connector_config_names_another_file(read: Read, tmp_path: Path, source: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "my.toml").write_text("port = 7\nkoji_nothing = 1")
    (tmp_path / "connector.toml").write_text("port = 1")
    if source == "environment":
        line = refused(read, CONNECTOR_CONFIG="elsewhere/my.toml")
    else:
        line = refused(read, dotenv="CONNECTOR_CONFIG=elsewhere/my.toml")
    assert line.startswith("elsewhere/my.toml koji_nothing: ")
    (tmp_path / "elsewhere" / "my.toml").write_text("port = 7")
    loaded = read(CONNECTOR_CONFIG=str(tmp_path / "elsewhere" / "my.toml"))
    assert (loaded.settings.port, loaded.warnings) == (7, ())


def test_naming_a_missing_file_is_an_error(read: Read) -> None:
    line = refused(read, CONNECTOR_CONFIG="gone.toml")
    assert re.match(r"CONNECTOR_CONFIG: names .*gone\.toml, which does not exist; for example ", line)
    assert read(CONNECTOR_CONFIG="${CONNECTOR_CONFIG}").settings == Settings()


class TestPlaces:
    """Each of the two files is looked for in the working directory, else in the user's folder."""

    def places(self, tmp_path: Path) -> tuple[Path, Path]:
        folders = (tmp_path / "here", tmp_path / "user")
        for folder in folders:
            folder.mkdir()
        return folders

    def test_each_file_is_found_apart(self, tmp_path: Path) -> None:
        here, user = self.places(tmp_path)
        (here / "connector.toml").write_text('koji_project_id = "p-1"\n')
        (user / "connector.toml").write_text('amplitude_region = "eu"\n')
        (user / ".env").write_text("KOJI_API_KEY=key\n")
        loaded = load({}, here, user)
        connection = default(loaded)
        assert (connection.koji_project_id, connection.amplitude_region) == ("p-1", "us")
        assert secret(connection.koji_api_key) == "key"
        assert (loaded.document, loaded.dotenv) == (here / "connector.toml", user / ".env")

    def test_a_file_of_another_program_gives_way(self, tmp_path: Path) -> None:
        here, user = self.places(tmp_path)
        (here / ".env").write_text("DATABASE_URL=postgresql://db.example.com/shop\nPORT=3000\n# text\n")
        assert load({}, here, user).settings.port == 3000  # there is no other
        (user / ".env").write_text("KOJI_API_KEY=key\n")
        loaded = load({}, here, user)
        assert (loaded.settings.port, loaded.dotenv) == (8080, user / ".env")
        (here / ".env").write_text("no variable at all\n")
        assert load({}, here, user).dotenv == user / ".env"
        (here / ".env").write_text("KOJI_SEND_EMAIL=false\n")
        assert load({}, here, user).dotenv == here / ".env"

    def test_an_error_names_the_file_with_its_path_unless_it_is_here(self, tmp_path: Path) -> None:
        here, user = self.places(tmp_path)
        (user / ".env").write_text("KOJI_INVITE_BY=post\n")
        with pytest.raises(SettingsError, match=rf"^{re.escape(str(user / '.env'))} KOJI_INVITE_BY: must be"):
            load({}, here, user)
        (here / "connector.toml").write_text("nonsense = 1\n")
        (user / ".env").unlink()
        with pytest.raises(SettingsError, match=r"^connector.toml nonsense: is not a setting"):
            load({}, here, user)

    def test_a_document_named_in_a_file_counts_from_the_folder_of_that_file(self, tmp_path: Path) -> None:
        here, user = self.places(tmp_path)
        (user / ".env").write_text("CONNECTOR_CONFIG=mine.toml\n")
        (user / "mine.toml").write_text('koji_project_id = "p-2"\n')
        assert default(load({}, here, user)).koji_project_id == "p-2"


def test_a_folder_that_cannot_be_looked_into_holds_no_settings(tmp_path: Path) -> None:
    """As a home that `su` or `sudo` left from another user; a name that is too long fails for root too."""
    (tmp_path / ".env").write_text(f"KOJI_API_KEY={KEY}", encoding="utf-8")
    loaded = load({}, tmp_path / ("closed" * 100), tmp_path)
    assert loaded.settings.connections["default"].koji_api_key == SecretStr(KEY)
