import subprocess
from pathlib import Path

import pytest

from tools.secret_scan import MARKER, SHAPES, main, scan

pytestmark = pytest.mark.unit

LETTERS = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOpQ"  # 43
# in halves, so that the scan of this repository does not find them
PLANTED = {
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a Koji key": "pk_" + f"live_{LETTERS[:32]}",
    "a Koji session token": "st_" + f"live_{LETTERS[:20]}",
    "a webhook secret": "whsec" + f"_{LETTERS[:32]}",
    "a token of ours": "kat" + f"_{LETTERS}",
    "an AWS key id": "AKIA" + "ABCDEFGHIJ234567",
    "a GitHub token": "ghp" + f"_{LETTERS[:36]}",
    "an Amplitude key": "AMPLITUDE_API" + "_KEY=" + "0a1b2c3d" * 4,
    "an AWS secret": "aws_secret_access" + f"_key = {LETTERS[:40]}",
}
MORE = (
    "-----BEGIN " + "PRIVATE KEY-----",
    "koji" + f"_sk_{LETTERS[:20]}",
    "github" + f"_pat_{LETTERS}",
    '{"amplitude_secret' + '_key": "' + "0a1b2c3d" * 4 + '"}',
)


def repository(path: Path, text: str) -> Path:
    (path / "notes.txt").write_text(text)
    for words in (["init", "-q"], ["add", "notes.txt"]):
        subprocess.run(["git", "-C", str(path), *words], check=True)
    return path


def test_one_of_each_is_planted() -> None:
    assert set(PLANTED) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_planted_is_found_and_not_repeated(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, f'first line\nvalue: "{PLANTED[name]}" and more\n')
    assert main(root) == 1
    said = capsys.readouterr().out
    assert said == f"notes.txt:2: {name}\n"


@pytest.mark.parametrize("text", MORE)
def test_other_spellings_are_found(text: str) -> None:
    assert len(list(scan(text))) == 1


@pytest.mark.parametrize(
    "text", [f"{{}}  # {MARKER}", f"# {MARKER}\n{{}}"], ids=["on the line", "on the line before"]
)
def test_the_marker_allows_what_was_made_up(tmp_path: Path, text: str) -> None:
    assert main(repository(tmp_path, text.format(PLANTED["a Koji key"]))) == 0
    assert list(scan(f"{text.format('nothing')}\n\n{PLANTED['a Koji key']}"))


def test_placeholders_and_files_that_git_does_not_track_are_left_alone(tmp_path: Path) -> None:
    root = repository(tmp_path, "pk_live_your_key_here st_live_xxxxxxxxxxxxxxxxxxxx whsec_… kat_short")
    (root / ".env").write_text(PLANTED["a Koji key"])
    assert main(root) == 0


def test_without_a_repository_it_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 0
    assert "skipped" in capsys.readouterr().out
