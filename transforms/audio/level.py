"""How loud a clip is. Samples are whole numbers, and squares are added up exactly: so every machine finds the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32_768
# A clip without a sample above zero, and whatever is quieter: minus infinity is no JSON.
LOWEST_DBFS = -120.0
# Squares of 31 bits; the sum of so many is a whole number that a float holds, in whatever order they are added.
_AT_A_TIME = 1 << 18


@dataclass(frozen=True, slots=True)
class Level:
    """The level of samples, in decibels below full scale, to a tenth.

    Attributes:
      rms_dbfs: root of the mean square, full scale being 32,768: a sine at full scale has -3.0.
      peak_dbfs: of the largest magnitude.
    """

    rms_dbfs: float
    peak_dbfs: float


def of(samples: NDArray[np.int16]) -> Level:
    """The level of a clip.

    Args:
      samples: int16, shape (num_samples,).
    """
    peak = max(int(samples.max(initial=0)), -int(samples.min(initial=0)))
    squares = sum(_squares(samples[start : start + _AT_A_TIME]) for start in range(0, len(samples), _AT_A_TIME))
    return Level(_decibels(squares, len(samples) * FULL_SCALE**2), _decibels(peak**2, FULL_SCALE**2))


def _squares(samples: NDArray[np.int16]) -> int:
    """The sum of at most `_AT_A_TIME` squares."""
    wide = samples.astype(np.float64)
    return int(np.einsum("i,i->", wide, wide))  # not `@`, which would start threads for it


def _decibels(power: int, full: int) -> float:
    if not power:
        return LOWEST_DBFS
    return max(LOWEST_DBFS, round(10 * math.log10(power / full), 1)) + 0.0  # nor is there a -0.0
