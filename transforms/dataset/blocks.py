"""Rows of the same shard, packed a few at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from transforms.clip import Clip, Outcome, dump, pack
from transforms.dataset.plan import ShardKey


class Blocks:
    """Rows that wait until there are enough of their shard for a block."""

    def __init__(self, rows_per_block: int) -> None:
        """Begins without rows.

        Args:
          rows_per_block: of a full block.
        """
        self._rows_per_block = rows_per_block
        self._lines: defaultdict[ShardKey, bytearray] = defaultdict(bytearray)
        self._rows: Counter[ShardKey] = Counter()

    def add(self, key: ShardKey, row: Clip | Outcome) -> bytes:
        """Adds a row; returns the block that it fills, as `unpack` takes it, or b""."""
        self._lines[key] += dump(row)
        self._rows[key] += 1
        if self._rows[key] < self._rows_per_block:
            return b""
        del self._rows[key]
        return pack(self._lines.pop(key))

    def rest(self) -> Iterator[tuple[ShardKey, bytes]]:
        """Takes out every row that still waits, as blocks that are not full."""
        while self._lines:
            key, lines = self._lines.popitem()
            yield key, pack(lines)
        self._rows.clear()
