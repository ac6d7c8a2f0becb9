"""Very many 64-bit keys, such as hashes of all rows: eight bytes each, where a set or a list takes eighty."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator

_PARTS = 256


class Keys:
    """A bag of keys from [0, 2**64), which it has in order. `len` is the number of them all."""

    def __init__(self) -> None:
        # By their first byte, so that few are sorted, and are objects of their own, at a time.
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, key: int) -> None:
        """Adds one; the same one again, too."""
        self._parts[key >> 56].append(key)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[int]:
        """The keys, the smallest first."""
        return itertools.chain.from_iterable(map(sorted, self._parts))

    def counted(self) -> Iterator[tuple[int, int]]:
        """Each key with the number of its times, the smallest key first."""
        return ((key, sum(1 for _ in same)) for key, same in itertools.groupby(self))

    def repeats(self) -> Iterator[int]:
        """Every key that was there before: of one that comes three times, two."""
        return (key for key, following in itertools.pairwise(self) if key == following)
