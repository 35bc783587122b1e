"""No log line holds people, their words or secrets, whatever field or exception they come in."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from connector import log
from connector.errors import UpstreamRejected

pytestmark = pytest.mark.unit

ADDRESS = "person-001@example.com"
ESCAPED = "person-001%40example.com"
BEARER = "Bearer abcdef123456"
PARAMETER = "https://example.com/hook?token=tok-in-address&x=1"
DATABASE = "postgresql://owner:pass-in-url@db.example.com/ledger"
KNOWN = "a-secret-from-the-settings"
WORDS = "I cancelled because of the price"
PLANTED = (ADDRESS, ESCAPED, "abcdef123456", "tok-in-address", "pass-in-url", KNOWN, "key-in-header")
HEADERS = (
    "X-API-Key: key-in-header",
    f"Authorization: {BEARER}",
    "authorization=Api-Key key-in-header",
    f"{{'Authorization': '{BEARER}'}}",
    f'{{"Authorization": "{BEARER}"}}',
)
TEXTS = (ADDRESS, f"asked for {ESCAPED}", BEARER, PARAMETER, DATABASE, KNOWN, *HEADERS)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    kept = {
        name: logging.getLogger(name).level
        for name in ("httpx", "httpcore", "uvicorn.error", "asyncio", "sqlalchemy")
    }
    for logger in map(logging.getLogger, ("uvicorn", "uvicorn.error")):  # servers of other tests set them
        logger.setLevel(logging.NOTSET)
        logger.propagate, logger.disabled = True, False
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in kept.items():
        logging.getLogger(name).setLevel(was)


def assert_nothing_leaked(text: str) -> None:
    assert [one for one in PLANTED if one in text] == []


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_every_field_is_scrubbed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, terminal: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log.configure("debug", secrets=[KNOWN], stream_is_terminal=terminal)
    structlog.get_logger("x").info(
        f"event {text}",
        plain=text,
        inside={"a": [text, {"b": text}], text: 1},
        error=ValueError(text),
        kept="lane",
    )
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "lane" in shown.err
    assert "event" in shown.err
    assert_nothing_leaked(shown.err)


@pytest.mark.parametrize(
    "name", ["body", "headers", "token", "secret", "api_key", "Authorization", "koji_webhook_secret"]
)
def test_fields_that_hold_what_must_not_be_logged_are_dropped(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    log.configure("info", stream_is_terminal=False)
    structlog.get_logger("x").info("something", **{name: WORDS}, inside={name: WORDS}, body_bytes=7)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "something"
    assert line["inside"] == {}
    assert line["body_bytes"] == 7
    assert name not in line


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_exceptions_tell_where_and_what_without_words_or_locals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, terminal: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log.configure("info", secrets=[KNOWN], stream_is_terminal=terminal)
    a_local = f"{text} {WORDS}"
    try:
        try:
            raise KeyError(a_local)
        except KeyError:
            raise ValueError(f"could not read {a_local!r} from {text}\n[parameters: {a_local}]") from None
    except ValueError:
        structlog.get_logger("x").exception("failed")
    shown = capsys.readouterr().err
    assert "ValueError: could not read" in shown
    assert "test_log.py" in shown
    assert WORDS not in shown
    assert_nothing_leaked(shown)


def test_our_own_errors_keep_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", stream_is_terminal=False)
    try:
        raise UpstreamRejected("Amplitude refused 'it'.")
    except UpstreamRejected:
        structlog.get_logger("x").exception("failed")
    assert json.loads(capsys.readouterr().err)["exception"] == "UpstreamRejected: Amplitude refused 'it'."


@pytest.mark.parametrize("text", TEXTS)
def test_the_standard_library_logs_the_same_way(capsys: pytest.CaptureFixture[str], text: str) -> None:
    log.configure("info", secrets=[KNOWN], stream_is_terminal=False)
    logging.getLogger("uvicorn.error").warning("trouble with %s", text)
    try:
        raise RuntimeError(f"{text}\n{WORDS}")
    except RuntimeError:
        logging.getLogger("some.library").exception("failed for %s", text)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "error"]
    assert lines[1]["logger"] == "some.library"
    assert lines[1]["exception"].startswith("RuntimeError")
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert_nothing_leaked(json.dumps(lines))
    assert WORDS not in json.dumps(lines)


async def test_a_task_that_nobody_awaits_does_not_print_what_it_failed_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("info", stream_is_terminal=False)
    asyncio.get_running_loop().call_exception_handler(
        {
            "message": "Task exception was never retrieved",
            "exception": ValueError(WORDS + ADDRESS),
            "task": repr(WORDS),
        }
    )
    shown = capsys.readouterr().err
    assert "Task exception was never retrieved" in shown
    assert ADDRESS not in shown


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "uvicorn.access", "uvicorn.error"])
def test_libraries_that_log_every_request_are_quiet(capsys: pytest.CaptureFixture[str], name: str) -> None:
    log.configure("debug", stream_is_terminal=False)
    logging.getLogger(name).info("HTTP Request: GET https://example.com/")
    assert capsys.readouterr().err == ""


def test_the_level_holds_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("error", stream_is_terminal=False)
    structlog.get_logger("x").warning("too little")
    logging.getLogger("some.library").warning("too little")
    structlog.get_logger("x").error("enough")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["enough"]


def test_a_line_stays_one_line_and_cannot_steer_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    log.configure("info", stream_is_terminal=True)
    structlog.get_logger("x").info("event", words="one\n2026-01-01 [error] forged \x1b[2J")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


def test_lines_follow_a_standard_error_that_is_exchanged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log.configure("info", stream_is_terminal=False)
    with (tmp_path / "other").open("w+") as other:
        monkeypatch.setattr(sys, "stderr", other)
        structlog.get_logger("x").info("there")
        other.seek(0)
        assert json.loads(other.read())["event"] == "there"
    monkeypatch.undo()
    assert capsys.readouterr().err == ""


class Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        self.write("")


def test_a_full_disk_ends_neither_the_work_nor_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure("info")
    monkeypatch.setattr(sys, "stderr", Full())
    structlog.get_logger("a").error("one", name="two")
    logging.getLogger("b").error("three")
