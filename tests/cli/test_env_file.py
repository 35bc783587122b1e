"""`.env` keeps what others wrote into it, and its values come back as they went in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.setup.answers import write
from connector.settings.files import read_dotenv

pytestmark = pytest.mark.unit

OLD = """# keys of the test project
KOJI_API_KEY=old   # trailing words
export OTHER="kept as it is"

UNKNOWN_THING=${NOT_EXPANDED}
KOJI_API_KEY='older still'
LAST=1"""


def test_old_lines_are_replaced_in_place_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(OLD)
    write(path, {"KOJI_API_KEY": "new", "AMPLITUDE_API_KEY": "a b"})
    assert path.read_text() == (
        "# keys of the test project\n"
        "KOJI_API_KEY=new\n"
        'export OTHER="kept as it is"\n'
        "\n"
        "UNKNOWN_THING=${NOT_EXPANDED}\n"
        "KOJI_API_KEY=new\n"
        "LAST=1\n"
        "AMPLITUDE_API_KEY='a b'\n"
    )


def test_nothing_to_change_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(OLD)
    write(path, {})
    assert path.read_text() == OLD


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    path, target = tmp_path / ".env", tmp_path / "kept" / "env"
    target.write_text("A=1\n")
    path.symlink_to(target)
    write(path, {"KOJI_API_KEY": "new"})
    assert path.is_symlink()
    assert target.read_text() == "A=1\nKOJI_API_KEY=new\n"


@given(
    value=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(bool),
    before=st.sampled_from(["", "A=1", "A=1\n", "KOJI_API_KEY=x\n", OLD, "# only words"]),
)
def test_a_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: str, before: str) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_text(before, encoding="utf-8")
    others = {name: held for name, held in read_dotenv(path).items() if name != "KOJI_API_KEY"}
    write(path, {"KOJI_API_KEY": value})
    assert read_dotenv(path) == {**others, "KOJI_API_KEY": value}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    write(path, {"KOJI_API_KEY": "new"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [".env"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    with pytest.raises(UnicodeEncodeError):
        write(path, {"KOJI_API_KEY": "\ud800"})
    assert path.read_text() == "A=1\n"
    assert [one.name for one in tmp_path.iterdir()] == [".env"]
