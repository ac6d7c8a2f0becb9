"""A uniform sample of rows: those whose places in the dataset come first. A clip's id alone decides its place."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from hashlib import blake2b

from transforms.clip import Clip, Outcome


def hash64(text: str, salt: bytes = b"") -> int:
    """A number for a text: uniform in [0, 2**64), the same in every process and on every machine."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, salt=salt).digest(), "big")


def last_place(rows: Iterable[Clip | Outcome], clips: int) -> int | None:
    """The last place that a sample of so many clips takes.

    Memory grows with the clips of the sample, not with the rows. A larger sample holds each smaller one, and rows that
    are added take the place of others only if theirs come before.

    Args:
      rows: of all manifests, in any order.
      clips: how many different ids of clips the sample holds.

    Returns:
      A number for `is_taken`; None if there are no more clips than that, so all rows are taken.
    """
    first: set[int] = set()  # the first places, which `last` orders, the last of them in front
    last: list[int] = []
    left_out = False
    for row in rows:
        place = place_of(row)
        if isinstance(row, Outcome) or place in first:
            continue
        if len(last) < clips:
            heapq.heappush(last, -place)
            first.add(place)
            continue
        left_out = True
        if place < -last[0]:
            first.remove(-heapq.heapreplace(last, -place))
            first.add(place)
    return -last[0] if left_out else None


def is_taken(row: Clip | Outcome, last: int | None) -> bool:
    """Whether a row is in the sample that ends with a place. Rows that are no clips are sampled in the same way."""
    return last is None or place_of(row) <= last


def place_of(row: Clip | Outcome) -> int:
    """The row's place: of a clip, that in the dataset; of a row without an id, one of its contents."""
    return hash64(row.clip_id or row.row or "")
