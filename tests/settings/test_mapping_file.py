"""Answers and computed properties in the settings: what is read, and where what is refused stands."""

from pathlib import Path

import pytest

from connector.settings.toml_file import TomlFile
from tests.support.settings_reading import Read, default, reading, refused

pytestmark = pytest.mark.unit

EVENT = "# a comment\n[event_properties]\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


def mapping(folder: Path, text: str, name: str = "mapping.toml") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_the_file_beside_the_settings_is_read(read: Read, tmp_path: Path) -> None:
    mapping(
        tmp_path, EVENT + 'source = "\'koji\'"\n[user_properties]\nlast_minutes = "stats.duration_seconds"\n'
    )
    found = default(read()).mapping
    assert (dict(found.event), dict(found.user)) == (
        {"source": "'koji'"},
        {"last_minutes": "stats.duration_seconds"},
    )


def test_without_the_file_nothing_is_added(read: Read) -> None:
    assert default(read()).mapping == ({}, {}, {})


def test_a_name_counts_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    mapping(tmp_path / "settings", EVENT + "a = 'summary'\n", "mine.toml")
    mapping(tmp_path, EVENT + "b = 'summary'\n")
    toml = 'connector_mapping_file = "mine.toml"\n'
    named = str(tmp_path / "settings" / "connector.toml")
    Path(named).write_text(toml, encoding="utf-8")
    assert default(reading(tmp_path)(CONNECTOR_CONFIG=named)).mapping.event == {"a": "summary"}


def test_a_connection_may_have_its_own_file_and_never_inherits_questions(read: Read, tmp_path: Path) -> None:
    mapping(tmp_path, EVENT + "all = 'summary'\n")
    mapping(tmp_path, EVENT + "own = 'summary'\n", "b.toml")
    toml = '[connections.a]\n[connections.b]\nconnector_mapping_file = "b.toml"\n'
    connections = read(toml, CONNECTOR_ANSWER_PROPERTIES="q_1=nps").settings.connections
    assert [[*connections[name].mapping.event] for name in ("default", "a", "b")] == [
        ["all"],
        ["all"],
        ["own"],
    ]
    answers = [dict(connections[name].connector_answer_properties) for name in ("default", "a", "b")]
    assert answers == [{"q_1": "nps"}, {}, {}]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (EVENT + 'a = "themes[0"\n', "line 3, column 14 a", "ends too early"),
        (EVENT + 'b = "summary"\na = "themes ||| x"\n', "line 4, column 15 a", "does not expect '|'"),
        (EVENT + "a = '''\nthemes\n ||| x'''\n", "line 5, column 4 a", "does not expect '|'"),
        (EVENT + 'a = "x == \\"y\\" #"\n', "line 3, column 1 a", "does not expect '#'"),
        (
            EVENT + 'a = "themes | size(@)"\n',
            "line 3, column 15 a",
            "calls size(), which JMESPath does not",
        ),
        (EVENT + 'a = "join(themes)"\n', "line 3, column 6 a", "calls join() with 1 instead of 2"),
        (EVENT + 'a = ""\n', "line 3, column 1 a", "is empty"),
        (EVENT + "a = 5\n", "line 3, column 1 a", "must be a JMESPath expression in quotation marks"),
        (EVENT + '  themes = "summary"\n', "line 3, column 3 themes", "one of the connector's own"),
        (EVENT + "theme_key_1 = 'summary'\n", "line 3, column 1 theme_key_1", "one of the connector's own"),
        (EVENT + "'[amplitude] x' = 'summary'\n", "line 3, column 1 [amplitude] x", "Amplitude reserves"),
        (
            EVENT + "nps = 'summary'\n",
            "line 3, column 1 nps",
            "is also a property of CONNECTOR_ANSWER_PROPERTIES",
        ),
        (EVENT + f"{'x' * 101} = 'summary'\n", f"line 3, column 1 {'x' * 101}", "1 to 100 printable"),
        ("user_properties.last_interview_at = 'summary'", "line 1, column 1 last_interview_at", "own"),
        ("event_properties = {a = 'a.#'}", "line 1, column 28 a", "does not expect '#'"),
        ("\n[users]\n", "line 2, column 1 users", "is not one of the tables [event_properties]"),
        ("event_properties = 5\n", "line 1, column 1 event_properties", "must be a table of at most 50"),
        (
            EVENT + "".join(f"p{number} = 'summary'\n" for number in range(51)),
            "line 2, column 1 event_properties",
            "must be a table of at most 50",
        ),
        (EVENT + "a = 'x'\na = 'y'\n", "line 4, column 8", "is not valid TOML"),
    ],
)
def test_a_fault_is_named_with_its_place(
    read: Read, tmp_path: Path, text: str, place: str, words: str
) -> None:
    mapping(tmp_path, text)
    line = refused(read, CONNECTOR_ANSWER_PROPERTIES="q_1=nps")
    assert line.startswith(f"mapping.toml {place}: ")
    assert words in line
    assert "; for example " in line


def test_a_named_file_must_exist(read: Read, tmp_path: Path) -> None:
    line = refused(read, CONNECTOR_MAPPING_FILE="other.toml")
    assert line == f"CONNECTOR_MAPPING_FILE: names {tmp_path}/other.toml, which does not exist"


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


def test_the_place_of_an_entry_in_a_file_without_its_last_line_break() -> None:
    file = TomlFile("x.toml", "[a]\n\n# b = 1\n b = 'c'", {})
    assert file.place("a", "b") == "x.toml line 4, column 2"
    assert file.place("a", "b", value="c") == "x.toml line 4, column 7"
