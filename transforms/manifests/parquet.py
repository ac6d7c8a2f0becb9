"""Parquet: a row of the table is a row of the manifest. Of columns that hold bytes, only whether they do is read.

Recordings in it are read when their clips are made, each out of its page.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from transforms.bounds import MAX_COLUMNS, MAX_LINE_BYTES, max_unpacked
from transforms.errors import UserError
from transforms.manifests import footer, values
from transforms.manifests.embedded import CONTENTS, LEFT_OUT, file_name
from transforms.manifests.features import Features
from transforms.manifests.footer import Leaf, RowGroup, TooLargeError
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning, bad_row
from transforms.manifests.row import Fields, Row
from transforms.manifests.unpacked import is_unpacked
from transforms.storage import uris
from transforms.storage.inside import Place

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows in memory at a time, and bytes that they may have.
_BATCH_ROWS = 1_000
_BATCH_BYTES = 4 << 20
# If each row had the longest value that its columns' dictionaries may hold.
_MAX_BATCH_BYTES = 128 << 20
# Fetched at a time of each column.
_BUFFER_BYTES = 1 << 20
_MAX_WIDTH = 8  # bytes of a number
# Lists that are longer than this in the mean, such as embeddings, are left out.
_MAX_LIST_BYTES = 10_000
# Binary columns up to this mean length may be texts of writers that do not say so.
_MAX_TEXT_BYTES = 4_096


def likeness(beginning: Beginning) -> int:
    """Certain from the four bytes that every Parquet file begins with."""
    return CERTAIN if beginning.content.startswith((b"PAR1", b"PARE")) else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """The table's rows, numbered from 1. What a damaged part of the file holds is one rejected row.

    Raises:
      UserError: the file is damaged as a whole.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 -- slow to import, and most manifests are text

    with ExitStack() as stack:
        is_packed = is_unpacked(stream)
        if is_packed:  # it would be unpacked again for each column
            unpacked = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, unpacked, 1 << 20)
            stream = cast(BinaryIO, unpacked)
        try:
            groups = footer.read(stream)
            file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
        except Exception as fault:  # a damaged footer raises all kinds
            _unless_of_the_disk(fault)
            raise UserError(f"{name}: not a readable Parquet file ({_in_words(fault)})") from None
        names = file.schema_arrow.names
        if len(names) > MAX_COLUMNS:
            raise UserError(f"{name}: the table has {len(names):,} columns, over the limit of {MAX_COLUMNS:,}")
        doubled = next((column for column, count in Counter(names).items() if count > 1), None)
        if doubled is not None:
            raise UserError(f"{name}: the column {doubled!r} stands twice in the table")
        features = Features.of_schema(file.schema_arrow.metadata)
        holder = "" if is_packed else uris.last_part(name)
        number = 1
        for index, group in enumerate(groups):
            yield from _group(file, stream, index, group, number, features, holder)
            number += group.num_rows


def _group(
    file: pq.ParquetFile,
    stream: BinaryIO,
    index: int,
    group: RowGroup,
    number: int,
    features: Features,
    holder: str,
) -> Iterator[Row]:
    """The rows of one row group, a few at a time."""
    end = number + group.num_rows
    try:
        leaves = _Leaves(file, stream, group)
        columns = {} if not holder else {c: leaf for c, leaf in leaves.bytes.items() if features.may_hold_recordings(c)}
        # One thread: an exception in another one would end the process.
        for batch in file.iter_batches(leaves.batch_rows(), [index], leaves.read, use_threads=False):
            for fields in _rows(batch, leaves):
                features.name_classes(fields)
                yield Row(number, fields, inside=_places(fields, columns, number, holder), key=f"{holder}:{number}")
                number += 1
    except TooLargeError as fault:
        span = _span(number, end)
        yield bad_row(number, span, f"{span} are not read: in this part of the file, {fault}")
    except Exception as fault:  # the library's own, and what its conversions to Python raise
        _unless_of_the_disk(fault)
        span = _span(number, end)
        yield bad_row(number, span, f"{span} cannot be read: this part of the file is damaged ({_in_words(fault)})")


def _places(fields: Fields, columns: Mapping[str, str], number: int, holder: str) -> dict[str, str]:
    """Where the recordings of a row are, by their columns."""
    return {
        column: Place(holder, file_name(fields[column]), row=number, column=leaf).spelled()
        for column, leaf in columns.items()
        if isinstance(whole := fields.get(column), dict)
        and LEFT_OUT in (whole.get(leaf.rpartition(".")[2]), whole.get("bytes"))
    }


def _span(number: int, end: int) -> str:
    return f"rows {number} to {end - 1}" if end - 1 > number else f"row {number}"


def _unless_of_the_disk(fault: Exception) -> None:
    if isinstance(fault, OSError) and fault.errno is not None:
        raise fault


