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
Numbers = npt.NDArray[np.intp]

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


def percent(found: Interval | None) -> str:
    """A value with its interval for people; "-" for none."""
    if found is None or found.value is None:
        return "-"
    whole = f"{found.value:.1%}"
    return whole if found.low is None or found.high is None else f"{whole} [{found.low:.1%}, {found.high:.1%}]"


@dataclass(frozen=True, slots=True)
class Replicates:
    """A value of all clips, of each resample, and without each group.

    Attributes:
      point: of all clips; NaN where there is nothing to divide by.
      drawn: shape (resamples,).
      without: shape (groups,).
    """

    point: float
    drawn: Array
    without: Array

    def minus(self, other: Replicates) -> Replicates:
        """The difference of two values in the same resamples."""
        return Replicates(self.point - other.point, self.drawn - other.drawn, self.without - other.without)

    def interval(self) -> Interval:
        """The value with its interval."""
        if np.isnan(self.point):
            return Interval(None)
        found = self.drawn[~np.isnan(self.drawn)]
        if len(self.without) < 2 or not len(found):
            return Interval(self.point)
        low, high = np.quantile(found, _bca(self.point, found, self.without))
        return Interval(self.point, float(low), float(high))


class Dense:
    """Sums over groups of clips, shape (groups, n)."""

    def __init__(self, sums: Array) -> None:
        self.sums, self.groups = sums, len(sums)

    def total(self) -> Array:
        """The sums over all groups, shape (n,)."""
        return np.asarray(self.sums.sum(axis=0), dtype=np.float64)

    def weighted(self, weights: Array) -> Array:
        """The sums of resamples, shape (count, n), by how often each group was drawn, shape (count, groups)."""
        return weights @ self.sums

    def some(self, start: int, stop: int) -> Array:
        """The sums of some groups."""
        return self.sums[start:stop]


class Sparse:
    """The same where there are many columns, and almost all sums are 0: what is told of a thousand labels.

    Args:
      rows: the group of each entry; an entry adds 1.
      columns: its column.
      groups: how many groups.
      width: how many columns.
    """

    def __init__(self, rows: Numbers, columns: Numbers, groups: int, width: int) -> None:
        order = np.argsort(rows, kind="stable")
        self.rows, self.columns, self.groups, self.width = rows[order], columns[order], groups, width

    def total(self) -> Array:
        """As `Dense` has it."""
        return np.bincount(self.columns, minlength=self.width).astype(np.float64)

    def weighted(self, weights: Array) -> Array:
        """As `Dense` has it."""
        sums = [np.bincount(self.columns, row[self.rows], self.width) for row in weights]
        return np.array(sums, dtype=np.float64).reshape(len(weights), self.width)

    def some(self, start: int, stop: int) -> Array:
        """As `Dense` has it."""
        first, last = np.searchsorted(self.rows, (start, stop))
        cells = (self.rows[first:last] - start) * self.width + self.columns[first:last]
        counts = np.bincount(cells, minlength=(stop - start) * self.width)
        return counts.reshape(stop - start, self.width).astype(np.float64)


class Resamples:
    """Sums over groups of clips, resampled.

    Args:
      sums: over the clips of each group, shape (groups, n).
      seed: decides the resamples; those of as many groups are the same, so that systems are looked at in pairs.
      count: how many resamples.
    """

    def __init__(self, sums: Array | Dense | Sparse, seed: int, count: int = RESAMPLES) -> None:
        self.sums = Dense(sums) if isinstance(sums, np.ndarray) else sums
        self.whole = self.sums.total()
        self.drawn = _drawn(self.sums, np.random.default_rng(seed), count, len(self.whole))

    def replicates(self, value: Callable[[Array], Array]) -> Replicates:
        """A value, and how it varies.

        Args:
          value: of sums, shape (..., n), shape (...).
        """
        # One group left out, as the jackknife does, a block of groups at a time.
        step = max(1, _CELLS // max(1, len(self.whole)))
        ends = [(start, min(start + step, self.sums.groups)) for start in range(0, self.sums.groups, step)]
        without = [value(self.whole - self.sums.some(*pair)) for pair in ends]
        return Replicates(float(value(self.whole)), value(self.drawn), np.concatenate([np.zeros(0), *without]))

    def interval(self, value: Callable[[Array], Array]) -> Interval:
        """The interval of a value.

        Args:
          value: of sums, shape (..., n), shape (...).
        """
        return self.replicates(value).interval()


def _drawn(sums: Dense | Sparse, dice: np.random.Generator, count: int, width: int) -> Array:
    """The sums of resamples, shape (count, width)."""
    groups = sums.groups
    if not groups:
        return np.zeros((count, width))
    block = max(1, _CELLS // groups)
    starts = range(0, count, block)
    return np.concatenate([sums.weighted(_weights(groups, min(block, count - start), dice)) for start in starts])


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
