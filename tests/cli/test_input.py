"""Flags, files and JSON become the input that the same call over HTTP would make."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.arguments import flag
from connector.cli.main import main
from connector.cli.operations.csv_rows import as_text
from connector.cli.operations.flags import by_field, operation_command
from connector.cli.operations.values import read_members, read_payload
from connector.errors import InvalidInput
from connector.operations import OPERATIONS
from connector.service.execution.operation import AnyOperation, Effect

pytestmark = pytest.mark.unit

BY_NAME = {op.name: op for op in OPERATIONS}


def payload(name: str, *words: str) -> Any:
    op = BY_NAME[name]
    with operation_command(op).make_context(name, list(words)) as context:
        return read_payload(op, by_field(context.params), context.params["json"])


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_every_field_is_a_flag_and_is_described(op: AnyOperation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    command = operation_command(op)
    with command.make_context(op.name, []) as context:
        text = " ".join(command.get_help(context).split())
    assert op.summary in text
    whole = "".join(text.split())  # a line may end after a hyphen
    for name, field in op.input.model_fields.items():
        assert flag(name) in text
        if name != "wait_seconds":
            assert "".join(field.description.split()) in whole
    assert ("--yes" in text) == (op.effect in (Effect.SEND, Effect.ERASE))


def test_names_take_dashes_and_underscores() -> None:
    one = payload("list_syncs", "--since", "2026-01-01", "--limit", "7")
    assert one == payload("list_syncs", "--since=2026-01-01", "--limit=7")
    assert payload("get_sync", "--interview_id=a_b").interview_id == "a_b"


def test_lists_are_repeated_split_or_read_from_a_file(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("c\nd, still d\n", encoding="utf-8-sig")
    read = payload(
        "backfill_interviews",
        "--interview-ids",
        "a, b",
        "--interview-ids",
        f"@{ids}",
        "--interview-ids",
        '["e,f"]',
    )
    assert read.interview_ids == ["a", "b", "c", "d, still d", "e,f"]


def test_objects_are_json_text_or_a_file(tmp_path: Path) -> None:
    body = {"interview_id": "int-1", "themes": ["a"]}
    file = tmp_path / "interview.json"
    file.write_text(json.dumps(body))
    for text in (json.dumps(body), f"@{file}"):
        assert payload("sync_interview_to_amplitude", "--interview", text).interview == body


def test_csv_is_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "interviews.csv"
    file.write_text("interview_id\nint-1\n", encoding="utf-8-sig")
    assert payload("backfill_interviews", "--csv", str(file)).csv == "interview_id\nint-1"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"interview_id\nint-2\n")))
    assert payload("backfill_interviews", "--csv", "-").csv == "interview_id\nint-2"


def test_json_and_flags_make_one_input(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(
        '{"interview_id": 17, "quality_score": "4.5", "themes": "a\\nb", "force": "true", "sentiment": ""}'
    )
    read = payload("sync_interview_to_amplitude", "--json", str(file), "--idempotency-key", "k-1")
    assert read.model_fields_set == {"interview_id", "quality_score", "themes", "force", "idempotency_key"}
    assert (read.interview_id, read.quality_score, read.themes, read.force) == (
        "17",
        4.5,
        ["a", "b"],
        True,
    )


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--json", "INPUT", "--interview-id", "b"), "interview_id: stands in --json and as a flag"),
        (("--interview-id", "a", "--interview-id", "b"), "interview_id: takes one value"),
        (("--json", "nowhere.json"), "json: the file nowhere.json cannot be read: No such file or directory"),
        (("--json", "LIST"), "json: must hold one JSON object"),
        (("--json", "BROKEN"), "--json is not valid JSON (line 1, column 2)"),
        (("--json", "BYTES"), "is no UTF-8 text; save it as CSV UTF-8"),
        (("--quality-score", "much", "--interview-id", "a"), "quality_score: should be a valid number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, words: tuple[str, ...], names: str) -> None:
    files = {"INPUT": b'{"interview_id": "a"}', "LIST": b"[1]", "BROKEN": b"{,", "BYTES": b"\xe9t\xe9"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    words = tuple(str(tmp_path / word) if word in files else word for word in words)
    with pytest.raises(InvalidInput) as refused:
        payload("sync_interview_to_amplitude", *words)
    assert names in refused.value.message


def test_standard_input_is_read_once() -> None:
    with pytest.raises(InvalidInput, match="can be read once"):
        payload("backfill_interviews", "--json", "-", "--csv", "-")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--interview"], "option '--interview' requires an argument"),
        (["--interview", "--force"], "option '--interview' requires an argument"),
        (
            ["--interview-idd", "x"],
            "--interview-idd: is not a flag of this command; did you mean --interview-id?",
        ),
        (["--wait", "3"], "--wait: is not a flag of this command"),
        (["--output", "xml"], "'xml' is not one of 'table', 'json'"),
        (["--wait-seconds", "-1"], "'--wait-seconds': -1 is not in the range"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["sync-interview-to-amplitude", "--yes", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert says in shown.err


CSV_TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from(["user_id", "email", "name", ",", '"', "\n", "\r", "\x00", " ", "ä", "\ud800", "\ufeff"]),
    max_size=30,
).map("".join)


@given(CSV_TEXTS, st.sampled_from(["", "user_id,email\n", "email,plan\n"]))
def test_any_file_of_members_is_read_or_refused(text: str, header: str) -> None:
    with suppress(InvalidInput):
        for person in read_members("members", header + text):
            assert person
            assert all(person.values())


def test_our_own_csv_comes_in_again_as_the_same_people() -> None:
    people = [
        {"user_id": "-77777", "email": None, "name": "Ann"},
        {"user_id": "+4915112345678", "email": "+ann@example.com", "name": "\u202aBen\u202c"},
        {"user_id": "@handle", "email": None, "name": "'t Hooft"},
    ]
    written = as_text({"items": people}, "csv")
    assert read_members("members", written) == [
        {"user_id": "-77777", "name": "Ann"},
        {"user_id": "+4915112345678", "email": "+ann@example.com", "name": "Ben"},
        {"user_id": "@handle", "name": "'t Hooft"},
    ]


def test_what_spreadsheets_leave_out_or_mark_is_read() -> None:
    text = 'user_id,email,plan\n="00123",ann@example.com\n\'00456,ben@example.com,pro\n'
    assert read_members("members", text) == [
        {"user_id": "00123", "email": "ann@example.com"},
        {"user_id": "00456", "email": "ben@example.com", "properties": {"plan": "pro"}},
    ]


def test_the_named_column_alone_holds_the_addresses() -> None:
    text = (
        "email,Work Email,plan\nown@example.com,,trial\nown@example.com,work@example.com\nown@example.com\n"
    )
    assert read_members("members", text, "Work Email") == [
        {"properties": {"plan": "trial"}},
        {"email": "work@example.com"},
        {},
    ]
    own = [{"user_id": "u-1", "email": "own@example.com"}]
    assert read_members("members", "user_id,email\nu-1,own@example.com\n", "work") == own
