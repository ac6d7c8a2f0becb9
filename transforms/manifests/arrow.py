"""Arrow tables as `datasets` saves them: streams of record batches, of which only what is asked for is read.

The library's own reader of streams takes in whole batches, with their recordings. Here a batch is looked at by its
header; the columns that are no recordings are read, and of the others where their values lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from transforms.bounds import MAX_COLUMNS, MAX_FOOTER_BYTES
from transforms.errors import UserError
from transforms.manifests import flat, values
from transforms.manifests.embedded import CONTENTS, LEFT_OUT, file_name
from transforms.manifests.features import Features
from transforms.manifests.flat import Batch, DamagedError
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning, bad_row
from transforms.manifests.row import Fields, Row
from transforms.manifests.unpacked import is_unpacked
from transforms.storage import uris
from transforms.storage.inside import Place

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_FILE, _CONTINUES = b"ARROW1\0\0", b"\xff\xff\xff\xff"
_SCHEMA, _BATCH = 1, 3
# Of the columns of a batch that are read: texts and numbers of a thousand rows.
MAX_BATCH_BYTES = 256 << 20


def likeness(beginning: Beginning) -> int:
    """Certain from the mark of a file, or from the first message of a stream."""
    content = beginning.content
    if content.startswith(_FILE):
        return CERTAIN
    size = int.from_bytes(content[4:8], "little")
    return CERTAIN if content.startswith(_CONTINUES) and 0 < size < MAX_FOOTER_BYTES and size % 8 == 0 else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """The table's rows, numbered from 1. What a damaged batch holds is one rejected row.

    Raises:
      UserError: the file cannot be read as a whole.
    """
    if is_unpacked(stream):
        raise UserError(f"{name}: recordings in a gzip file cannot be read one by one; unpack it first (gunzip)")
    try:
        table = _Table.of(stream, uris.last_part(name))
    except DamagedError as fault:
        raise UserError(f"{name}: not a readable Arrow table ({fault})") from None
    number = 0
    try:
        for row in table.rows():
            number = row.line
            yield row
    except DamagedError as fault:
        yield bad_row(number + 1, "", f"rows from {number + 1} on cannot be read: {fault}")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, and which nodes and buffers are its own."""

    name: str
    form: pa.DataType
    node: int
    buffer: int


@dataclass(frozen=True, slots=True)
class _Table:
    """An open table.

    Attributes:
      stream: the open file.
      holder: its name.
      start: where the first batch begins.
      columns: in their order.
      features: what is noted of them.
    """

    stream: BinaryIO
    holder: str
    start: int
    columns: list[_Column]
    features: Features

    @staticmethod
    def of(stream: BinaryIO, holder: str) -> _Table:
        """The table of an open file."""
        import pyarrow as pa  # noqa: PLC0415 -- slow to import, and most manifests are text

        stream.seek(0)
        start = len(_FILE) if stream.read(len(_FILE)) == _FILE else 0
        message = flat.message(stream, start)
        if message is None or message.kind != _SCHEMA:
            raise DamagedError("it begins with no schema")
        try:
            schema = pa.ipc.read_schema(pa.py_buffer(message.content))
        except Exception as fault:  # whatever the library finds
            raise DamagedError(type(fault).__name__) from fault
        if len(schema) > MAX_COLUMNS or len(set(schema.names)) < len(schema):
            raise DamagedError("it has too many columns, or two of one name")
        columns, node, buffer = [], 0, 0
        for each in schema:
            columns.append(_Column(each.name, each.type, node, buffer))
            nodes, buffers = _parts(each.type)
            node, buffer = node + nodes, buffer + buffers
        features = Features.of_schema(schema.metadata)
        return _Table(stream, holder, message.body + message.size, columns, features)

    def rows(self) -> Iterator[Row]:
        """The rows of all batches, numbered from 1."""
        at, number = self.start, 1
        while (message := flat.message(self.stream, at)) is not None:
            if message.kind == _BATCH:
                batch = flat.batch(message)
                yield from self._rows(batch, number)
                number += batch.num_rows
            at = message.body + message.size

    def _rows(self, batch: Batch, number: int) -> Iterator[Row]:
        read = _Reader(self.stream, batch)
        columns = [(column, read.column(column)) for column in self.columns]
        for index in range(batch.num_rows):
            fields: Fields = {}
            inside: dict[str, str] = {}
            for column, content in columns:
                fields[column.name] = content.value(index)
                place = content.place(index)
                if place is not None and self.features.may_hold_recordings(column.name):
                    inside[column.name] = Place(self.holder, file_name(fields[column.name]), *place).spelled()
            self.features.name_classes(fields)
            line = number + index
            yield Row(line, fields, inside=inside, key=f"{self.holder}:{line}")


