"""Whatever a cohort file holds and however it is split: the same rows, or an error, never a wrong row."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.amplitude.cohort_file import CohortFile
from connector.errors import ConnectorError, UpstreamRejected, UpstreamUnavailable

pytestmark = pytest.mark.unit

HEADER = ("amplitude_id", "user_id")
MIB = 1024 * 1024
CELLS = st.text(st.sampled_from('",\n\ra \0é😀') | st.characters(exclude_categories=["Cs"]), max_size=8)
PACKINGS = st.sampled_from(["plain", "gzip", "members", "padded"])


@st.composite
def files(draw: st.DrawFn) -> tuple[list[dict[str, str]], bytes]:
    """Draw rows with all their columns, and the file that holds them."""
    extra = draw(st.lists(CELLS.filter(lambda name: name not in HEADER), max_size=3, unique=True))
    header = draw(st.permutations([*HEADER, *extra]))
    table = draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), max_size=6))
    data = written([header, *table], draw(st.sampled_from(["\n", "\r\n"])))
    data = (b"\xef\xbb\xbf" if draw(st.booleans()) else b"") + data
    return [dict(zip(header, row, strict=True)) for row in table], packed(data, draw(PACKINGS))


def written(table: Sequence[Sequence[str]], line_end: str = "\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(table)
    return text.getvalue().encode()


def packed(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    match how:
        case "gzip":
            return gzip.compress(data)
        case "members":
            return gzip.compress(data[:middle]) + gzip.compress(data[middle:])
        case "padded":
            return gzip.compress(data) + b"\0" * 5
    return data


def split(data: bytes, places: Sequence[int]) -> list[bytes]:
    cuts = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def read(
    chunks: Sequence[bytes], columns: Sequence[str] = (), *, whole: bool = False
) -> tuple[list[dict[str, str]], ConnectorError | None]:
    """Return the rows up to the end or to the error, and the error."""
    file = CohortFile(columns)
    found: list[dict[str, str]] = []
    try:
        for chunk in chunks:
            for rows in file.feed(chunk):
                found += rows
        found += file.finish(whole=whole)
    except ConnectorError as error:
        return found, error
    return found, None


def refused(data: bytes, *, whole: bool = True) -> tuple[type[ConnectorError], str]:
    _, error = read([data], whole=whole)
    assert error is not None
    return type(error), error.reason


CUT = (UpstreamUnavailable, "cohort_file_cut")
UNREADABLE = (UpstreamRejected, "cohort_file_unreadable")


@given(files(), st.lists(st.integers(min_value=0), max_size=6), st.booleans())
def test_every_table_comes_back_however_it_is_split(file: Any, places: list[int], whole: bool) -> None:
    rows, data = file
    columns = list(rows[0]) if rows else []
    assert read(split(data, places), columns, whole=whole) == (rows, None)


@given(files())
def test_every_table_comes_back_byte_by_byte(file: Any) -> None:
    rows, data = file
    columns = list(rows[0]) if rows else []
    assert read([data[at : at + 1] for at in range(len(data))], columns) == (rows, None)


@pytest.mark.parametrize("how", ["plain", "gzip", "members"])
def test_a_split_at_any_place_changes_nothing(how: str) -> None:
    cells = ["x\ny", '"\n"', "a\r\n\n", '""', ","]
    data = packed(written([["user_id", "a", "b"], *([one, two, one] for one in cells for two in cells)]), how)
    expected = [{"user_id": one, "a": two, "b": one} for one in cells for two in cells]
    for at in range(len(data)):
        assert read([data[:at], data[at:]], ["a", "b"]) == (expected, None)


@given(files(), st.integers(min_value=0))
def test_a_cut_file_gives_no_wrong_row(file: Any, place: int) -> None:
    rows, data = file
    columns = list(rows[0]) if rows else []
    found, _ = read([data[: place % len(data)]], columns)
    assert found == rows[: len(found)]


def test_every_cut_is_noticed_but_one_between_plain_rows() -> None:
    table = [HEADER, ["1", 'a\n"b"'], ["2", '"']]
    plain = written(table)
    for data, between in (
        (plain, {len(written(table[:1])), len(written(table[:2]))}),
        (packed(plain, "gzip"), set()),
    ):
        for at in range(1, len(data)):
            _, error = read([data[:at]])
            assert (error is None) is (at in between)
            assert error is None or (type(error), error.reason) == CUT


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_raise_anything_else(chunks: list[bytes]) -> None:
    read(chunks)
    read([b"\x1f\x8b\x08\0", *chunks])
    read([b'"user_id","name"\n', *chunks], whole=True)


def test_only_the_columns_asked_for_are_read() -> None:
    data = written([["amplitude_id", "name", "user_id"], ["7", "Zoë", "zoe-1"]])
    assert read([data]) == ([{"user_id": "zoe-1"}], None)
    rows, _ = read([data], ["plan", "name", "name", "user_id"])
    assert rows == [{"user_id": "zoe-1", "name": "Zoë"}]


def test_cells_without_quotes_and_empty_lines_are_read() -> None:
    assert read([b"user_id,email\r\n\r\na,b\r\n,\r\n"], ["email"]) == (
        [{"user_id": "a", "email": "b"}, {"user_id": "", "email": ""}],
        None,
    )


def test_a_header_alone_is_a_cohort_of_nobody() -> None:
    assert read([written([HEADER])]) == ([], None)


def test_a_last_row_without_a_line_end_needs_an_end_that_is_vouched_for() -> None:
    data = written([HEADER, ["1", "a"]]).rstrip(b"\n")
    assert read([data], whole=True) == ([{"user_id": "a"}], None)
    assert refused(data, whole=False) == CUT


@pytest.mark.parametrize(
    "data",
    [
        b'"user_id","email"\n"a","b',
        b'"user_id","email"\n"a"\n',
        b'"user_id","email"\n"a","b","c"\n',
        b'"user_id"\n"\xc3',
        b"\x1f\x8b",
        gzip.compress(b'"user_id"\n"a"\n')[:-1],
        gzip.compress(b'"user_id"\n"a"\n') + b"\x1f",
        gzip.compress(b'"user_id"\n"a"\n') + b"rest",
        gzip.compress(b'"user_id"\n"a"\n')[:-8] + b"\0" * 8,
    ],
)
def test_what_ends_early_or_is_damaged_is_cut(data: bytes) -> None:
    assert refused(data) == CUT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"u",
        b"\n",
        b"<!doctype html>\n<title>Log in</title>\n",
        b'"amplitude_id","email"\n"1","a"\n',
        b'"user_id"\n"\xff"\n',
        b'"user_id"\n"a"b\n',
        b'"user_id"\n"' + b"a" * 140_000 + b'"\n',
        b'"user_id"\n"' + b"a" * (2 * MIB) + b'"\n',
    ],
)
def test_what_is_no_cohort_file_is_unreadable(data: bytes) -> None:
    assert refused(data) == UNREADABLE
    assert refused(gzip.compress(data)) == UNREADABLE


def test_a_record_that_never_ends_does_not_fill_the_memory() -> None:
    bomb = gzip.compress(b'"user_id"\n"' + b"a" * (64 * MIB))
    tracemalloc.start()
    try:
        assert refused(bomb) == UNREADABLE
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_rows_without_end_come_in_blocks() -> None:
    bomb = gzip.compress(b'"user_id"\n' + b'"a"\n' * (MIB // 4))
    blocks = list(map(len, CohortFile([]).feed(bomb)))
    assert sum(blocks) == MIB // 4
    assert max(blocks) <= MIB // 4 // 4 + 1


def test_errors_quote_no_cell() -> None:
    for data in (b'"user_id"\n"ada@example.com","x"\n', b'"user_id"\n"ada@example.com"x\n', b'"ada"\n'):
        _, error = read([data])
        assert error is not None
        assert "ada" not in error.message
        assert error.__suppress_context__ or error.__context__ is None
