import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from connector.settings.model import Connection
from tests.support.settings_reading import Read, default, reading, refused, secret

pytestmark = pytest.mark.unit


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


TWO = """
koji_api_key = "koji-a"
koji_base_url = "https://a.example.com"
amplitude_api_key = "amplitude-a"
amplitude_region = "eu"
connector_min_quality = 2
connector_trust_external_id = true
host = "localhost"

[connections.b-2]
koji_api_key = "env:KOJI_KEY_OF_B"
connector_min_quality = 4
"""


def test_another_connection_inherits_only_the_settings_of_the_connector(read: Read) -> None:
    loaded = read(
        TWO, KOJI_KEY_OF_B="koji-b", CONNECTOR_NULL_EMAIL_IS_ANONYMOUS="true", KOJI_PROJECT_ID="p-a"
    )
    assert set(loaded.settings.connections) == {"default", "b-2"}
    assert loaded.settings.connections["b-2"] == Connection(
        name="b-2",
        koji_api_key=SecretStr("koji-b"),
        connector_min_quality=4,
        connector_trust_external_id=True,
        connector_null_email_is_anonymous=True,
    )
    assert default(loaded) == Connection(
        koji_api_key=SecretStr("koji-a"),
        koji_base_url="https://a.example.com",
        koji_project_id="p-a",
        amplitude_api_key=SecretStr("amplitude-a"),
        amplitude_region="eu",
        connector_min_quality=2,
        connector_trust_external_id=True,
        connector_null_email_is_anonymous=True,
    )


def test_a_tables_own_value_stands_against_the_environment(read: Read) -> None:
    connections = read(TWO, CONNECTOR_MIN_QUALITY="1", KOJI_API_KEY="from-environment").settings.connections
    assert connections["b-2"].connector_min_quality == 4
    assert connections["b-2"].koji_api_key is None
    assert connections["default"].connector_min_quality == 1
    assert secret(connections["default"].koji_api_key) == "from-environment"


def test_a_missing_reference_is_not_set(read: Read) -> None:
    assert read(TWO).settings.connections["b-2"].koji_api_key is None
    assert read(TWO, KOJI_KEY_OF_B="${X}").settings.connections["b-2"].koji_api_key is None


def test_a_reference_prefers_the_environment_to_dotenv(read: Read) -> None:
    loaded = read(TWO, "KOJI_KEY_OF_B=from-dotenv", KOJI_KEY_OF_B="from-environment")
    assert secret(loaded.settings.connections["b-2"].koji_api_key) == "from-environment"


def test_a_reference_is_also_found_in_dotenv(read: Read) -> None:
    loaded = read(TWO, "KOJI_KEY_OF_B=from-dotenv")
    assert secret(loaded.settings.connections["b-2"].koji_api_key) == "from-dotenv"
    assert loaded.warnings == ()


def test_the_table_of_default_stands_above_the_top_level_and_below_variables(read: Read) -> None:
    toml = (
        'koji_project_id = "top"\nconnector_min_quality = 1\namplitude_region = "us"\n[connections.default]\n'
    )
    loaded = read(
        toml + 'koji_project_id = "table"\nconnector_min_quality = 2', KOJI_PROJECT_ID="environment"
    )
    assert default(loaded).koji_project_id == "environment"
    assert default(loaded).connector_min_quality == 2


@pytest.mark.parametrize("name", ["B", "b_1", "", "x" * 41, "b 1", "ä"])
def test_bad_connection_names_are_refused(read: Read, name: str) -> None:
    line = refused(read, f"[connections.{json.dumps(name)}]")
    assert line.startswith(f"connector.toml [connections.{name}]: must be named")


def test_the_longest_connection_name(read: Read) -> None:
    assert "x" * 40 in read(f"[connections.{'x' * 40}]").settings.connections


@pytest.mark.parametrize(
    ("toml", "start"),
    [
        ("connections = 1", "connector.toml connections: must be tables"),
        ("[connections]\nb = 1", "connector.toml [connections.b]: must be a table"),
    ],
)
def test_connections_are_tables(read: Read, toml: str, start: str) -> None:
    assert refused(read, toml).startswith(start)


def test_lanes_are_keyed_by_the_credential() -> None:
    one = Connection(koji_api_key=SecretStr("k"), amplitude_api_key=SecretStr("k"))
    other = Connection(
        name="b", koji_api_key=SecretStr("k"), amplitude_api_key=SecretStr("k"), amplitude_region="eu"
    )
    # sha256("k") begins with these 16 digits
    assert one.koji_lane == other.koji_lane == "koji:8254c329a92850f6"
    assert one.amplitude_lane == other.amplitude_lane == "amplitude:8254c329a92850f6"
    assert (Connection().koji_lane, Connection().amplitude_lane) == (None, None)


COHORTS = """[connections.default]
mode = "text"
variant = "A"
[connections.default.cohorts."7khm89cz"]
mode = "Voice"
email_property = "work_email"
"""


def test_a_cohort_has_launch_defaults_of_its_own_above_the_connections(read: Read) -> None:
    connection = default(read(COHORTS))
    own, other = connection.of_cohort("7khm89cz"), connection.of_cohort("another")
    assert (own.mode, own.variant, own.email_property) == ("voice", "A", "work_email")
    assert (other.mode, other.variant, other.email_property) == ("text", "A", None)


@pytest.mark.parametrize(
    ("toml", "start"),
    [
        ("[connections.b]\ncohorts = 1", "connector.toml [connections.b.cohorts]: must be tables"),
        ('[connections.b.cohorts]\n"c" = 1', 'connector.toml [connections.b.cohorts."c"]: must be a table'),
        (
            '[connections.b.cohorts."c"]\nmode = "song"',
            'connector.toml [connections.b.cohorts."c"] mode: must be text',
        ),
        (
            '[connections.b.cohorts."c"]\nkoji_api_key = "k"',
            'connector.toml [connections.b.cohorts."c"] koji_api_key',
        ),
        ("cohorts = 1", "connector.toml cohorts: "),
    ],
)
def test_tables_of_cohorts_are_checked(read: Read, toml: str, start: str) -> None:
    assert refused(read, toml).startswith(start)
