"""What the footer of a Parquet file says of its row groups.

pyarrow reads it too, but where a footer is damaged its accessors of single columns may end the process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO

_TAIL_BYTES = 8  # the footer's length, and a mark
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
    """

    parts: tuple[str, ...]
    num_values: int
    num_bytes: int
    num_nulls: int | None


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
    """
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - _TAIL_BYTES))
    length = int.from_bytes(stream.read(_TAIL_BYTES)[:4], "little")
    if not 0 < length <= end - _TAIL_BYTES:
        raise ValueError("the footer is longer than the file")
    stream.seek(end - _TAIL_BYTES - length)
    tree = _Thrift(stream.read(length)).struct()
    return [RowGroup(max(0, group[3]), tuple(map(_leaf, group[1]))) for group in tree[4]]


def _leaf(column: dict[int, Any]) -> Leaf:
    facts = column[3]
    parts = tuple(part.decode() for part in facts[3])
    return Leaf(parts, facts[5], facts[6], facts.get(12, {}).get(3))


class _Thrift:
    """Reads Thrift's compact protocol: structs become dictionaries by the numbers of their fields."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

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
        self._at += size
        if self._at > len(self._content):
            raise ValueError("the footer ends within a text")
        return self._content[self._at - size : self._at]

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 0x80:
            found |= (byte & 0x7F) << shift
            shift += 7
        return found | byte << shift

    def _integer(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
