"""Walks over the parts of a file one by one: of many millions of empty parts, each would take its time."""

from __future__ import annotations

from collections.abc import Iterator

from transforms import reasons
from transforms.errors import ClipRejected

# A day of the shortest frames, in seconds of the processor.
MAX_STEPS = 1 << 22


def steps() -> Iterator[int]:
    """The steps of a walk, from 0 on.

    Raises:
      ClipRejected: DECODE_FAILED, behind the last one that any recording needs.
    """
    yield from range(MAX_STEPS)
    raise ClipRejected(reasons.DECODE_FAILED, f"the file has over {MAX_STEPS:,} parts, frames or tags (invalid)")
