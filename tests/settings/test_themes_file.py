"""The file of themes: where it is looked for, and what is wrong in it."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest

from connector.domain.results.theme_keys import Theme, Vocabulary
from tests.support.settings_reading import Read, default, reading, refused

pytestmark = pytest.mark.unit

GOOD = '[themes.price]\ntitle = "Pricing"\naliases = ["Pricing confusion", "costs"]\npatterns = ["^pric", "(a+)+$"]\n'
PRICE = Vocabulary((Theme("price", "Pricing", ("Pricing confusion", "costs"), ("^pric", "(a+)+$")),))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path)


def test_it_is_read_where_it_is_there_and_no_vocabulary_is_the_default(tmp_path: Path, read: Read) -> None:
    assert default(read()).connector_themes_file is None
    (tmp_path / "themes.toml").write_text("# nothing yet\n")
    assert default(read()).connector_themes_file is None
    (tmp_path / "themes.toml").write_text(GOOD)
    loaded = read("[connections.other]")
    assert default(loaded).connector_themes_file == PRICE
    assert loaded.settings.connections["other"].connector_themes_file == PRICE
    assert loaded.warnings == ()


def test_a_name_counts_from_the_folder_of_the_settings(tmp_path: Path, read: Read) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "words.toml").write_text(GOOD)
    (tmp_path / "elsewhere" / "connector.toml").write_text('connector_themes_file = "words.toml"')
    named = str(tmp_path / "elsewhere" / "connector.toml")
    assert default(read(CONNECTOR_CONFIG=named)).connector_themes_file == PRICE
    table = '[connections.b]\nconnector_themes_file = "elsewhere/words.toml"'
    loaded = read(table)
    assert loaded.settings.connections["b"].connector_themes_file == PRICE
    assert default(loaded).connector_themes_file is None


def test_a_named_file_must_be_there(tmp_path: Path, read: Read) -> None:
    line = refused(read, CONNECTOR_THEMES_FILE="nope.toml")
    assert line == (
        "CONNECTOR_THEMES_FILE: names nope.toml, which is no file; for example CONNECTOR_THEMES_FILE=themes.toml"
    )
    assert "connector.toml connector_themes_file: names " in refused(
        read, f'connector_themes_file = "{tmp_path}"'
    )


@pytest.mark.parametrize(
    ("text", "place", "wrong"),
    [
        ("x = 1", "line 1, column 1", "x does not fit"),
        ("themes = 3", "line 1, column 1", "themes does not fit"),
        ("\n[themes]\nprice = 1", "line 3, column 1", "themes.price does not fit"),
        ('[themes."two words"]', "line 1, column 1", "two words"),
        ('[themes.a]\ntitel = "x"', "line 2, column 1", "themes.a.titel"),
        ('[themes.a]\n  aliases = "x"', "line 2, column 3", "themes.a.aliases"),
        ('[themes.a]\naliases = ["x", 5]', "line 2, column 17", "themes.a.aliases.1"),
        ('[themes.a]\npatterns = ["ok", "ba(d"]\n', "line 2, column 19", "pattern 'ba(d': unclosed group"),
        ('[themes.a]\npatterns = [\n  "ok",\n  "ba(d",\n]', "line 4, column 3", "pattern 'ba(d'"),
        ('[themes.a]\npatterns = ["(?=x)"]', "line 2, column 1", "look-around"),
        (
            '[themes.a]\naliases=["X"]\n[themes.b]\naliases = ["y", "x"]',
            "line 4, column 17",
            "'x' is a name of",
        ),
        ('[themes.a]\naliases = ["x"\n[b]', "line 3, column 1", "is not valid TOML"),
        ('[themes.a]\ntitle = "x', "line 2", "is not valid TOML"),
    ],
)
def test_an_error_names_file_line_and_column(
    tmp_path: Path, read: Read, text: str, place: str, wrong: str
) -> None:
    (tmp_path / "themes.toml").write_text(text)
    line = refused(read)
    assert line.startswith(f"themes.toml {place}")
    assert wrong in line


def test_the_place_of_an_error_in_a_long_file_is_found_soon(tmp_path: Path, read: Read) -> None:
    themes = [f'[themes.t{n}]\naliases = [\n  "alias {n}",\n]\n' for n in range(500)]
    themes[400] = themes[400].replace("alias 400", "alias 3")
    (tmp_path / "themes.toml").write_text("".join(themes))
    began = time.process_time()
    assert refused(read).startswith("themes.toml line 1603, column 3: 'alias 3' is a name of")
    assert time.process_time() - began < 20


def test_the_name_counts_before_a_pattern_and_the_order_is_that_of_the_labels() -> None:
    vocabulary = Vocabulary(
        (Theme("speed", "Speed", (), ("slow|pric|gro\u00df",)), Theme("price", "Pricing", ("Slow price",)))
    )
    assert vocabulary.key_of("  slow   PRICE ") == "price"
    assert vocabulary.key_of("Slow prices") == "speed"
    assert vocabulary.key_of("Zu gro\u00df") == "speed"
    assert vocabulary.key_of("docs") is None
    assert vocabulary.keys_of(["docs", "pricing", "slow", "PRICING"]) == ("price", "speed")
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary


def test_no_label_makes_a_pattern_slow() -> None:
    began = time.process_time()
    for label in ("a" * 1_000_000 + "!", "a" * 1_000 + "!", "\ud800", ""):
        assert PRICE.key_of(label) is None
    assert time.process_time() - began < 1
