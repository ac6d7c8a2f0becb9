"""Error against the number of training examples: e(n) = floor + scale · n^-exponent.

Three numbers from three or four points are little to go by. So the exponent is one of a grid, and for each of them
floor and scale are a linear least squares fit with one bound: the best of all is found, without a start to guess. The
grid keeps the answer tame: twice the examples gain what the last doubling gained, times 2^-exponent, so between all of
it and a quarter. The scale may be below 0: more examples may have made it worse.

One fit says little about the exponent. So an interval is of resamples, and in each of them of all exponents that fit
nearly as well as the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuning.evaluation.bootstrap import CONFIDENCE, Interval

Array = npt.NDArray[np.float64]

# Below 0.05 the curve is a straight line over log n; above 2 it is at its floor after one doubling. Published exponents
# of speech and language models are from 0.05 to 1.
EXPONENTS: Array = np.geomspace(0.05, 2.0, 120)
MIN_POINTS = 3
# An exponent whose squares are so many variances of a point above the least fits nearly as well: with one, intervals
# covered 90 % of the truths of a simulation where they should cover 95.
_NEAR = 4.0


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A fitted curve.

    Attributes:
      floor: the error that no number of examples would mend, 0 or above.
      scale: what the largest size is above the floor; below 0 if more examples make it worse.
      exponent: how fast that goes down.
      unit: the largest size, in examples: e(n) = floor + scale · (n / unit)^-exponent.
    """

    floor: float
    scale: float
    exponent: float
    unit: float

    def at(self, examples: float) -> float:
        """The error with so many examples."""
        return self.floor + self.scale * float((examples / self.unit) ** -self.exponent)


def fit(examples: Array, errors: Array) -> PowerLaw:
    """The curve with the least squares.

    Args:
      examples: above 0, shape (points,), at least two of them different.
      errors: shape (points,).
    """
    floors, scales, lost = _grid(examples, errors[None])
    best = int(lost[0].argmin())
    return PowerLaw(float(floors[0, best]), float(scales[0, best]), float(EXPONENTS[best]), float(examples.max()))


def at(examples: Array, errors: Array, drawn: Array, wanted: float) -> Interval:
    """The error with another number of examples.

    Args:
      examples: shape (points,).
      errors: shape (points,).
      drawn: the errors of resamples, shape (resamples, points).
      wanted: number of examples.
    """
    return _interval(examples, errors, drawn, [(1.0, wanted)])


def gain(examples: Array, errors: Array, drawn: Array, wanted: float) -> Interval:
    """How much lower the curve is with another number of examples than with the most of `examples`. As for `at`."""
    return _interval(examples, errors, drawn, [(1.0, float(examples.max())), (-1.0, wanted)])


def miss(examples: Array, errors: Array, drawn: Array) -> Interval:
    """What the curve of all sizes but the largest foretells for that, less what was measured there. As for `at`."""
    last = int(examples.argmax())
    rest = np.arange(len(examples)) != last
    terms = [(1.0, float(examples[last]))]
    return _interval(examples[rest], errors[rest], drawn[:, rest], terms, float(errors[last]), drawn[:, last])


def _interval(
    examples: Array,
    errors: Array,
    drawn: Array,
    terms: list[tuple[float, float]],
    less: float = 0.0,
    less_drawn: Array | None = None,
) -> Interval:
    """A sum of the curve's values, each with a factor and a number of examples, with its 95 % interval.

    Args:
      examples: as for `at`.
      errors: as for `at`.
      drawn: as for `at`; those with NaN are left out.
      terms: factors and numbers of examples.
      less: what is subtracted.
      less_drawn: likewise in each resample; None for nothing.
    """
    curve = fit(examples, errors)
    point = sum(factor * curve.at(size) for factor, size in terms) - less
    offset = np.zeros(len(drawn)) if less_drawn is None else less_drawn
    whole = ~np.isnan(drawn).any(axis=1) & ~np.isnan(offset)
    drawn, offset = drawn[whole], offset[whole, None]
    if not len(drawn):
        return Interval(point)
    floors, scales, lost = _grid(examples, drawn)
    powers = sum(factor * (size / examples.max()) ** -EXPONENTS for factor, size in terms)
    values = floors * sum(factor for factor, _ in terms) + scales * powers - offset
    near = lost <= lost.min(axis=1, keepdims=True) + _NEAR * _noise(drawn)
    tail = (1 - CONFIDENCE) / 2
    low = float(np.quantile(np.where(near, values, np.inf).min(axis=1), tail))
    high = float(np.quantile(np.where(near, values, -np.inf).max(axis=1), 1 - tail))
    return Interval(_plain(point), _plain(min(low, point)), _plain(max(high, point)))


def _plain(value: float) -> float:
    """Without what rounding makes of nothing: equal answers differ by 0."""
    return round(value, 12) + 0.0


def _noise(drawn: Array) -> float:
    """The variance of one point, beside what all have in common, as the difficulty of the clips."""
    apart = drawn - drawn.mean(axis=1, keepdims=True)
    points = drawn.shape[1]
    return float(apart.var(axis=0).mean() * points / (points - 1))


def _grid(examples: Array, errors: Array) -> tuple[Array, Array, Array]:
    """Floor, scale and the squares that are left, each of shape (rows, exponents).

    Args:
      examples: shape (points,).
      errors: shape (rows, points).
    """
    x = (examples[:, None] / examples.max()) ** -EXPONENTS  # (points, exponents): numbers of any size become near 1
    middle, mean = x.mean(axis=0), errors.mean(axis=1)[:, None]
    scales = errors @ (x - middle) / ((x - middle) ** 2).sum(axis=0)
    floors = mean - scales * middle
    # No error is below 0: where the best floor would be, the best of those allowed is 0.
    scales = np.where(floors < 0, errors @ x / (x**2).sum(axis=0), scales)
    floors = np.maximum(floors, 0.0)
    left = errors[:, :, None] - floors[:, None] - scales[:, None] * x
    return floors, scales, (left**2).sum(axis=1)
