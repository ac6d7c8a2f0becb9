"""Tables for people who read a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def lines(rows: Sequence[Sequence[str]], figures: bool = True) -> list[str]:
    """Rows of as many cells as lines of one width a column.

    Args:
      rows: the head first.
      figures: whether all columns but the first are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(cells, widths, figures)).rstrip() for cells in rows]


def _aligned(cells: Sequence[str], widths: Sequence[int], figures: bool) -> list[str]:
    padded = zip(cells, widths, strict=True)
    return [
        cell.rjust(width) if figures and number else cell.ljust(width) for number, (cell, width) in enumerate(padded)
    ]
