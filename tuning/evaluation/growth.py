"""What growing sizes of the training set tell: a curve for each metric, and what twice the examples would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.evaluation import power_law
from tuning.evaluation.bootstrap import Array, Interval
from tuning.evaluation.compare import points
from tuning.evaluation.metrics import Metric
from tuning.evaluation.scores import Scores


@dataclass(frozen=True, slots=True)
class Growth:
    """A metric as the training set grows: e(n) = floor + scale · (n / unit)^-exponent.

    Attributes:
      metric: name of the metric.
      error: "metric", or "1 - metric" for one of which more is better: what e is.
      unit: the largest size, in examples.
      floor: the error that no number of examples would mend; None with fewer than three sizes.
      scale: what the largest size is above the floor; below 0 if more examples make it worse; None likewise.
      exponent: how fast that goes down; None likewise.
      doubled: the error with twice the examples of the largest size, with its 95 % interval; None likewise.
      gain: how much lower that is than the curve at the largest size, with its 95 % interval; None likewise.
      miss: what the other sizes foretold for the largest, less what was measured; None with fewer than four sizes.
      sentence: what that means.
    """

    metric: str
    error: str
    unit: int
    floor: float | None
    scale: float | None
    exponent: float | None
    doubled: Interval | None
    gain: Interval | None
    miss: Interval | None
    sentence: str


def growths(scored: Sequence[Scores], sizes: Sequence[int], named: bool, price: str) -> list[Growth]:
    """The curve of each metric of each kind of target.

    Args:
      scored: whose systems are the models, in the order of `sizes`.
      sizes: the numbers of training examples, all different.
      named: whether the manifest names the groups.
      price: what tuning on twice the most examples would cost, for people; "" if nobody knows.
    """
    return [
        _growth(scores, metric, names(scores, scored)[number], sizes, named, price)
        for scores in scored
        for number, metric in enumerate(scores.metrics)
    ]


def names(scores: Scores, scored: Sequence[Scores]) -> list[str]:
    """The names of a task's metrics: where there are several tasks, with the task's."""
    of = f" of {scores.task or 'no task'}" if len(scored) > 1 else ""
    return [f"{metric.name}{of}" for metric in scores.metrics]


def _growth(scores: Scores, metric: Metric, name: str, sizes: Sequence[int], named: bool, price: str) -> Growth:
    drawn = scores.resamples()
    found = [drawn.replicates(system, metric) for system in scores.systems]
    whole = _errors(metric, np.array([each.point for each in found]))
    error = "metric" if metric.lower_is_better else "1 - metric"
    unit, twice = max(sizes), 2 * max(sizes)
    if len(sizes) < power_law.MIN_POINTS or np.isnan(whole).any():
        return Growth(name, error, unit, None, None, None, None, None, None, _no_curve(name, len(sizes)))
    examples = np.array(sizes, dtype=np.float64)
    # One group cannot be drawn anew: nothing is said of others.
    apart = len({*scores.groups.tolist()}) > 1
    resampled = _errors(metric, np.stack([each.drawn[: None if apart else 0] for each in found], axis=-1))
    curve = power_law.fit(examples, whole)
    doubled = power_law.at(examples, whole, resampled, twice)
    gain = power_law.gain(examples, whole, resampled, twice)
    miss = power_law.miss(examples, whole, resampled) if len(sizes) > power_law.MIN_POINTS else None
    groups = len({*scores.groups.tolist()})
    where = f"on {len(scores.clips):,} clips{f' of {groups:,} groups' if named else ''}"
    told = f"{_said(name, metric, twice, doubled, gain, where)}{f'; {price}' if price else ''}{_checked(name, miss)}"
    return Growth(name, error, unit, curve.floor, curve.scale, curve.exponent, doubled, gain, miss, told)


def _errors(metric: Metric, values: Array) -> Array:
    return values if metric.lower_is_better else 1 - values


def _no_curve(name: str, sizes: int) -> str:
    if sizes >= power_law.MIN_POINTS:
        return f"there is no curve of {name}: the targets are empty"
    told = f"{sizes} size{'s' * (sizes != 1)} of the training set show no curve of {name}"
    return f"{told}: three are needed, and four to see whether it foretells the last"


def _said(name: str, metric: Metric, twice: int, doubled: Interval, gain: Interval, where: str) -> str:
    assert gain.value is not None
    assert doubled.value is not None
    subject = f"twice the training examples ({twice:,})"
    if gain.low is None or gain.high is None:
        return f"{subject}: {points(gain.value)} of {name} {where}, and one group tells nothing of others"
    size = f"{points(gain.value)} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    if gain.low == gain.high == 0:
        return f"all sizes of the training set are the same by {name} {where}"
    if not gain.decided:
        unseen = f"no difference that this many clips can show: {subject} would make {name} better by {size}"
        return f"{unseen} {where}"
    value = doubled.value if metric.lower_is_better else 1 - doubled.value
    if gain.value < 0:
        size = f"{points(-gain.value)} [{-100 * gain.high:.1f}, {-100 * gain.low:.1f}]"
    verdict = "better" if gain.value > 0 else "worse"
    return f"{subject} would make {name} {verdict} by {size}, to about {value:.1%}, {where}"


def _checked(name: str, miss: Interval | None) -> str:
    """Whether the curve has foretold its own last point."""
    if miss is None or miss.value is None:
        return "; whether the curve foretells anything, four sizes would show"
    size = points(abs(miss.value))
    if miss.decided:
        return f"; do not trust it: the smaller sizes foretold {name} of the largest wrongly, by {size}"
    return f"; the smaller sizes foretold {name} of the largest within {size}"
