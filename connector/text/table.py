"""Read CSV as spreadsheets of any country write it: separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator

from connector.errors import InvalidInput

_SEPARATORS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?\r?\n', re.IGNORECASE)
_BETWEEN = re.compile(r"[\s_-]+")
_EMAIL = frozenset({"emailaddress", "emailadresse", "adresseemail", "mailaddress"})
_AS_TEXT = re.compile(
    r"""="(.*)"|'(?=[=+\-@0-9\uff1d\uff0b\uff0d\uff20])(.*)""", re.DOTALL
)  # how spreadsheets and we mark a cell as text
ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d+E\+?|E\+)\d+", re.IGNORECASE)
"""What a spreadsheet makes of a long number, such as 1.2E+11 or 2E+15; 1234e5678 is an id."""

GROUPED = re.compile(
    r"(?![12]?\d?\d(?:\.[0-2]\d\d){3}\Z)[1-9](?:\d*,0+|\d{0,2}(?:"
    r"(?:[\s'\u2019]\d{3})+(?:[.,]0+)?|(?:,\d{2,3})*,\d{3}(?:\.0+)?|(?:\.\d{3}){2,}|(?:\.\d{3})+,0+))"
)
"""A number with separators, such as 4,711,001 or 47,11,001 or 4711001,0; 4.711 and 10.100.200.123 are ids."""

_EXACT_DIGITS = 15
"""What a spreadsheet keeps of a number; it writes 0 for each further digit."""
_LOST_DIGITS = 4  # all 0 by chance in one of 10,000


def plain(cell: str) -> str:
    """Return a text without what marks a cell as text: it may have passed through a spreadsheet."""
    marked = _AS_TEXT.fullmatch(cell)
    return cell if marked is None else marked[1] or marked[2] or ""


def spelling(name: str) -> str:
    """Return a name as it is compared: `E-mail`, `Email Address` and Amplitude's `gp:email` are `email`."""
    plain = _BETWEEN.sub("", name.strip().lower().removeprefix("gp:"))
    return "email" if plain in _EMAIL else plain


class Table:
    """A CSV text with a header row. Names are in lower case; those of `known` are found in any spelling."""

    def __init__(self, field: str, text: str, known: Collection[str]) -> None:
        """Read the header row. Raises `InvalidInput` when it names a column twice."""
        self._field = field
        text = text.removeprefix("\ufeff")
        stated = _SEPARATOR_LINE.match(text)
        self._text = text[stated.end() :] if stated else text
        self._lines_before = 1 if stated else 0
        for separator in stated[1] if stated else (*_SEPARATORS, _SEPARATORS[0]):
            self._reader = csv.reader(
                io.StringIO(self._text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
            )
            self.names = self._header(known)
            if not set(known).isdisjoint(self.names):
                break
        for name in self.names:
            if name and self.names.count(name) > 1:
                raise self.refused(f"has two columns {name[:60]}; remove one")

    def rows(self, exact: Collection[str], *, padded: bool = False) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the number of a line (1: the first) and its cells by name, without empty lines.

        Raises `InvalidInput` for a row with another number of cells than the header (`padded`: with more),
        and for an `exact` column with a number that a spreadsheet rounded (1.79517E+12), so that its digits
        are lost, or wrote with separators. What has more than 15 digits was cut when all of it ends in zeros.
        """
        further: dict[str, list[str]] = {name: [] for name in exact}
        width = len(self.names)
        try:
            for cells in self._reader:
                line = self._reader.line_num + self._lines_before
                if not any(map(str.strip, cells)):
                    continue
                if len(cells) > width or (len(cells) < width and not padded):
                    raise self.refused(f"line {line} has another number of cells than the header")
                row = {name: plain(cell.strip()) for name, cell in zip(self.names, cells, strict=False)}
                for name in exact:
                    cell = row.get(name, "")
                    if (rounded := ROUNDED.fullmatch(cell)) or GROUPED.fullmatch(cell):
                        raise self._formatted(f"line {line}: {name}", "rounded" if rounded else "formatted")
                    if len(cell) > _EXACT_DIGITS and cell.isdecimal():
                        further[name].append(cell[_EXACT_DIGITS:])
                yield line, row
        except csv.Error:
            raise self._unreadable() from None
        for name, ends in further.items():
            lost = "".join(ends)
            if len(ends) > 1 and len(lost) >= _LOST_DIGITS and not lost.strip("0"):
                raise self._formatted(f"the column {name}", "rounded")

    def _formatted(self, what: str, how: str) -> InvalidInput:
        again = "write the column as text, and export it again"
        return self.refused(f"{what} was {how} by a spreadsheet; {again}")

    def refused(self, detail: str) -> InvalidInput:
        """Return the error of the field that holds the table."""
        return InvalidInput.of(self._field, detail)

    def _header(self, known: Collection[str]) -> list[str]:
        try:
            names = [name.strip().lower() for name in next(self._reader, [])]
        except csv.Error:  # perhaps another separator is right; the rows raise otherwise
            names = []
        spelt = [spelling(name) for name in names]
        for one in set(known).difference(names):
            if spelling(one) in spelt:
                names[spelt.index(spelling(one))] = one
        return names

    def _unreadable(self) -> InvalidInput:
        return self.refused(f"cannot be read as CSV near line {self._reader.line_num + self._lines_before}")
