"""CSV, TSV and lists with "|", LJSpeech's among them: rows of cells, under a header or without one."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from transforms.bounds import MAX_COLUMNS, MAX_LINE_BYTES, MAX_ROW_BYTES
from transforms.errors import UserError
from transforms.manifests import headerless
from transforms.manifests.cells import LOOSE, Quoting, Record, Records, quoting_of
from transforms.manifests.lines import UNLIKE, Beginning, bad_row, encoding_of
from transforms.manifests.row import ALIASES, Row
from transforms.printable import is_unicode

# Of equal ones, the delimiter that is rarer in texts wins.
_RARITY = "\t|;,"
_LINES_LOOKED_AT = 20
# Names of a table's columns that are long together.
_WIDE_CHARS = 1 << 16
_TO_UTF_8 = "a file saved as Windows-1252 becomes UTF-8 with: iconv -f WINDOWS-1252 -t UTF-8"
_NOT_UTF_8 = f"the row is not valid UTF-8 (invalid encoding); {_TO_UTF_8}"


def likeness(beginning: Beginning, delimiter: str) -> int:
    """By the names and recordings that the delimiter makes cells of, then by how alike the lines are.

    0 for a file without the delimiter in its first line, as one of a single column.
    """
    if declared := _declared(beginning.first_line()):
        return 1 << 28 if declared == delimiter else UNLIKE
    rows = [[cell.strip().strip('"') for cell in line.split(delimiter)] for line in beginning.lines(_LINES_LOOKED_AT)]
    if not rows or len(rows[0]) < 2:
        return 0
    names = sum(headerless.is_header([cell]) for cell in rows[0])
    recordings = sum(any(map(headerless.is_path, cells)) for cells in rows)
    alike = sum(len(cells) == len(rows[0]) for cells in rows)
    return names << 20 | recordings << 14 | alike << 8 | (8 - _RARITY.index(delimiter))


def _declared(line: str) -> str:
    """The delimiter that a spreadsheet writes into a first line of its own: "sep=;"."""
    found = re.fullmatch(r'"?sep=(.)"?[;,\t]*', line, re.IGNORECASE)
    return found[1] if found else ""


def read(stream: BinaryIO, name: str, delimiter: str) -> Iterator[Row]:
    """A row for every line below the header that has anything in a cell; for every such line of a list without one.

    Args:
      stream: the file.
      name: of the manifest, for messages.
      delimiter: "," or ";" with quoting as in RFC 4180; a tab or "|", where quotes may be text.

    Raises:
      UserError: the file has no header that can be read, or one that names a column twice.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    quoting: Quoting | None = None
    if delimiter in LOOSE and _has_quotes(stream):
        with _text(stream) as text:
            quoting = quoting_of(Records(text, delimiter, name=name))
    with _text(stream) as text:
        records = Records(text, delimiter, quoting, name=name)
        yield from _rows(records, delimiter, name)


@contextmanager
def _text(stream: BinaryIO) -> Iterator[TextIO]:
    stream.seek(0)
    encoding = encoding_of(stream.read(4))
    stream.seek(0)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    try:
        yield text
    finally:
        text.detach()  # the stream is its opener's to close


def _has_quotes(stream: BinaryIO) -> bool:
    stream.seek(0)
    return any(b'"' in block for block in iter(lambda: stream.read(1 << 16), b""))


def _rows(records: Records, delimiter: str, name: str) -> Iterator[Row]:
    found = (record for record in records if record.fault or any(cell.strip() for cell in record.cells))
    first = next(found, None)
    if first is not None and _declared(first.text.strip("\ufeff \r\n")):
        first = next(found, None)
    if first is None:
        return
    first_cells = [cell.removeprefix("\ufeff") for cell in first.cells]
    if headerless.is_header(first_cells) or not (delimiter == "|" or any(map(headerless.is_path, first_cells))):
        records.spaced = len(first_cells) > 1 and all(cell.startswith(" ") for cell in first_cells[1:])
        yield from _under_header(records, found, _header(first, name))
    else:
        yield from _alone(records, itertools.chain([first], found), delimiter)