def _in_words(fault: Exception) -> str:
    if isinstance(fault, TooLargeError):
        return str(fault)
    text = str(fault).splitlines()[0] if str(fault) else ""
    return "encrypted" if "encrypt" in text.lower() else type(fault).__name__


class _Leaves:
    """Which leaves of a row group are read: its columns, and of nested ones their parts.

    Attributes:
      read: paths of those whose values are fetched.
      left_out: paths of those whose values no row gets. They are fetched all the same where only this tells which rows
        have one: where some are null, or the file does not say.
      bytes: of the columns that may hold a recording in each row, the paths of the leaves that do.
    """

    def __init__(self, file: pq.ParquetFile, stream: BinaryIO, group: RowGroup) -> None:
        """Looks at the footer, and at the headers of the pages that are to be read.

        Raises:
          TooLargeError: these unpack to more than anybody has meant.
        """
        self._rows = max(1, group.num_rows)
        self._bytes = 0
        self._dictionaries = 0
        self.read: list[str] = []
        self.left_out: list[str] = []
        self.bytes: dict[str, str] = {}
        for index, leaf in enumerate(group.leaves):
            path, form = ".".join(leaf.parts), file.schema.column(index)
            # Numbers that come back are packed: in memory each has its width.
            if self._may_be_recordings(leaf.parts, form):
                self.bytes.setdefault(leaf.parts[0], path)
            unpacked = 0 if form.physical_type == "BYTE_ARRAY" else leaf.num_values * _MAX_WIDTH
            size = max(leaf.num_bytes, unpacked)
            is_left_out = self._is_left_out(form, size / self._rows) and leaf.num_nulls != leaf.num_values
            if is_left_out:
                self.left_out.append(path)
            if not is_left_out or leaf.num_nulls != 0:
                self.read.append(path)
                self._bytes += size
                self._look_at_pages(stream, leaf, form)

    def _look_at_pages(self, stream: BinaryIO, leaf: Leaf, form: Any) -> None:  # noqa: ANN401 -- as below
        found = footer.pages(stream, leaf)
        self._dictionaries += found.dictionary if form.physical_type.endswith("BYTE_ARRAY") else 0
        # A list may hold all values of its row group.
        if form.max_repetition_level and leaf.num_values * _MAX_WIDTH > max_unpacked(leaf.num_packed):
            raise TooLargeError(f"{leaf.num_packed:,} bytes of lists unpack to {leaf.num_values:,} values")

    @staticmethod
    def _may_be_recordings(parts: Sequence[str], form: Any) -> bool:  # noqa: ANN401 -- as below
        is_bytes = form.physical_type == "BYTE_ARRAY" and form.logical_type.type == "NONE"
        return is_bytes and not form.max_repetition_level and parts[1:] in ((), *((name,) for name in CONTENTS))

    @staticmethod
    def _is_left_out(leaf: Any, mean: float) -> bool:  # noqa: ANN401 -- pyarrow's column schema, without types
        is_list = leaf.max_repetition_level > 0
        is_bytes = leaf.physical_type.endswith("BYTE_ARRAY") and leaf.logical_type.type == "NONE"
        is_text = leaf.physical_type == "BYTE_ARRAY" and not is_bytes
        if is_list:
            return is_bytes or (mean > _MAX_LIST_BYTES and not is_text)
        return is_bytes and (mean > _MAX_TEXT_BYTES or "." in leaf.path)

    def batch_rows(self) -> int:
        """Rows whose leaves fill a batch."""
        usual = min(_BATCH_ROWS, _BATCH_BYTES * self._rows // max(1, self._bytes))
        return max(1, min(usual, _MAX_BATCH_BYTES // max(1, self._dictionaries)))


def _rows(batch: pa.RecordBatch, leaves: _Leaves) -> Iterator[Fields]:
    arrays = list(zip(batch.schema.names, batch.columns, strict=True))
    value = values.value if batch.nbytes <= MAX_LINE_BYTES else values.short_value
    for index in range(batch.num_rows):
        fields = {name: value(array, index) for name, array in arrays}
        for path in leaves.left_out:
            _leave_out(fields, path, path in leaves.read)
        yield fields


def _parted(path: str, fields: Fields) -> tuple[str, str]:
    """The column that a leaf is of, whose name may have dots, and the rest of its path."""
    if path in fields:
        return path, ""
    column, _, part = path.rpartition(".")
    if column in fields:
        return column, part
    column, _, part = path.partition(".")
    return column, part


def _leave_out(fields: Fields, path: str, fetched: bool) -> None:
    """Puts a mark where a value is left out: into its column's object, or an object in place of a column or list."""
    column, part = _parted(path, fields)
    whole = fields.get(column)
    if isinstance(whole, dict) and part and "." not in part:
        if not fetched or whole.get(part) is not None:
            whole[part] = LEFT_OUT
    elif not fetched or whole is not None:
        fields[column] = {part if part and "." not in part else "bytes": LEFT_OUT}
