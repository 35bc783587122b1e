import re
from pathlib import Path

import pytest

from connector.settings.model import Settings
from connector.settings.types import ALIAS_FIELDS
from tests.support.settings_reading import KEY, Read, reading, refused

pytestmark = pytest.mark.unit


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


@pytest.mark.parametrize("key", ["name", "connections"])
def test_tables_take_nothing_else(read: Read, key: str) -> None:
    line = refused(read, f'[connections.b]\n{key} = "x"')
    assert line.startswith(f"connector.toml [connections.b] {key}: is not a setting of this version")


@pytest.mark.parametrize("key", ["mode", "locale", "email_property", "name_property", "variant"])
def test_launch_defaults_stand_in_tables_only(read: Read, key: str) -> None:
    value = "text" if key == "mode" else "x"
    loaded = read(f'[connections.b]\n{key} = "{value}"', **{key.upper(): "voice"})
    assert getattr(loaded.settings.connections["b"], key) == value
    assert getattr(loaded.settings.connections["default"], key) is None
    assert refused(read, f'{key} = "{value}"').startswith(f"connector.toml {key}: is not a setting")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KOJI_INVITE_BY", "email"),
        ("KOJI_LINK_TEMPLATE", "{base}/x?who={person}"),
        ("KOJI_LINK_TEMPLATE", "ftp://example.com/{external_id}"),
        ("KOJI_SEND_EMAIL", "perhaps"),
        ("KOJI_DEFAULT_MODE", "video"),
        ("KOJI_COMPLETE_AFTER_HOURS", "0"),
        ("CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH", "2000001"),
        ("CONNECTOR_MAX_CREDITS_PER_DAY", "-1"),
    ],
)
def test_wrong_launch_settings_are_named(read: Read, name: str, value: str) -> None:
    line = refused(read, **{name: value})
    assert line.startswith(f"{name}: must")
    assert "for example" in line


def test_unknown_variables_with_our_prefixes_are_warned_about(read: Read) -> None:
    warnings = read(
        dotenv="AMPLITUDE_REGIONS=eu\nHOSTS=x\n",
        KOJI_SENT="s3cret",
        CONNECTOR_="x",
        PATH="/bin",
    ).warnings
    assert warnings == (
        "AMPLITUDE_REGIONS: is not a setting of this version, so it has no effect; did you mean AMPLITUDE_REGION?",
        "CONNECTOR_: is not a setting of this version, so it has no effect",
        "KOJI_SENT: is not a setting of this version, so it has no effect",
    )


def test_variables_of_others_are_no_settings_in_another_case(read: Read) -> None:
    assert read(port="1", koji_api_key="x").settings == Settings()


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (
            "koji_rate_limt_per_minute = 1",
            "connector.toml koji_rate_limt_per_minute: is not a setting of this version",
        ),
        ("KOJI_API_KEY = 's3cret'", "connector.toml KOJI_API_KEY: is not a setting of this version"),
        ("[connection.b]", "connector.toml connection: is not a setting of this version"),
        ('"a\\nb" = 1', "connector.toml a b: is not a setting of this version"),
        ("[connections.b]\nport = 1", "connector.toml [connections.b] port: belongs to the top level"),
    ],
)
def test_an_unknown_key_in_the_file_stops(read: Read, toml: str, line: str) -> None:
    assert refused(read, toml).startswith(line)


@pytest.mark.parametrize("key", ["koji_api_kei", "KOJI_API_KEY"])
def test_an_unknown_key_gets_a_suggestion(read: Read, key: str) -> None:
    line = refused(read, f"[connections.b]\n{key} = 's3cret'")
    assert "did you mean koji_api_key?" in line
    assert "s3cret" not in line


