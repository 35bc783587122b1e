"""Read Amplitude's cohort file, quoted CSV, plain or in gzip, as its bytes arrive."""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from connector.errors import UpstreamRejected, UpstreamUnavailable

Row = dict[str, str]

_USER_ID: Final = "user_id"
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 256 * 1024
_RECORD_LIMIT: Final = 1024 * 1024  # bytes
_WAIT: Final = 60  # seconds


class CohortFile:
    """One file as it arrives: feed every chunk, use the rows of each, then finish.

    Rows carry `user_id` and those of the `columns` asked for that the file has; of a column that stands
    twice, the first cell that is not empty. At most one unfinished record and one chunk of 256 KiB are held,
    however far gzip expands. Errors never quote a cell.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._names = tuple(dict.fromkeys((_USER_ID, *columns)))
        self._places: list[list[int]] = []
        self._width = 0
        self._first: bytes | None = b""
        self._gunzip: _Gunzip | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._unfinished: list[str] = []
        self._length = 0
        self._quoted = False

    def feed(self, chunk: bytes) -> Iterator[list[Row]]:
        """Take the next bytes, as many as there are, and yield the rows that end in them, block by block.

        Raises `UpstreamUnavailable` (`cohort_file_cut`) when a row has another number of cells than the
        header or gzip is damaged; `UpstreamRejected` (`cohort_file_unreadable`) when it is no UTF-8 or no CSV
        with `user_id`, or when a record is over 1 MiB of text or a cell over 128 KiB (`csv`'s own limit).
        """
        if self._first is not None:
            chunk = self._first + chunk
            if len(chunk) < len(_GZIP):
                self._first = chunk
                return
            self._first = None
            if chunk.startswith(_GZIP):
                self._gunzip = _Gunzip()
        for at in range(0, len(chunk), _CHUNK):
            part = chunk[at : at + _CHUNK]
            for plain in (part,) if self._gunzip is None else self._gunzip.chunks(part):
                if rows := self._records(self._decoded(plain)):
                    yield rows

    def finish(self, *, whole: bool) -> list[Row]:
        """Return the row that the end of the stream ends, if any.

        `whole` says that the sender's framing vouches for the end; without it a last record that has no line
        end may have lost a part. Raises as `feed` does, and `UpstreamUnavailable` (`cohort_file_cut`) when
        the stream ends inside a quoted cell, a character or gzip data.
        """
        if self._gunzip is not None and not self._gunzip.ended:
            raise _cut()
        rows = self._records(self._decoded(self._first or b"", final=True))
        tail = "".join(self._unfinished)
        if self._quoted or (tail and not whole):
            raise _cut()
        rows += self._parsed(tail)
        if not self._places:
            raise _unreadable("it has no header row")
        return rows

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise (_cut() if final else _unreadable("it is not UTF-8")) from None

    def _records(self, text: str) -> list[Row]:
        self._quoted ^= text.count('"') % 2 == 1
        end = _last_end(text, quoted=self._quoted)
        if end:
            block = "".join((*self._unfinished, text[:end]))
            self._unfinished = [text[end:]]
            self._length = len(text) - end
            return self._parsed(block)
        self._unfinished.append(text)
        self._length += len(text)
        if self._length > _RECORD_LIMIT:
            raise _unreadable("a record is larger than 1 MiB")
        return []

    def _parsed(self, block: str) -> list[Row]:
        try:
            records = list(filter(None, csv.reader(io.StringIO(block, newline=""), strict=True)))
        except csv.Error:
            raise _unreadable("it is not CSV, or a cell is larger than 128 KiB") from None
        if records and not self._places:
            header = records.pop(0)
            if _USER_ID not in header:
                raise _unreadable("its first row names no user_id")
            self._width = len(header)
            self._names = tuple(name for name in self._names if name in header)
            self._places = [[at for at, one in enumerate(header) if one == name] for name in self._names]
        if any(len(record) != self._width for record in records):
            raise _cut()
        columns = list(zip(*records, strict=True)) or [()] * self._width
        wanted = [_merged([columns[place] for place in places]) for places in self._places]
        return [dict(zip(self._names, cells, strict=True)) for cells in zip(*wanted, strict=True)]


def _merged(columns: list[Sequence[str]]) -> Iterable[str]:
    if len(columns) == 1:
        return columns[0]
    return [next(filter(None, cells), "") for cells in zip(*columns, strict=True)]


class _Gunzip:
    """Gzip of one member or several as it arrives; it expands in chunks, so that no bomb fills the memory."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    @property
    def ended(self) -> bool:
        return self._member.eof

    def chunks(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._member.eof:
                data = data.lstrip(b"\0")  # gzip allows padding after a member
                if not data:
                    return
                self._member = zlib.decompressobj(wbits=31)
            try:
                chunk = self._member.decompress(data, _CHUNK)
            except zlib.error:
                raise _cut() from None
            yield chunk
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if not data:
                return


def _last_end(text: str, *, quoted: bool) -> int:
    """Return where the last record that ends in `text` does, 0 when none; `quoted`: `text` ends in quotes.

    Doubled quotes count twice, so that an odd number of quotes since a record's start means a quoted cell.
    """
    at = len(text)
    while at >= 0 and (line_end := text.rfind("\n", 0, at)) >= 0:
        if quoted == (text.count('"', line_end, at) % 2 == 1):
            return line_end + 1
        at = text.rfind('"', 0, line_end)
        quoted = False
    return 0


def _cut() -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "Amplitude's cohort file came incomplete or damaged; fetch it again.",
        code="cohort_file_cut",
        retry_after=_WAIT,
    )


def _unreadable(why: str) -> UpstreamRejected:
    return UpstreamRejected(
        f"Amplitude's cohort file cannot be read: {why}; check AMPLITUDE_REST_URL.",
        code="cohort_file_unreadable",
    )
