"""What the footer of a Parquet file says of its row groups.

pyarrow reads it too, but where a footer is damaged its accessors of single columns may end the process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO

from transforms.bounds import MAX_FOOTER_BYTES, max_unpacked

_TAIL_BYTES = 8  # the footer's length, and a mark
_HEADER_BYTES = 1 << 12  # of a page, usually under a hundred
_MAX_HEADER_BYTES = 1 << 24
_BYTES_PER_ROW = 8
# Of Parquet's, as numbers.
_REQUIRED, _REPEATED, _BYTE_ARRAY = 0, 2, 6
# Types of Thrift's compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of a row group, or a part of a nested one.

    Attributes:
      parts: names from the column down to the leaf.
      num_values: with nulls.
      num_bytes: of its pages, before compression.
      num_nulls: None where the file does not say.
      num_packed: bytes of its pages in the file.
      start: where they begin.
      codec: of Parquet's, by which they are compressed.
      index: offset and length of the list of its pages; None where the file has none.
    """

    parts: tuple[str, ...]
    num_values: int
    num_bytes: int
    num_nulls: int | None
    num_packed: int
    start: int
    codec: int = 0
    index: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Levels:
    """How the values of a leaf are nested.

    Attributes:
      definition: of a value that is there.
      repetition: 0 for one value a row.
      is_bytes: whether a value is bytes of any length.
    """

    definition: int
    repetition: int
    is_bytes: bool


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages of a leaf unpack to.

    Attributes:
      longest: bytes of the longest one.
      dictionary: bytes of the dictionary, of which any row may have any entry.
      num_values: of all.
    """

    longest: int
    dictionary: int
    num_values: int


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are stored together.

    Attributes:
      num_rows: as the footer has it.
      leaves: in the order of the schema.
    """

    num_rows: int
    leaves: tuple[Leaf, ...]


def read(stream: BinaryIO) -> list[RowGroup]:
    """The row groups of an open file.

    Raises:
      ValueError, LookupError, TypeError, RecursionError: the footer is damaged.
      TooLargeError: it is too long, or tells of more rows than a file of its size has.
    """
    return _groups(*_tree(stream))


def read_with_levels(stream: BinaryIO) -> tuple[list[RowGroup], list[Levels]]:
    """The row groups, and the levels of each leaf in their order; raises what `read` raises."""
    tree, end = _tree(stream)
    return _groups(tree, end), _levels(tree[2])


def _tree(stream: BinaryIO) -> tuple[dict[int, Any], int]:
    """The footer, and the length of its file."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - _TAIL_BYTES))
    length = int.from_bytes(stream.read(_TAIL_BYTES)[:4], "little")
    if not 0 < length <= end - _TAIL_BYTES:
        raise ValueError("the footer is longer than the file")
    if length > MAX_FOOTER_BYTES:
        raise TooLargeError(f"its footer has {length:,} bytes, over the limit of {MAX_FOOTER_BYTES:,}")
    stream.seek(end - _TAIL_BYTES - length)
    return _Thrift(stream.read(length)).struct(), end


def _groups(tree: dict[int, Any], end: int) -> list[RowGroup]:
    groups = [RowGroup(max(0, group[3]), tuple(map(_leaf, group[1]))) for group in tree[4]]
    if _BYTES_PER_ROW * sum(group.num_rows for group in groups) > max_unpacked(end):
        raise TooLargeError(f"it tells of more rows than {end:,} bytes can hold")
    return groups


def _levels(schema: list[dict[int, Any]]) -> list[Levels]:
    """The levels of the leaves of a schema, which is a tree whose parents stand before their children."""
    found: list[Levels] = []
    open_ = [(int(schema[0].get(5, 0)), 0, 0)]  # children that are still to come, and the levels above them
    for element in schema[1:]:
        while open_ and not open_[-1][0]:
            open_.pop()
        left, definition, repetition = open_[-1]
        open_[-1] = (left - 1, definition, repetition)
        kind = element.get(3, _REQUIRED)
        definition, repetition = definition + (kind != _REQUIRED), repetition + (kind == _REPEATED)
        if children := int(element.get(5) or 0):
            open_.append((children, definition, repetition))
        else:
            found.append(Levels(definition, repetition, element[1] == _BYTE_ARRAY))
    return found


def pages(stream: BinaryIO, leaf: Leaf) -> Pages:
    """What the headers of a leaf's pages say; raises what `read` raises."""
    at, end = leaf.start, leaf.start + leaf.num_packed
    longest = dictionary = num_values = 0
    while at < end and num_values < leaf.num_values:
        fields, length = header(stream, at)
        size, packed = fields[2], fields[3]
        if size < 0 or packed < 0:
            raise ValueError("a page of a negative length")
        if size > max_unpacked(packed):
            raise TooLargeError(f"a page of {packed:,} bytes unpacks to {size:,}")
        longest = max(longest, size)
        if 7 in fields:
            dictionary = size
        num_values += max(0, (fields.get(5) or fields.get(8) or {}).get(1, 0))
        at += length + packed
    return Pages(longest, dictionary, num_values)


def page_starts(stream: BinaryIO, leaf: Leaf) -> list[tuple[int, int]]:
    """Where the pages of data of a leaf lie and their first rows, of a file that says so; raises what `read` raises."""
    if leaf.index is None:
        return []
    at, length = leaf.index
    if not 0 < length <= MAX_FOOTER_BYTES:
        raise TooLargeError(f"the list of its pages has {length:,} bytes")
    stream.seek(at)
    return [(page[1], page[3]) for page in _Thrift(stream.read(length)).struct()[1]]


def header(stream: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    """The header of a page, by the numbers of its fields, and its length; raises what `read` raises."""
    size = _HEADER_BYTES
    while True:
        stream.seek(at)
        content = stream.read(size)
        thrift = _Thrift(content)
        try:
            return thrift.struct(), thrift.at
        except (IndexError, ValueError):
            if len(content) < size or size >= _MAX_HEADER_BYTES:
                raise
            size *= 16


def _leaf(column: dict[int, Any]) -> Leaf:
    facts = column[3]
    parts = tuple(part.decode() for part in facts[3])
    starts = [place for place in (facts[9], facts.get(11)) if place]
    index = (column[4], column[5]) if 4 in column and 5 in column else None
    nulls = facts.get(12, {}).get(3)
    return Leaf(parts, facts[5], facts[6], nulls, facts[7], min(starts, default=0), facts[4], index)


class TooLargeError(Exception):
    """A file, or a part of it, unpacks to more than anybody has meant. The text is what, in a few words."""


class _Thrift:
    """Reads Thrift's compact protocol: structs become dictionaries by the numbers of their fields."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while header := self._byte():
            step, kind = header >> 4, header & 15
            field = field + step if step else self._integer()
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        return found

    def _value(self, kind: int) -> Any:  # noqa: ANN401 -- whatever the file holds
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            header = self._byte()
            size = header >> 4 if header >> 4 < 15 else self._varint()
            return [self._value(header & 15) for _ in range(size)]
        if kind in (_BINARY, _DOUBLE):
            return self._bytes(8 if kind == _DOUBLE else self._varint())
        if _BYTE < kind < _DOUBLE:
            return self._integer()
        raise ValueError(f"no type {kind}")

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._content):
            raise ValueError("the footer ends within a text")
        return self._content[self.at - size : self.at]

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 0x80:
            found |= (byte & 0x7F) << shift
            shift += 7
        return found | byte << shift

    def _integer(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
