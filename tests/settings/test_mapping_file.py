"""Answers and computed properties in the settings: what is read, and where what is refused stands."""

from pathlib import Path

import pytest

from connector.domain.results.added_properties import AddedProperties
from connector.settings.model import Connection
from tests.support.settings_reading import Read, default, reading, refused

pytestmark = pytest.mark.unit

EVENT = "# a comment\n[event_properties]\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


def mapping(folder: Path, text: str, name: str = "mapping.toml") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def mapped(connection: Connection) -> AddedProperties:
    assert connection.connector_mapping_file is not None
    return connection.connector_mapping_file


def test_the_file_beside_the_settings_is_read(read: Read, tmp_path: Path) -> None:
    mapping(
        tmp_path, EVENT + 'source = "\'koji\'"\n[user_properties]\nlast_minutes = "stats.duration_seconds"\n'
    )
    found = mapped(default(read()))
    assert (dict(found.event), dict(found.user)) == (
        {"source": "'koji'"},
        {"last_minutes": "stats.duration_seconds"},
    )


def test_without_the_file_nothing_is_added(read: Read) -> None:
    assert default(read()).connector_mapping_file is None


def test_a_name_counts_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    mapping(tmp_path / "settings", EVENT + "a = 'summary'\n", "mine.toml")
    mapping(tmp_path, EVENT + "b = 'summary'\n")
    toml = 'connector_mapping_file = "mine.toml"\n'
    named = str(tmp_path / "settings" / "connector.toml")
    Path(named).write_text(toml, encoding="utf-8")
    assert mapped(default(reading(tmp_path)(CONNECTOR_CONFIG=named))).event == {"a": "summary"}


def test_a_connection_may_have_its_own_file_and_never_inherits_questions(read: Read, tmp_path: Path) -> None:
    mapping(tmp_path, EVENT + "all = 'summary'\n")
    mapping(tmp_path, EVENT + "own = 'summary'\n", "b.toml")
    toml = '[connections.a]\n[connections.b]\nconnector_mapping_file = "b.toml"\n'
    connections = read(toml, CONNECTOR_ANSWER_PROPERTIES="q_1=nps").settings.connections
    assert [[*mapped(connections[name]).event] for name in ("default", "a", "b")] == [
        ["all"],
        ["all"],
        ["own"],
    ]
    answers = [dict(connections[name].connector_answer_properties) for name in ("default", "a", "b")]
    assert answers == [{"q_1": "nps"}, {}, {}]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (EVENT + 'a = "themes[0"\n', "3, column 1", "a ends too early (character 9 of its expression)"),
        (
            EVENT + 'source = "koji"\n',
            "3, column 1",
            "source names koji, which no interview has; a constant is written 'koji'",
        ),
        (EVENT + 'a = "sum(theme[*].n)"\n', "3, column 1", "a names theme, which no interview has"),
        (EVENT + 'b = "summary"\na = "themes ||| x"\n', "4, column 1", "a does not expect '|' (character 10"),
        (EVENT + "a = '''\nthemes\n ||| x'''\n", "5", "a does not expect '|'"),
        (
            EVENT + 'a = "themes | size(@)"\n',
            "3, column 1",
            "a calls size(), which JMESPath does not have (character",
        ),
        (EVENT + 'a = "join(themes)"\n', "3, column 1", "a calls join() with 1 instead of 2"),
        (EVENT + 'a = ""\n', "3, column 1", "a is empty"),
        (EVENT + "a = 5\n", "3, column 1", "a must be a JMESPath expression in quotation marks"),
        (EVENT + '  themes = "summary"\n', "3, column", "themes has the name of one of the connector's own"),
        (
            EVENT + "theme_key_1 = 'summary'\n",
            "3, column",
            "theme_key_1 has the name of one of the connector's own",
        ),
        (
            EVENT + "'[amplitude] x' = 'summary'\n",
            "3, column",
            "[amplitude] x has a name that Amplitude reserves",
        ),
        (EVENT + f"{'x' * 101} = 'summary'\n", "3, column", "1 to 100 printable"),
        ("user_properties.last_interview_at = 'summary'", "1, column", "last_interview_at has the name"),
        ("event_properties = {a = 'a.#'}", "1, column", "a does not expect '#'"),
        ("\n[users]\n", "2, column 1", "users is not one of the tables [event_properties]"),
        ("event_properties = 5\n", "1, column", "event_properties must be a table of at most 50"),
        (
            EVENT + "".join(f"p{number} = 'summary'\n" for number in range(51)),
            "53, column",
            "event_properties must be a table of at most 50",
        ),
        (EVENT + "a = 'x'\na = 'y'\n", "4, column 8", "is not valid TOML"),
    ],
)
def test_a_fault_is_named_with_its_place(
    read: Read, tmp_path: Path, text: str, place: str, words: str
) -> None:
    mapping(tmp_path, text)
    line = refused(read)
    assert line.startswith(f"mapping.toml line {place}")
    assert words in line
    assert "; for example " in line


def test_a_named_file_must_exist(read: Read) -> None:
    line = refused(read, CONNECTOR_MAPPING_FILE="other.toml")
    assert line.startswith("CONNECTOR_MAPPING_FILE: names other.toml, which is no file")


def test_an_answer_and_an_expression_never_share_a_property(read: Read, tmp_path: Path) -> None:
    mapping(tmp_path, EVENT + "nps = 'summary'\n")
    line = refused(read, CONNECTOR_ANSWER_PROPERTIES="q_1=nps")
    assert line.startswith("CONNECTOR_ANSWER_PROPERTIES: must not name 'nps', which mapping.toml computes")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("q_1=nps,q_2=nps", "must name each property once, names 'nps' twice"),
        ("q_1=nps,q_1=plan", "names 'q_1' twice"),
        ("q_1=nps,q_2", "must be questionId=property pairs, not 'q_2='"),
        ("=nps", "must be questionId=property pairs, not '=nps'"),
        ("q_1=a=b", "must be questionId=property pairs, not 'q_1=a=b'"),
        ("q_1=sentiment", "cannot add 'sentiment': it has the name of one of the connector's own"),
        ("q_1=$set", "cannot add '$set': it has a name that Amplitude reserves"),
        ("q_1=gp:x", "cannot add 'gp:x': it has a name that Amplitude reserves"),
        (",".join(f"q_{number}=p_{number}" for number in range(51)), "must be at most 50 pairs"),
    ],
)
def test_wrong_answer_properties_are_named(read: Read, written: str, words: str) -> None:
    line = refused(read, CONNECTOR_ANSWER_PROPERTIES=written)
    assert line.startswith("CONNECTOR_ANSWER_PROPERTIES: ")
    assert words in line
