"""Walks over the parts of a file one by one: of many millions of empty parts, each would take its time."""

from __future__ import annotations

from collections.abc import Iterator

from transforms import reasons
from transforms.errors import ClipRejected

# A day of the shortest frames, in seconds of the processor.
MAX_STEPS = 1 << 22


def steps(most: int = MAX_STEPS) -> Iterator[int]:
    """The steps of a walk, from 0 on.

    Raises:
      ClipRejected: DECODE_FAILED, behind the last one that any recording needs.
    """
    yield from range(most)
    raise ClipRejected(reasons.DECODE_FAILED, f"the file has over {most:,} parts, frames or tags (invalid)")
