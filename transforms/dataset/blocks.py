"""Rows of the same shard, packed a few at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from transforms.clip import Clip, Outcome, dump, pack
from transforms.dataset.plan import ShardKey

# Of rows that wait: the blocks of a hundred thousand shards, if rows are short.
MAX_WAITING_BYTES = 256 << 20


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
        self._waiting = 0

    def add(self, key: ShardKey, row: Clip | Outcome) -> bytes:
        """Adds a row; returns the block that it fills, as `unpack` takes it, or b"".

        Where too many bytes wait, its block is full whatever rows it has.
        """
        line = dump(row)
        self._lines[key] += line
        self._rows[key] += 1
        self._waiting += len(line)
        if self._rows[key] < self._rows_per_block and self._waiting < MAX_WAITING_BYTES:
            return b""
        del self._rows[key]
        lines = self._lines.pop(key)
        self._waiting -= len(lines)
        return pack(lines)

    def rest(self) -> Iterator[tuple[ShardKey, bytes]]:
        """Takes out every row that still waits, as blocks that are not full."""
        while self._lines:
            key, lines = self._lines.popitem()
            yield key, pack(lines)
        self._rows.clear()
        self._waiting = 0
