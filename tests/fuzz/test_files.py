"""Files and JSON of the command line: each is an input, or refused by name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from connector.cli.operations.flags import by_field, operation_command
from connector.cli.operations.values import read_payload
from connector.errors import InvalidInput
from connector.operations import OPERATIONS
from tests.fuzz.door import AUTHORIZED, Door, assert_an_answer_of_ours, every
from tests.fuzz.hostile import BODIES, CALLS, JSON, PEOPLE, PLAIN, as_json

pytestmark = [pytest.mark.e2e, pytest.mark.fuzz]

BY_NAME = {op.name: op for op in OPERATIONS}
CELLS = (PEOPLE | PLAIN).map(lambda text: text.encode("utf-8", "surrogatepass"))
HEADS = st.sampled_from(
    [
        b"user_id,email",
        b"sep=;\nuser_id;Email;First Name",
        b"E-mail\tname",
        b"email,email",
        b"\xef\xbb\xbfemail",
        b"",
    ]
)
ROWS = st.lists(
    st.tuples(st.lists(CELLS, max_size=3), st.sampled_from([b",", b";", b"\t", b'","'])), max_size=4
)
TABLES = st.tuples(HEADS, ROWS, st.sampled_from([b"\n", b"\r\n", b"\r"])).map(
    lambda made: made[2].join([made[0], *(separator.join(cells) for cells, separator in made[1])])
)
FILES = TABLES | BODIES | TABLES.map(lambda raw: raw.decode("utf-8", "replace").encode("utf-16"))


def read(operation: str, *words: str) -> Any:
    op = BY_NAME[operation]
    with operation_command(op).make_context(operation, list(words)) as context:
        return read_payload(op, by_field(context.params), context.params["json"])


def test_no_file_of_members_or_interviews_is_a_fault(door: Door, examples: int, tmp_path: Path) -> None:
    file = tmp_path / "people"

    def check(raw: bytes) -> None:
        file.write_bytes(raw)
        with suppress(InvalidInput):
            payload = read("plan_cohort_launch", "--members", str(file))
            members = payload.condensed(door.world.settings.connections).given.total
            body = as_json(payload.model_dump(include={"members"}, exclude_none=True))
            answer = door.ask(
                "POST",
                "/actions/plan_cohort_launch",
                headers=[AUTHORIZED, (b"content-type", JSON)],
                body=[body],
            )
            assert_an_answer_of_ours(*answer)
            assert members == len(payload.members)
        with suppress(InvalidInput):
            read("backfill_interviews", "--csv", str(file))

    every(2 * examples, FILES, check)


def test_no_json_is_a_fault(door: Door, examples: int, tmp_path: Path) -> None:
    file = tmp_path / "call.json"

    def check(made: tuple[tuple[str, Any], bytes]) -> None:
        (name, arguments), raw = made
        for content in (as_json(arguments), raw):
            file.write_bytes(content)
            with suppress(InvalidInput):
                read(name, "--json", str(file))

    every(examples, st.tuples(CALLS, FILES), check)
