"""Excel's workbooks (.xlsx), a row at a time, by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from transforms.bounds import MAX_COLUMNS, max_unpacked
from transforms.errors import UserError
from transforms.manifests import headerless
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning
from transforms.manifests.row import Row

# What formulas say that found nothing.
_FAILED = ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!")
# More than a sheet can have.
_MAX_ROWS = 1_048_576
# A sheet whose list begins further down is none.
_ROWS_LOOKED_AT = 20
# Of the texts that the cells of all sheets share: they are held in memory.
_MAX_SHARED_BYTES = 256 << 20
_SHARED = "xl/sharedStrings.xml"
_AS_CSV = "save the sheet as CSV UTF-8"


def likeness(beginning: Beginning) -> int:
    """More than certain of a zip archive with a workbook's names in it."""
    is_book = beginning.content.startswith(b"PK\3\4") and b"xl/" in beginning.content
    return CERTAIN + 1 if is_book else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every row with anything in it below the header, numbered as the sheet shows them.

    Raises:
      UserError: the file is damaged or unpacks to too much; no sheet, or several, have a list.
    """
    import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415 -- slow to import, and most manifests are text

    _refuse_bombs(stream, name)
    try:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except Exception as fault:  # a damaged archive raises all kinds
        raise UserError(f"{name}: not a readable Excel file ({type(fault).__name__}); {_AS_CSV}") from None
    try:
        sheet, number, header = _list(book, name)
        yield from _below(sheet, number, header, name)
    except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as fault:
        raise UserError(f"{name}: the sheet is damaged ({type(fault).__name__}); {_AS_CSV}") from None
    finally:
        book.close()


def _refuse_bombs(stream: BinaryIO, name: str) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            sizes = {each.filename: (each.file_size, each.compress_size) for each in archive.infolist()}
    except zipfile.BadZipFile:
        raise UserError(f"{name}: the Excel file is damaged or cut short; fetch or save it again") from None
    unpacked, packed = (sum(size[index] for size in sizes.values()) for index in (0, 1))
    if unpacked > max_unpacked(packed) or sizes.get(_SHARED, (0, 0))[0] > _MAX_SHARED_BYTES:
        raise UserError(f"{name}: the Excel file unpacks to {unpacked:,} bytes, which is too much; {_AS_CSV}")
    stream.seek(0)


def _list(book: Any, name: str) -> tuple[Any, int, list[str]]:  # noqa: ANN401 -- openpyxl has no types
    """The sheet that has a list, the row of its header, and that.

    Raises:
      UserError: none has, or several have.
    """
    found = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says of them need not be so
        for number, cells in _rows(sheet, _ROWS_LOOKED_AT, name):
            header = ["" if cell is None else str(cell).strip() for cell in cells]
            if headerless.is_header(header):
                found.append((sheet, number, header))
                break
    if len(found) == 1:
        return found[0]
    titles = ", ".join(repr(sheet.title) for sheet, _, _ in found[:5])
    fact = (
        f"the sheets {titles} hold lists" if found else "no sheet has a header with usual names, such as audio and text"
    )
    raise UserError(f"{name}: {fact}; {_AS_CSV.replace('the sheet', 'the one that is meant')}")


def _rows(sheet: Any, at_most: int, name: str) -> Iterator[tuple[int, Sequence[object]]]:  # noqa: ANN401
    """The number and cells of each row that has any."""
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > _MAX_ROWS:
            raise UserError(f"{name}: the sheet has over {_MAX_ROWS:,} rows")
        if number > at_most:
            return
        if len(cells) > MAX_COLUMNS:
            raise UserError(f"{name}: row {number} has {len(cells):,} columns, over the limit of {MAX_COLUMNS:,}")
        if any(cell not in (None, "") for cell in cells):
            yield number, cells


def _below(sheet: Any, above: int, header: list[str], name: str) -> Iterator[Row]:  # noqa: ANN401
    named = [title for title in header if title]
    if doubled := next((title for title in named if named.count(title) > 1), None):
        raise UserError(f"{name}: the column {doubled!r} stands twice in the header")
    for number, cells in _rows(sheet, _MAX_ROWS + 1, name):
        if number > above:
            values = [*(None if cell in _FAILED else cell for cell in cells), *[None] * (len(header) - len(cells))]
            yield Row(number, {title: value for title, value in zip(header, values, strict=False) if title})