def _header(first: Record, name: str) -> list[str]:
    if first.fault:
        raise UserError(f"{name}:{first.line}: not a header: {first.fault}")
    header = [cell.strip().removeprefix("\ufeff").strip('"') for cell in first.cells]
    if not _is_unicode(header):
        raise UserError(f"{name}:{first.line}: the header is not valid UTF-8; {_TO_UTF_8}")
    doubled = sorted(column for column, count in Counter(header).items() if column and count > 1)
    if doubled:
        raise UserError(f"{name}: the column {doubled[0]!r} stands twice in the header")
    if len(header) > MAX_COLUMNS:
        raise UserError(f"{name}: the header has {len(header):,} columns, over the limit of {MAX_COLUMNS:,}")
    if (chars := sum(map(len, header))) > MAX_ROW_BYTES:
        raise UserError(f"{name}: the header has {chars:,} characters, over the limit of {MAX_ROW_BYTES:,}")
    return header


def _under_header(records: Records, found: Iterator[Record], header: list[str]) -> Iterator[Row]:
    records.width = len(header)
    audio = [index for index, column in enumerate(header) if column.lower() in ALIASES["audio"]]
    model: list[str] = []

    def is_row(cells: Sequence[str]) -> bool:
        return any(_is_alike(cells[index], model[index] if model else "") for index in audio or range(len(cells)))

    records.is_row = is_row
    # A cell that is missing is empty. Of a wide table only the first row says so, lest short rows become long ones.
    is_wide, filled = sum(map(len, header)) > _WIDE_CHARS, True
    for record in found:
        row = _row_under(header, record, filled)
        filled = filled and (row.fault is not None or not is_wide)
        if row.fault is None and len(record.cells) == len(header):
            model[:] = record.cells
        yield row


def _is_alike(cell: str, model: str) -> bool:
    """Whether a cell is a recording's, as the model is: by its extension, else by its digits and marks."""
    if headerless.is_path(cell) or headerless.is_path(model):
        return headerless.is_path(cell)
    if not model:  # of a first row: what is written like a path
        return bool(re.fullmatch(r"\S*/\S+", cell))
    return _shape(cell) == _shape(model) and bool(re.search(r"[0-9/]", cell))


def _shape(cell: str) -> str:
    return re.sub(r"[0-9]+", "0", re.sub(r"[A-Za-z]+", "a", cell))


def _row_under(header: list[str], record: Record, filled: bool) -> Row:
    cells = record.cells
    if record.fault:
        return _bad(record, record.fault)
    if len(cells) > len(header):
        detail = f"the row has {len(cells)} cells, the header {len(header)} (invalid row: quote the text)"
        return _bad(record, detail)
    if not _is_unicode(cells):
        return _bad(record, _NOT_UTF_8)
    return Row(record.line, dict(itertools.zip_longest(header, cells) if filled else zip(header, cells, strict=False)))


def _alone(records: Records, found: Iterator[Record], delimiter: str) -> Iterator[Row]:
    """Rows without a header, their cells told by the first of them; `headerless.named` asks where they cannot be."""
    first = list(_first(found))
    readable = [record.cells for record in first if not record.fault and _is_unicode(record.cells)]
    records.width = headerless.usual_width(readable)
    alike = [cells for cells in readable if len(cells) == records.width]
    ragged = delimiter == "," and any(cell.startswith(" ") for cells in readable for cell in cells[1:])
    layout = headerless.layout_of(alike) if alike and not ragged else None
    for record in itertools.chain(first, found):
        cells = record.cells
        if record.fault:
            yield _bad(record, record.fault)
        elif not _is_unicode(cells):
            yield _bad(record, _NOT_UTF_8)
        elif len(cells) != records.width:
            detail = f"the row has {len(cells)} cells, the others of this list {records.width}"
            yield _bad(record, detail)
        else:
            cells = [cells[0].removeprefix("\ufeff"), *cells[1:]]
            yield Row(record.line, layout(cells) if layout else {}, cells=tuple(cells))


def _first(found: Iterator[Record]) -> Iterator[Record]:
    """The rows that a decision is made over: few, and not long together."""
    length = 0
    for record in itertools.islice(found, headerless.ROWS_LOOKED_AT):
        yield record
        length += len(record.text)
        if length > MAX_LINE_BYTES:
            return


def _bad(record: Record, detail: str) -> Row:
    return bad_row(record.line, record.text.rstrip("\r\n"), detail)


def _is_unicode(cells: Sequence[str]) -> bool:
    return is_unicode("".join(cells))
