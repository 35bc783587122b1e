import base64
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from connector.errors import SettingsError
from connector.security.sealing import Sealer
from connector.settings import key_files
from connector.settings.key_files import api_token, encryption_keys, key_file, open_sealer
from connector.settings.model import Settings

pytestmark = pytest.mark.unit

T = TypeVar("T")

KEY = base64.b64encode(bytes(range(32))).decode()


def beside(directory: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{directory}/ledger.db")


def at_once(call: Callable[[], T], times: int = 8) -> list[T]:
    together = threading.Barrier(times)

    def run(_: int) -> T:
        together.wait()
        return call()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def test_a_token_is_made_once_and_kept(tmp_path: Path) -> None:
    token, made_now = api_token(beside(tmp_path))
    again, made_again = api_token(beside(tmp_path))
    assert (made_now, made_again) == (True, False)
    assert token.get_secret_value() == again.get_secret_value()
    assert len(token.get_secret_value()) >= 32
    assert (tmp_path / "api-token").read_text() == token.get_secret_value() + "\n"


def test_two_machines_make_two_tokens(tmp_path: Path) -> None:
    one, other = api_token(beside(tmp_path / "one"))[0], api_token(beside(tmp_path / "other"))[0]
    assert one.get_secret_value() != other.get_secret_value()


def test_the_setting_wins_and_makes_no_file(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/ledger.db",
        connector_api_token=SecretStr("given"),
        connector_encryption_key=(SecretStr(KEY),),
    )
    token, made_now = api_token(settings)
    assert (token.get_secret_value(), made_now) == ("given", False)
    assert encryption_keys(settings) == (bytes(range(32)),)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    settings = beside(tmp_path / "data")
    umask = os.umask(0)
    try:
        api_token(settings)
        encryption_keys(settings)
    finally:
        os.umask(umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes == {"api-token": 0o600, "encryption-key": 0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = beside(tmp_path)
    for use, name in ((api_token, "api-token"), (encryption_keys, "encryption-key")):
        use(settings)
        (tmp_path / name).chmod(mode)
        with pytest.raises(SettingsError, match=f"chmod 600 .*{name}"):
            use(settings)


def test_the_made_key_seals_and_is_found_again(tmp_path: Path) -> None:
    sealed = Sealer(encryption_keys(beside(tmp_path))).seal(b"plan key")
    assert Sealer(encryption_keys(beside(tmp_path))).open(sealed) == b"plan key"


def test_the_key_file_may_hold_several_keys(tmp_path: Path) -> None:
    urlsafe = base64.urlsafe_b64encode(b"\xff" * 32).decode()
    (tmp_path / "encryption-key").write_text(f"{urlsafe}, {KEY}\n")
    (tmp_path / "encryption-key").chmod(0o600)
    assert encryption_keys(beside(tmp_path)) == (b"\xff" * 32, bytes(range(32)))


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    for attempt in range(20):
        settings = beside(tmp_path / str(attempt))
        answers = at_once(partial(api_token, settings))
        assert len({token.get_secret_value() for token, _ in answers}) == 1
        assert sum(made_now for _, made_now in answers) == 1
        assert len(set(at_once(partial(encryption_keys, settings)))) == 1


def test_an_empty_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "api-token"
    path.touch(0o600)
    monkeypatch.setattr(
        "connector.settings.key_files.time.sleep", lambda _: path.write_text("written by the other\n")
    )
    assert api_token(beside(tmp_path))[0].get_secret_value() == "written by the other"


def test_a_file_that_stays_empty_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encryption-key").touch(0o600)
    monkeypatch.setattr(key_files, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(SettingsError, match=r"encryption-key: is empty.*delete it"):
        encryption_keys(beside(tmp_path))


def test_a_spoiled_key_file_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "encryption-key").write_text(KEY[:-4] + "\n")
    (tmp_path / "encryption-key").chmod(0o600)
    with pytest.raises(SettingsError, match=r"encryption-key: .*32 bytes in base64") as caught:
        encryption_keys(beside(tmp_path))
    assert KEY[:-4] not in str(caught.value)
    assert (tmp_path / "encryption-key").read_text() == KEY[:-4] + "\n"


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = r"^DATABASE_URL: api-token cannot be kept beside the database .* or set CONNECTOR_API_TOKEN$"
    with pytest.raises(SettingsError, match=refused) as caught:
        api_token(beside(tmp_path / "file"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "setting"), [(api_token, "CONNECTOR_API_TOKEN"), (encryption_keys, "CONNECTOR_ENCRYPTION_KEY")]
)
def test_postgresql_has_no_files(use: Callable[[Settings], object], setting: str) -> None:
    with pytest.raises(SettingsError, match=f"^{setting}: must be set"):
        use(Settings(database_url="postgresql://db.example.com/connector"))


class TestKeyFile:
    def test_a_rotation_keeps_both_keys_until_it_ends(self, tmp_path: Path) -> None:
        settings = beside(tmp_path)
        (old,) = encryption_keys(settings)
        file = key_file(settings)
        first, is_fresh = file.begin_rotation()
        assert is_fresh
        assert encryption_keys(settings) == (first, old)
        assert file.begin_rotation() == (first, False), "an unfinished one goes on with its key"
        assert file.end_rotation(first)
        assert encryption_keys(settings) == (first,)
        assert file.end_rotation(first)
        assert not key_files.others_may_read(file.path)
        assert [path.name for path in tmp_path.iterdir()] == ["encryption-key"]

    def test_one_rotation_does_not_end_another(self, tmp_path: Path) -> None:
        file = key_file(beside(tmp_path))
        encryption_keys(beside(tmp_path))
        first, _ = file.begin_rotation()
        file.end_rotation(first)
        second, _ = file.begin_rotation()
        assert not file.end_rotation(first)
        assert file.read() == (second, first)

    def test_what_a_killed_one_left_beside_it_is_replaced(self, tmp_path: Path) -> None:
        encryption_keys(beside(tmp_path))
        (tmp_path / "encryption-key.new").write_text("half")
        first, _ = key_file(beside(tmp_path)).begin_rotation()
        assert encryption_keys(beside(tmp_path))[0] == first

    @pytest.mark.parametrize("text", [None, "", "s3cret"])
    def test_a_bad_file_is_refused_and_not_repeated(self, tmp_path: Path, text: str | None) -> None:
        if text is not None:
            (tmp_path / "encryption-key").write_text(text)
        with pytest.raises(SettingsError) as refused:
            key_file(beside(tmp_path)).begin_rotation()
        assert "s3cret" not in str(refused.value)

    def test_a_running_process_follows_the_file(self, tmp_path: Path) -> None:
        running = open_sealer(beside(tmp_path))
        before = running.seal(b"before")
        first, _ = key_file(beside(tmp_path)).begin_rotation()
        key_file(beside(tmp_path)).end_rotation(first)
        assert running.open(Sealer([first]).seal(b"sealed anew")) == b"sealed anew"
        assert Sealer([first]).open(running.seal(b"after")) == b"after"
        assert running.open(before) == b"before"