@dataclass(frozen=True, slots=True)
class _Plain:
    """A column that is read."""

    array: pa.Array[Any]

    def value(self, index: int) -> object:
        """Of a row of the batch."""
        return values.short_value(self.array, index)

    def place(self, index: int) -> tuple[int, int] | None:
        """It holds no recordings."""
        return None


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A column of bytes, of which only is read where each value lies.

    Attributes:
      there: whether each row has a value.
      offsets: of the values, from the first on; one more than there are rows.
      start: of the first in the file.
      size: of all.
      part: the name of the bytes in a column of objects; "" for a column of bytes.
      others: the other parts of such objects.
    """

    there: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    start: int
    size: int
    part: str = ""
    others: Mapping[str, _Plain] = field(default_factory=dict)

    def value(self, index: int) -> object:
        """What stands for a value, and the parts beside it."""
        beside = {name: part.value(index) for name, part in self.others.items()}
        left_out = LEFT_OUT if self.there[index] else None
        return {**beside, self.part: left_out} if self.part else left_out and {"bytes": left_out}

    def place(self, index: int) -> tuple[int, int] | None:
        """Offset and size of a value in the file; None for none."""
        if not self.there[index]:
            return None
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        if not 0 <= start <= end <= self.size:
            raise DamagedError("a value lies outside of its column")
        return self.start + start, end - start


class _Reader:
    """Reads the columns of a batch, as far as they are asked for."""

    def __init__(self, stream: BinaryIO, batch: Batch) -> None:
        self._stream = stream
        self._batch = batch
        self._left = MAX_BATCH_BYTES

    def column(self, column: _Column) -> _Plain | _Bytes:
        """A column, or where its values lie.

        Raises:
          DamagedError: it cannot be what it claims to be.
        """
        form = column.form
        try:
            if _is_bytes(form):
                return self._bytes(form, column.node, column.buffer)
            parts = [form.field(index) for index in range(form.num_fields)] if _is_struct(form) else []
            found = next((part.name for part in parts if part.name in CONTENTS and _is_bytes(part.type)), None)
            if found is None:
                return _Plain(self._array(form, column.node, column.buffer))
            return self._object(column, parts, found)
        except (DamagedError, MemoryError):
            raise
        except Exception as fault:  # a damaged batch raises all kinds
            if isinstance(fault, OSError) and fault.errno is not None:
                raise
            raise DamagedError(f"{column.name!r} is damaged ({type(fault).__name__})") from fault

    def _object(self, column: _Column, parts: Sequence[pa.Field[Any]], found: str) -> _Bytes:
        node, buffer = column.node + 1, column.buffer + 1
        whole = self._valid(column.node, column.buffer)
        others: dict[str, _Plain] = {}
        content: _Bytes | None = None
        for part in parts:
            if part.name == found:
                content = self._bytes(part.type, node, buffer)
            else:
                others[part.name] = _Plain(self._array(part.type, node, buffer))
            nodes, buffers = _parts(part.type)
            node, buffer = node + nodes, buffer + buffers
        assert content is not None
        return replace(content, there=content.there & whole, part=found, others=others)

    def _bytes(self, form: pa.DataType, node: int, buffer: int) -> _Bytes:
        import numpy as np  # noqa: PLC0415 -- a finished dataset is looked at without it

        width = np.dtype("<i8" if "large" in str(form) else "<i4")
        rows = self._rows(node)
        offsets = np.frombuffer(self._read(buffer + 1), width)[: rows + 1].astype(np.int64)
        if not rows:
            offsets = np.zeros(1, np.int64)
        if len(offsets) < rows + 1:
            raise DamagedError("it has more rows than values")
        at, size = self._batch.buffers[buffer + 2]
        return _Bytes(self._valid(node, buffer), offsets, self._batch.body + at, size)

    def _rows(self, node: int) -> int:
        rows = self._batch.nodes[node][0]
        if rows != self._batch.num_rows:
            raise DamagedError("its columns are of several lengths")
        return rows

    def _valid(self, node: int, buffer: int) -> NDArray[np.bool_]:
        import numpy as np  # noqa: PLC0415

        rows, nulls = self._rows(node), self._batch.nodes[node][1]
        if not nulls:
            return np.ones(rows, np.bool_)
        bits = np.unpackbits(np.frombuffer(self._read(buffer), np.uint8), bitorder="little")[:rows]
        if len(bits) < rows:
            raise DamagedError("it has more rows than values")
        return bits.astype(np.bool_)

    def _array(self, form: pa.DataType, node: int, buffer: int) -> pa.Array[Any]:
        array = self._unchecked(form, node, buffer)
        array.validate(full=True)
        return array

    def _unchecked(self, form: pa.DataType, node: int, buffer: int) -> pa.Array[Any]:
        import pyarrow as pa  # noqa: PLC0415

        if pa.types.is_dictionary(form):
            return pa.nulls(self._rows(node))
        if isinstance(form, pa.BaseExtensionType):
            form = form.storage_type
        length, nulls = self._batch.nodes[node]
        if pa.types.is_null(form):
            return pa.nulls(length)
        own = _own_buffers(form)
        buffers = [self._buffer(buffer + index, optional=index == 0) for index in range(own)]
        children, at_node, at_buffer = [], node + 1, buffer + own
        for index in range(form.num_fields):
            part = form.field(index).type
            children.append(self._unchecked(part, at_node, at_buffer))
            nodes, more = _parts(part)
            at_node, at_buffer = at_node + nodes, at_buffer + more
        return pa.Array.from_buffers(form, length, buffers, nulls, 0, children or None)

    def _buffer(self, index: int, optional: bool) -> pa.Buffer | None:
        import pyarrow as pa  # noqa: PLC0415

        content = self._read(index)
        return None if optional and not content else pa.py_buffer(content)

    def _read(self, index: int) -> bytes:
        at, size = self._batch.buffers[index]
        self._left -= size
        if self._left < 0:
            raise DamagedError(f"the texts and numbers of a batch have over {MAX_BATCH_BYTES:,} bytes")
        self._stream.seek(self._batch.body + at)
        content = self._stream.read(size)
        if len(content) < size:
            raise DamagedError("the file ends within it")
        return content


def _is_bytes(form: pa.DataType) -> bool:
    return str(form) in ("binary", "large_binary")


def _is_struct(form: pa.DataType) -> bool:
    return str(form).startswith("struct<")


def _own_buffers(form: pa.DataType) -> int:
    """Buffers of a type but those of its parts.

    Raises:
      DamagedError: it is none that is read.
    """
    kind = str(form).partition("<")[0].partition("[")[0]
    if kind in (
        "dense_union",
        "sparse_union",
        "run_end_encoded",
        "list_view",
        "large_list_view",
        "string_view",
        "binary_view",
    ):
        raise DamagedError(f"a column of {kind}, which is not read")
    return 0 if kind == "null" else form.num_buffers


def _parts(form: pa.DataType) -> tuple[int, int]:
    """How many nodes and buffers a type has in a batch, with those of its parts."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(form):
        return 1, 2
    if isinstance(form, pa.BaseExtensionType):
        form = form.storage_type
    nodes, buffers = 1, _own_buffers(form)
    for index in range(form.num_fields):
        more, further = _parts(form.field(index).type)
        nodes, buffers = nodes + more, buffers + further
    return nodes, buffers