MALFORMED = [
    ("KOJI_API_KEY", "s3cret\tkey"),
    ("KOJI_API_KEY", "s3crét"),
    ("AMPLITUDE_API_KEY", "s3cret key"),
    ("AMPLITUDE_SECRET_KEY", "s3cret key"),
    ("CONNECTOR_API_TOKEN", "s3cret key"),
    ("CONNECTOR_ENCRYPTION_KEY", f"{KEY},s3cret"),
    ("KOJI_BASE_URL", "s3cret.example.com"),
    ("KOJI_BASE_URL", "ftp://s3cret.example.com"),
    ("KOJI_BASE_URL", "https://"),
    ("KOJI_BASE_URL", "https://[s3cret"),
    ("KOJI_BASE_URL", "https://s3cret.example.com:port"),
    ("KOJI_BASE_URL", "https://s3cret .example.com"),
    ("AMPLITUDE_INGESTION_URL", "https://user:s3cret@proxy.example.com"),
    ("AMPLITUDE_REST_URL", "https://proxy.example.com/?token=s3cret"),
    ("PUBLIC_URL", "https://connector.example.com/#s3cret"),
    ("KOJI_SIGNATURE_HEADER", "x s3cret"),
    ("KOJI_SIGNATURE_SCHEME", "s3cret"),
    ("KOJI_TIMESTAMP_TOLERANCE_SECONDS", "-1"),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "0"),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "s3cret"),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "1.5"),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "true"),
    ("KOJI_RATE_LIMIT_PER_MINUTE", "9" * 5000),
    ("AMPLITUDE_REGION", "s3cret"),
    ("AMPLITUDE_MIN_ID_LENGTH", "0"),
    ("AMPLITUDE_EVENTS_PER_SECOND", "-1"),
    ("CONNECTOR_MIN_QUALITY", "5.1"),
    ("CONNECTOR_MIN_QUALITY", "-0.1"),
    ("CONNECTOR_MIN_QUALITY", "nan"),
    ("CONNECTOR_NULL_EMAIL_IS_ANONYMOUS", "s3cret"),
    ("CONNECTOR_TRUST_EXTERNAL_ID", "2"),
    ("CONNECTOR_LOG_LEVEL", "s3cret"),
    ("CONNECTOR_ALLOWED_HOSTS", "https://s3cret.example.com"),
    ("CONNECTOR_ALLOWED_ORIGINS", "s3cret.example.com"),
    ("CONNECTOR_ALLOWED_ORIGINS", "https://s3cret.example.com/page"),
    ("CONNECTOR_ALERT_URLS", "s3cret"),
    ("CONNECTOR_DIGEST", "daily"),
    ("CONNECTOR_RETENTION_DAYS", "0"),
    ("CONNECTOR_RETENTION_DAYS", "1000000001"),
    ("DATABASE_URL", "mysql://user:s3cret@db.example.com/x"),
    ("DATABASE_URL", "postgresql+psycopg://user:s3cret@db.example.com/x"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "sqlite:///?mode=s3cret"),
    ("DATABASE_URL", "sqlite:///file:s3cret?uri=true"),
    ("HOST", "http://s3cret"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("KOJI_FIELD_ALIASES", "interview_id"),
    ("KOJI_FIELD_ALIASES", "interview_id="),
    ("KOJI_FIELD_ALIASES", "interview_id=a..b"),
    ("KOJI_FIELD_ALIASES", "id=a.b"),
    ("KOJI_FIELD_ALIASES", "ready=a.b"),
    ("KOJI_FIELD_ALIASES", "email_given=a.b"),
    ("KOJI_FIELD_ALIASES", "failed_quality_gate=a.b"),
    ("KOJI_FIELD_ALIASES", "interview_id=a,interview_id=b"),
]


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_a_malformed_variable_is_named_with_an_example_and_never_shown(
    read: Read, name: str, text: str
) -> None:
    line = refused(read, **{name: text})
    assert re.match(rf"{name}: must .+; for example {name}=\S+$", line)
    assert not re.search(r"s3cr|\d{6}", line)


def test_a_field_that_is_concluded_has_no_alias_and_the_others_are_named(read: Read) -> None:
    line = refused(read, KOJI_FIELD_ALIASES="ready=data.done")
    assert "not 'ready'" in line
    assert all(name in line for name in ALIAS_FIELDS)


@pytest.mark.parametrize("name", sorted({name for name, _ in MALFORMED} - {"CONNECTOR_ENCRYPTION_KEY"}))
def test_the_example_is_a_good_value(read: Read, name: str) -> None:
    bad = next(text for other, text in MALFORMED if other == name)
    example = refused(read, **{name: bad}).partition(f"; for example {name}=")[2]
    assert read(**{name: example}).warnings == ()


def test_the_line_says_where_the_value_was_written(read: Read) -> None:
    assert refused(read, "port = 'x'").startswith(
        "connector.toml port: must be a whole number from 1 to 65535; "
    )
    assert refused(read, None, "PORT=x").startswith(".env PORT: must be a whole number")
    in_table = refused(read, "[connections.b]\nkoji_api_key = 's3 cret'", "PORT=1")
    assert in_table == (
        "connector.toml [connections.b] koji_api_key: must be visible ASCII characters without spaces, because it"
        ' travels in a header; for example koji_api_key = "your-koji-key"'
    )


def test_an_inherited_malformed_value_is_named_where_it_stands(read: Read) -> None:
    assert refused(read, "[connections.b]", CONNECTOR_MIN_QUALITY="9").startswith("CONNECTOR_MIN_QUALITY: ")


@pytest.mark.parametrize(
    "toml",
    [
        "koji_api_key = [1]",
        "koji_project_id = { a = 1 }",
        "koji_webhook_secret = { a = 's3cret' }",
        "koji_webhook_secret = 2020-01-01",
        "koji_field_aliases = ['s3cret']",
        "koji_field_aliases = { interview_id = 1979-05-27 }",
        "koji_rate_limit_per_minute = true",
        "connector_min_quality = nan",
        "connector_min_quality = inf",
        "port = 1.5",
        "database_url = ['s3cret']",
    ],
)
def test_wrong_types_in_the_file_are_refused(read: Read, toml: str) -> None:
    name = toml.partition(" ")[0]
    line = refused(read, toml)
    assert re.match(rf"connector\.toml {name}: must be .+; for example {name} = \S+", line)
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        ("port = 1\nkoji_api_key = s3cret", "connector.toml line 2"),
        ("koji_api_key = 's3cret", "connector.toml"),
        ("port = 1\nport = 2", "connector.toml"),
    ],
)
def test_a_file_that_is_not_toml(read: Read, toml: str, place: str) -> None:
    line = refused(read, toml)
    assert line.startswith(place)
    assert "is not valid TOML; for example " in line
    assert "s3cret" not in line


def test_a_bad_line_in_dotenv_stops(read: Read) -> None:
    line = refused(read, None, 'PORT=1\nKOJI_API_KEY="s3cret\n')
    assert line == ".env line 2: must be NAME=value; for example KOJI_API_KEY=your-koji-key"


@pytest.mark.parametrize("name", ["connector.toml", ".env"])
def test_a_file_that_is_not_text(read: Read, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    assert refused(read) == f"{name}: cannot be read: it is not UTF-8 text"


def test_directories_in_the_place_of_the_files(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read().settings == Settings()
    (tmp_path / "connector.toml").mkdir()
    assert refused(read).startswith("connector.toml: cannot be read: ")
