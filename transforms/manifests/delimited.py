"""CSV, TSV and lists with "|", LJSpeech's among them: rows of cells, under a header or without one."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from typing import BinaryIO

from transforms.audio.formats import by_extension
from transforms.errors import UserError
from transforms.manifests.lines import MAX_LINE_BYTES, Beginning, bad_row, encoding_of
from transforms.manifests.row import ALIASES, Fields, Row


def likeness(beginning: Beginning, delimiter: str) -> int:
    """One more than the delimiters in the first line; 0 for none, as in a file of one column."""
    count = beginning.first_line().count(delimiter)
    return count + 1 if count else 0


def read(stream: BinaryIO, name: str, delimiter: str) -> Iterator[Row]:
    """A row for every line below the header that has anything in a cell; for every such line of a list without one.

    Args:
      stream: the file.
      name: of the manifest, for messages.
      delimiter: "," with quoting as in RFC 4180; a tab or "|" without any.

    Raises:
      UserError: the file cannot be split into cells, or its header names a column twice.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    encoding = encoding_of(stream.read(4))
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
    # Common Voice writes TSV without any quoting: a lone quote is part of the text.
    quoted = delimiter == ","
    reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    try:
        yield from _rows(iter(reader), lambda: reader.line_num, delimiter, name)
    finally:
        text.detach()  # the stream is its opener's to close


def _rows(reader: Iterator[list[str]], lines_read: Callable[[], int], delimiter: str, name: str) -> Iterator[Row]:
    header: list[str] | None = None
    line = 0
    while True:
        start = line + 1
        try:
            cells = next(reader, None)
        except csv.Error as fault:
            raise UserError(f"{name}:{start}: not valid CSV ({fault})") from None
        line = lines_read()
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None and delimiter == "|" and not _names_columns(cells):
            header = []  # LJSpeech and its kin have none
        elif header is None:
            header = [cell.strip().removeprefix("\ufeff") for cell in cells]
            _check_header(header, name)
            continue
        yield _row_under(header, start, cells) if header else _row_alone(start, cells)


def _names_columns(cells: list[str]) -> bool:
    known = {alias.lower() for aliases in ALIASES.values() for alias in aliases}
    return any(cell.strip().removeprefix("\ufeff").lower() in known for cell in cells)


def _check_header(header: list[str], name: str) -> None:
    doubled = sorted({column for column in header if column and header.count(column) > 1})
    if doubled:
        raise UserError(f"{name}: the column {doubled[0]!r} stands twice in the header")


def _row_under(header: list[str], number: int, cells: list[str]) -> Row:
    line = ",".join(cells)
    if len(cells) > len(header):
        return bad_row(
            number,
            _printable(line),
            f"the row has {len(cells)} cells, the header {len(header)} (invalid row: quote the text)",
        )
    try:
        line.encode()
    except UnicodeEncodeError:
        return bad_row(number, _printable(line), "the row is not valid UTF-8 (invalid encoding)")
    return Row(number, dict(itertools.zip_longest(header, cells)))


def _row_alone(number: int, cells: list[str]) -> Row:
    """A row without a header: LJSpeech's `ID|text|normalised text`, or `PATH|text` and `PATH|speaker|text`."""
    line = "|".join(cells)
    if len(cells) not in (2, 3):
        return bad_row(number, _printable(line), f"the row has {len(cells)} cells, a list of recordings 2 or 3")
    first = cells[0].removeprefix("\ufeff")
    if by_extension(first.rpartition(".")[2].lower()):
        fields: Fields = {"audio": first, "text": cells[-1]}
        return Row(number, fields if len(cells) == 2 else {**fields, "speaker": cells[1]})
    return Row(number, {"id": first, "audio": f"wavs/{first}.wav", "text": cells[-1] or cells[1]})


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
