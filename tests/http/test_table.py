"""CSV as spreadsheets of every country write it."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import InvalidInput
from connector.text.table import Table

pytestmark = pytest.mark.unit

KNOWN = ("user_id", "email")


def rows(text: str, **more: Any) -> list[dict[str, str]]:
    return [row for _, row in Table("members", text, KNOWN).rows(("user_id",), **more)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "\ufeff", "sep={}\r\n", '\ufeff"sep={}"\n', "SEP={}\n"])
def test_every_separator_is_read(separator: str, first: str) -> None:
    line = separator.join
    records = (
        line(["User ID", "E-mail", '"Plan, or offer;"']),
        line(["u-1", "ann@example.com", "a"]),
        "",
        line(["u-2", " bob@example.com ", '"b;,c"']),
    )
    text = first.format(separator) + "\r\n".join(records)
    assert rows(text) == [
        {"user_id": "u-1", "email": "ann@example.com", "plan, or offer;": "a"},
        {"user_id": "u-2", "email": "bob@example.com", "plan, or offer;": "b;,c"},
    ]


def test_the_separator_is_the_one_that_makes_the_header_known() -> None:
    assert rows("note,email;user_id\nx,a@example.com;u-1\n") == [
        {"note,email": "x,a@example.com", "user_id": "u-1"}
    ]


@pytest.mark.parametrize("header", ["email,user_id,email", "email;EMAIL;user_id", "user_id,plan,Plan"])
def test_a_column_that_stands_twice_is_refused_by_name(header: str) -> None:
    name = "plan" if "plan" in header else "email"
    with pytest.raises(InvalidInput, match=f"two columns {name}"):
        Table("members", header + "\n", KNOWN)


@pytest.mark.parametrize("cell", ["1.79517E+12", "1,79517E+12", "2E+15", "9.00719925474099e+15"])
def test_what_a_spreadsheet_rounded_is_refused_with_its_line(cell: str) -> None:
    with pytest.raises(InvalidInput, match="line 4: user_id was rounded"):
        rows(f"sep=;\nuser_id;email\nu-1;a@example.com\n{cell};b@example.com\n")
    assert rows(f"user_id;email;note\nu-1;a@example.com;{cell}\n")[0]["note"] == cell


@pytest.mark.parametrize(
    "cell", ["5,711,001", "4 711 001", "4\u202f711\u202f001", "4'711'001", "4.711.001", "4711001,0"]
)
def test_a_number_with_separators_is_refused_with_its_line(cell: str) -> None:
    with pytest.raises(InvalidInput, match="line 3: user_id was formatted"):
        rows(f"user_id;email\nu-1;a@example.com\n{cell};b@example.com\n")


@pytest.mark.parametrize("cells", [("123456789012345000", "123456789012346000"), ("1234567890123450",) * 4])
def test_a_column_that_a_spreadsheet_cut_to_15_digits_is_refused(cells: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="the column user_id was rounded"):
        rows("\n".join(("user_id;email", *(f"{cell};a@example.com" for cell in ("42", *cells)))))


@pytest.mark.parametrize(
    "cells",
    [
        ("123456789012345000",),
        ("123456789012345000", "123456789012346000", "123456789012345001"),
        ("1234567890123450", "1234567890123460"),  # one of a hundred pairs
        ("user-67890123450000", "user-67890123460000"),
    ],
)
def test_long_ids_that_may_end_in_zeros_are_read(cells: tuple[str, ...]) -> None:
    assert [row["user_id"] for row in rows("\n".join(("user_id", *cells)))] == [*cells]


@pytest.mark.parametrize("cell", ["1234e5678", "12e34567", "2E15"])
def test_a_hexadecimal_id_was_not_rounded(cell: str) -> None:
    assert rows(f"user_id;email\n{cell};a@example.com\n")[0]["user_id"] == cell


def test_rows_of_another_length_are_refused_with_their_line() -> None:
    for text in ("user_id,email\nu-1\n", "user_id,email\nu-1,a,b\n"):
        with pytest.raises(InvalidInput, match="line 2 has another number of cells"):
            rows(text)
    assert rows("user_id,email\nu-1\n", padded=True) == [{"user_id": "u-1"}]
    with pytest.raises(InvalidInput, match="cannot be read as CSV near line"):
        rows('user_id\n"u-1\n')
