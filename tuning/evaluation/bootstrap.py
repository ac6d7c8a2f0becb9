"""Intervals by the bootstrap over groups of clips: clips of one speaker are not independent.

All systems are looked at in the same resamples, so that differences are of pairs. The interval is BCa (Efron 1987),
as `scipy.stats.bootstrap` computes it; where BCa is not defined, because all resamples are on one side, the percentile
interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 1_000
CONFIDENCE = 0.95
_CELLS = 2_000_000  # of a block of resamples: some 30 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval.

    Attributes:
      value: of all clips; None where there is nothing to divide by.
      low: lower end of the 95 % interval; None for fewer than two groups.
      high: upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Resamples:
    """Sums over groups of clips, resampled.

    Args:
      sums: over the clips of each group, shape (groups, n).
      seed: decides the resamples.
      count: how many resamples.
    """

    def __init__(self, sums: Array, seed: int, count: int = RESAMPLES) -> None:
        self.whole: Array = sums.sum(axis=0)
        self.without: Array = self.whole - sums  # one group left out, as the jackknife does
        self.drawn = _drawn(sums, np.random.default_rng(seed), count)

    def interval(self, value: Callable[[Array], Array]) -> Interval:
        """The interval of a value.

        Args:
          value: of sums, shape (..., n), shape (...).
        """
        point = float(value(self.whole))
        if np.isnan(point):
            return Interval(None)
        found = value(self.drawn)
        found = found[~np.isnan(found)]
        if len(self.without) < 2 or not len(found):
            return Interval(point)
        low, high = np.quantile(found, _bca(point, found, value(self.without)))
        return Interval(point, float(low), float(high))


def _drawn(sums: Array, dice: np.random.Generator, count: int) -> Array:
    """The sums of resamples, shape (count, n)."""
    groups = len(sums)
    block = max(1, _CELLS // max(1, groups))
    blocks = [_weights(groups, min(block, count - start), dice) @ sums for start in range(0, count, block)]
    return np.concatenate(blocks) if groups else np.zeros((count, sums.shape[1]))


def _weights(groups: int, count: int, dice: np.random.Generator) -> Array:
    """How often each group was drawn in each resample, shape (count, groups)."""
    drawn = dice.integers(0, groups, (count, groups)) + np.arange(count)[:, None] * groups
    return np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def _bca(point: float, found: Array, without: Array) -> tuple[float, float]:
    """The quantiles of the resamples that bound the interval."""
    normal, tails = NormalDist(), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    below = (np.sum(found < point) + np.sum(found <= point)) / (2 * len(found))
    deviations = np.nanmean(without) - without
    spread = float(np.nansum(deviations**2))
    if not 0 < below < 1 or not spread > 0:
        return tails
    bias = normal.inv_cdf(float(below))
    skew = float(np.nansum(deviations**3)) / (6 * spread**1.5)

    def moved(tail: float) -> float:
        at = bias + normal.inv_cdf(tail)
        return normal.cdf(bias + at / (1 - skew * at))

    return moved(tails[0]), moved(tails[1])
